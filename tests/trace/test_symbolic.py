"""Runs with symbols for sizes, against runs with numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from symbolic_models import MODELS, Case, UNet, block_case, model_case
from torch import nn

from blocktool.analysis import expressions
from blocktool.blocks import ShapeError
from blocktool.errors import InputError, ModuleError
from blocktool.results.symbolic import SymbolicRun, SymbolicTensor
from blocktool.targets.catalog import CATALOG
from blocktool.trace.symbolic import trace_symbolic
from blocktool.trace.tracer import trace

MAP = (SymbolicTensor(("B", 3, "H", "W")),)


def value(size: int | str, sizes: dict[str, int]) -> int:
    if isinstance(size, int):
        return size
    found = expressions.evaluate(expressions.parse(size), sizes)
    assert isinstance(found, int)
    return found


def holds(conditions: tuple[str, ...], sizes: dict[str, int]) -> bool:
    return all(value(condition, sizes) for condition in conditions)


def shapes(run: SymbolicRun, sizes: dict[str, int]) -> list[tuple[int, ...]]:
    return [tuple(value(size, sizes) for size in out.shape) for out in run.outputs]


def assert_agrees(case: Case, run: SymbolicRun) -> None:
    assert run.error is None
    assert run.limit is None
    assert holds((*run.guards, *run.assumptions), case.hints)
    compared = 0
    for sizes in case.sizes:
        if holds(run.guards, sizes):
            numeric = trace(case.module, case.at(sizes))
            assert shapes(run, sizes) == [out.shape for out in numeric.outputs], sizes
            assert [out.name for out in run.outputs] == [out.name for out in numeric.outputs]
            compared += 1
    assert compared >= 10


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_block_agrees_with_numbers(name: str) -> None:
    case = block_case(name)
    run, nothing = trace_symbolic(case.module, case.inputs, case.hints, record=False)
    assert nothing is None
    assert run.guards == ()  # a block takes every size
    assert_agrees(case, run)


@pytest.mark.parametrize("name", MODELS)
def test_model_agrees_with_numbers(name: str) -> None:
    case = model_case(name)
    run, _ = trace_symbolic(case.module, case.inputs, case.hints, record=False)
    assert_agrees(case, run)


def test_resnet_has_no_conditions() -> None:
    case = model_case("resnet50")
    run, _ = trace_symbolic(case.module, case.inputs, case.hints, record=False)
    assert run.guards == ()
    assert set(run.assumptions) == {"H >= 33", "W >= 33"}  # the last map is not a single pixel


def test_small_map_is_a_way_of_its_own() -> None:
    case = model_case("resnet50")
    run, _ = trace_symbolic(case.module, case.inputs, {"B": 2, "H": 32, "W": 100}, record=False)
    assert run.guards == ("H <= 32",)


def test_fixed_size_is_a_guard() -> None:
    case = model_case("vit_b_16")
    hints = {"B": 2, "H": 224, "W": 224}
    run, _ = trace_symbolic(case.module, MAP, hints, record=False)
    assert run.guards == ("H == 224", "W == 224")


def test_skip_wants_even_sizes() -> None:
    run, _ = trace_symbolic(UNet(), MAP, {"B": 2, "H": 64, "W": 48}, record=False)
    assert {"H % 4 == 0", "W % 4 == 0"} <= set(run.guards)
    odd, _ = trace_symbolic(UNet(), MAP, {"B": 2, "H": 65, "W": 48}, record=False)
    assert odd.outputs == ()
    assert odd.error is not None
    assert "must match" in odd.error
    assert "H" in odd.error
    assert "H % 2 != 0" in odd.guards
    for height in range(4, 80):
        sizes = {"B": 2, "H": height, "W": 48}
        if holds(odd.guards, sizes):
            with pytest.raises(ModuleError):
                trace(UNet(), (2, 3, height, 48))


@pytest.mark.parametrize("window", [3, 7])
def test_window_ways(window: int) -> None:
    """With and without padding; each way gives what a numeric run gives."""
    case = block_case("self-attention", (f"window={window}",))
    exact = {"B": 2, "H": 4 * window, "W": 2 * window}
    run, _ = trace_symbolic(case.module, case.inputs, exact, record=False)
    assert {f"H % {window} == 0", f"W % {window} == 0"} <= set(run.guards)
    padded = {"B": 2, "H": 4 * window + 1, "W": 2 * window + 2}
    other, _ = trace_symbolic(case.module, case.inputs, padded, record=False)
    assert not holds(other.guards, exact)
    assert not holds(run.guards, padded)
    assert [str(out) for out in other.outputs] == ["B, 256, H, W"]


def test_error_names_module_and_sizes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(nn.Linear(40, 2)))
    run, _ = trace_symbolic(model, MAP, {"B": 2, "H": 32, "W": 48}, record=False)
    assert run.error_module == "1.0"
    assert run.error is not None
    assert "s" not in run.error.split("x")[0].split("(")[-1]
    assert "W != 40" in run.guards
    right, _ = trace_symbolic(model, MAP, {"B": 2, "H": 32, "W": 40}, record=False)
    assert right.error is None
    assert "W == 40" in right.guards


def test_own_shape_error_is_an_error() -> None:
    class Fussy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2] < 20:
                raise ShapeError("Fussy", "(B, 3, H>=20, W)", x.shape)
            return x

    run, _ = trace_symbolic(Fussy(), MAP, {"B": 2, "H": 12, "W": 48}, record=False)
    assert run.error is not None
    assert run.error == "ShapeError: Fussy: expected (B, 3, H>=20, W), got (B, 3, H, W)"
    assert run.guards == ("H <= 19",)


def test_limit_is_named() -> None:
    class Data(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :, : int(x.sum().item())]

    run, _ = trace_symbolic(Data(), MAP, {"B": 2, "H": 12, "W": 48}, record=False)
    assert run.error is None
    assert run.limit is not None
    recurrent, _ = trace_symbolic(
        nn.LSTM(8, 8), (SymbolicTensor(("N", "B", 8)),), {"N": 5, "B": 2}, record=False
    )
    assert recurrent.limit is not None
    assert "recurrent" in recurrent.limit


def test_sizes_may_be_expressions() -> None:
    conv = nn.Conv2d(3, 8, 2, 2)
    inputs = (SymbolicTensor(("B", 3, "2*H", "max(W, 4)")),)
    run, _ = trace_symbolic(conv, inputs, {"B": 2, "H": 5, "W": 9}, record=False)
    assert str(run.outputs[0]).startswith("B, 8, H, ")
    with pytest.raises(InputError, match="unknown size"):
        trace_symbolic(conv, (SymbolicTensor(("B", 3, "2*X", 4)),), {"B": 2}, record=False)
    with pytest.raises(InputError, match="positive"):
        trace_symbolic(conv, (SymbolicTensor(("B", 3, "B - 2", 4)),), {"B": 2}, record=False)


def test_hint_of_one_is_a_number() -> None:
    run, _ = trace_symbolic(nn.ReLU(), MAP, {"B": 1, "H": 5, "W": 9}, record=False)
    assert run.guards == ("B == 1",)
    assert str(run.outputs[0]) == "1, 3, H, W"


def test_module_and_torch_are_left_alone() -> None:
    from torch.fx.experimental import _config, symbolic_shapes

    model = UNet()
    before = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    torch_before = (
        _config.backed_size_oblivious,
        symbolic_shapes._guard_or,
        torch.Tensor.contiguous,
        torch.get_rng_state(),
        torch.is_grad_enabled(),
    )
    for height in (64, 65):
        trace_symbolic(model, MAP, {"B": 2, "H": height, "W": 48}, record=False)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert flags == [module.training for module in model.modules()]
    assert all(not t.is_meta and t.grad is None for t in model.parameters())
    assert "contiguous" not in vars(torch.Tensor)
    after = (
        _config.backed_size_oblivious,
        symbolic_shapes._guard_or,
        torch.Tensor.contiguous,
        torch.get_rng_state(),
        torch.is_grad_enabled(),
    )
    assert torch_before[:3] == after[:3]
    assert torch_before[4] == after[4]
    assert torch.equal(torch_before[3], after[3])


def test_training_mode() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(2))
    run, _ = trace_symbolic(model, MAP, {"B": 4, "H": 32, "W": 40}, mode="training", record=False)
    assert run.error is None
    assert run.limit is None
    sizes = {"B": 3, "H": 21, "W": 34}
    assert shapes(run, sizes) == [(3, 8, 11 * 17)]


def test_what_is_made_on_the_cpu_is_moved() -> None:
    class Positions(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.zeros(x.shape[0], x.shape[2], x.shape[3]).bool().to(x.device)
            return x + (~mask).cumsum(1, dtype=torch.float32)[:, None]

    run, _ = trace_symbolic(Positions(), MAP, {"B": 2, "H": 12, "W": 9}, record=False)
    assert run.limit is None
    assert [str(out) for out in run.outputs] == ["B, 3, H, W"]


def test_division_by_zero_is_the_modules() -> None:
    class Divides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, : x.shape[2] // (x.shape[1] - 3)]

    run, _ = trace_symbolic(Divides(), MAP, {"B": 2, "H": 12, "W": 9}, record=False)
    assert run.limit is None
    assert run.error is not None
    assert "ZeroDivisionError" in run.error


def test_interpolation_by_a_scale() -> None:
    class Resized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear")

    run, _ = trace_symbolic(Resized(), MAP, {"B": 2, "H": 12, "W": 9}, record=False)
    for height in range(2, 20):
        sizes = {"B": 2, "H": height, "W": 31 - height}
        wanted = trace(Resized(), (2, 3, height, 31 - height)).outputs[0].shape
        assert shapes(run, sizes) == [wanted]
