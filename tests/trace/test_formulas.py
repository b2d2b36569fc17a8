"""Formulas against numeric runs and arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from symbolic_models import MODELS, Case, block_case, model_case
from torch import nn

import blocktool
from blocktool.analysis import expressions
from blocktool.errors import InputError, ModuleError, TraceError
from blocktool.results.formulas import Formulas
from blocktool.results.summary import Summary
from blocktool.targets.catalog import CATALOG

TOTALS = (
    "params",
    "param_bytes",
    "macs",
    "flops",
    "elementwise_flops",
    "activation_bytes",
    "read_bytes",
    "written_bytes",
    "peak_live_bytes",
)
OF_MODULES = TOTALS[:1] + TOTALS[2:-1]


def value(text: str | None, sizes: dict[str, int]) -> int:
    assert text is not None
    found = expressions.evaluate(expressions.parse(text), sizes)
    assert isinstance(found, int)
    return found


def holds(found: Formulas, sizes: dict[str, int]) -> bool:
    return all(sizes[s.name] >= s.least for s in found.symbols) and all(
        value(condition, sizes) for condition in found.conditions
    )


def assert_equal(found: Formulas, numeric: Summary, sizes: dict[str, int]) -> None:
    for name in TOTALS:
        assert value(getattr(found.totals, name), sizes) == getattr(numeric.totals, name), name
    assert [row.path for row in found.modules] == [row.path for row in numeric.modules]
    for row, other in zip(found.modules, numeric.modules, strict=True):
        for name in OF_MODULES:
            wanted = getattr(other, name)
            assert value(getattr(row, name), sizes) == wanted, (row.path, name)
        assert row.calls == other.calls
        assert None not in row.output_shapes
        shapes = [tuple(value(n, sizes) for n in (s or "").split(", ")) for s in row.output_shapes]
        assert shapes == list(other.output_shapes)


def assert_exact(case: Case) -> Formulas:
    found = blocktool.formulas(case.module, case.inputs, hints=case.hints, compare=0)
    compared = 0
    for sizes in case.sizes:
        if holds(found, sizes):
            assert_equal(found, blocktool.summarize(case.module, case.at(sizes)), sizes)
            compared += 1
    assert compared >= 10
    return found


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_block(name: str) -> None:
    case = block_case(name)
    found = assert_exact(case)
    assert found.conditions == ()
    assert {s.least for s in found.symbols} == {2}


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_training_block_has_least_sizes_only(name: str) -> None:
    case = block_case(name)
    settings = {"hints": case.hints, "mode": "training", "compare": 0}
    found = blocktool.formulas(case.module, case.inputs, **settings)  # type: ignore[arg-type]
    assert found.conditions == ()
    assert {s.least for s in found.symbols} == {2}


@pytest.mark.parametrize("name", [name for name in MODELS if name != "swin_t"])
def test_model(name: str) -> None:
    assert_exact(model_case(name))


def test_swin() -> None:
    """A way with padding in every stage, which holds for many sizes."""
    case = model_case("swin_t")
    hints = {"B": 2, "H": 180, "W": 190}
    found = blocktool.formulas(case.module, case.inputs, hints=hints, compare=0)
    compared = 0
    for step in range(400):
        sizes = {"B": 2 + step % 5, "H": 130 + 7 * step % 97, "W": 130 + 11 * step % 97}
        if compared < 10 and holds(found, sizes):
            assert_equal(found, blocktool.summarize(case.module, case.at(sizes)), sizes)
            compared += 1
    assert compared == 10


@pytest.mark.parametrize(
    ("block", "arguments"),
    [
        ("conv", ("stride=2",)),
        ("conv", ("kernel_size=5", "stride=3", "padding=0")),
        ("bottleneck", ("stride=2", "out_channels=512")),
        ("self-attention", ("window=7",)),
        ("transformer", ("window=7",)),
    ],
)
def test_block_with_arguments(block: str, arguments: tuple[str, ...]) -> None:
    case = block_case(block, arguments)
    sizes = tuple({"B": b, "H": 7 * h, "W": 7 * w} for b, h, w in zip(
        range(2, 14), range(2, 14), range(3, 27, 2), strict=True))  # fmt: skip
    assert_exact(Case(case.name, case.module, case.inputs, case.hints, sizes))


def test_formulas_by_hand() -> None:
    conv = blocktool.formulas(nn.Conv2d(8, 16, 3, stride=2, padding=1), "Bx8xHxW").totals
    assert conv.params == str(16 * 8 * 9 + 16)
    assert conv.macs == f"{16 * 8 * 9}*B*((H + 1)//2)*((W + 1)//2)"
    assert conv.activation_bytes == f"{16 * 4}*B*((H + 1)//2)*((W + 1)//2)"
    # Attention over N tokens of width 64: two products of N*N*64 each, four projections of 64*64.
    block = block_case("multi-head-attention", ("dim=64",))
    attention = blocktool.formulas(block.module, (("B", "N", 64),)).totals
    sizes = {"B": 3, "N": 50}
    assert value(attention.macs, sizes) == 3 * (2 * 50 * 50 * 64 + 4 * 50 * 64 * 64)


def test_training_step() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(2))
    found = blocktool.formulas(model, ("B", 3, "H", "W"), mode="training")
    assert not any("B" in condition for condition in found.conditions)
    for sizes in ({"B": 3, "H": 31, "W": 40}, {"B": 5, "H": 64, "W": 51}):
        shape = (sizes["B"], 3, sizes["H"], sizes["W"])
        numeric = blocktool.summarize(model, shape, mode="training")
        for name in ("macs", "elementwise_flops", "activation_bytes", "peak_live_bytes"):
            assert value(getattr(found.totals, name), sizes) == getattr(numeric.totals, name), name


def test_dtype() -> None:
    found = blocktool.formulas(nn.Conv2d(3, 8, 3), ("B", 3, "H", "W"), dtype="bfloat16").totals
    sizes = {"B": 2, "H": 12, "W": 9}
    assert value(found.activation_bytes, sizes) == 2 * 2 * 8 * 10 * 7
    assert found.param_bytes == str(2 * (8 * 27 + 8))


def test_size_that_is_fixed_becomes_a_number() -> None:
    module = model_case("vit_b_16").module
    hints = {"B": 2, "H": 224, "W": 224}
    found = blocktool.formulas(module, ("B", 3, "H", "W"), hints=hints, compare=1)
    assert [symbol.name for symbol in found.symbols] == ["B"]
    assert "H = 224 is the only size taken" in found.notes
    assert str(found.inputs[0]) == "B, 3, 224, 224"


def test_conditions_are_told() -> None:
    class Halves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2] % 2:
                x = x[:, :, 1:]
            return x.unflatten(2, (2, -1)).relu() if x.shape[3] > 10 else x

    found = blocktool.formulas(Halves(), ("B", 3, "H", "W"), hints={"B": 2, "H": 8, "W": 20})
    assert "H % 2 == 0" in found.conditions
    assert {s.name: s.least for s in found.symbols}["W"] == 11


def test_what_has_no_formulas_is_named() -> None:
    class Data(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[x > 0]

    with pytest.raises(TraceError, match="no formulas"):
        blocktool.formulas(Data(), ("B", 3))
    with pytest.raises(ModuleError):
        blocktool.formulas(nn.Linear(4, 2), ("B", 3))
    with pytest.raises(InputError):
        blocktool.formulas(nn.Linear(4, 2), 3)
    with pytest.raises(InputError):
        blocktool.formulas(nn.Linear(4, 2), ("B", "4 +"))
