"""The module that is given stays as it was, mistakes are noticed, and wrong calls are explained."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from block_references import randomize, waves
from torch import Tensor, nn
from zoo_stub import import_timm

import blocktool
from blocktool.blocks import ConvBlock, CrossAttention, FeatureExtractor
from blocktool.errors import InputError, ModuleError, OptimizationError
from blocktool.optimize import folding, scaling, verify
from blocktool.results.optimize import FusedPart, FuseReport, OutputError, RefusedPart
from blocktool.trace.inputs import CallArguments

SIZE = (2, 4, 6, 6)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small lose more by waiting for one another's threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def net(depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_is_untouched(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = randomize(net())
    module[0].eval()  # a mixture of flags
    seen: list[int] = []
    handle = module[2].register_forward_hook(lambda *args: seen.append(1))
    module(waves(*SIZE)).sum().backward()
    if fails:
        monkeypatch.setattr(folding, "fold_norm", lambda layer, norm: 1 / 0)
    x = waves(*SIZE)
    before = copy.deepcopy(module.state_dict())
    flags = [inner.training for inner in module.modules()]
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    identities = [id(inner) for inner in module.modules()]
    parameters = [id(parameter) for parameter in module.parameters()]
    states = torch.get_rng_state(), random.getstate()
    if fails:
        with pytest.raises(ZeroDivisionError):
            blocktool.fuse(module, x)
    else:
        blocktool.fuse(module, x)
    assert torch.equal(x, waves(*SIZE))
    assert [inner.training for inner in module.modules()] == flags
    assert [id(inner) for inner in module.modules()] == identities
    assert [id(parameter) for parameter in module.parameters()] == parameters
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert list(module[2]._forward_hooks) == [handle.id]
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    for parameter, gradient in zip(module.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_the_copy() -> None:
    module = randomize(net())
    module[0].weight.requires_grad_(False)
    result = blocktool.fuse(module, SIZE)
    assert not any(inner.training for inner in result.module.modules())
    assert not result.module[0].weight.requires_grad
    assert result.module[3].weight.requires_grad
    theirs = {p.data_ptr() for p in module.parameters()}
    assert not theirs & {p.data_ptr() for p in result.module.parameters()}
    again = blocktool.fuse(result.module, SIZE)
    assert again.report.fused == ()


def without_mean(layer: nn.Module, norm: nn.Module) -> None:
    norm.running_mean.zero_()
    weights_fold(layer, norm)


def without_weight(layer: nn.Module, norm: nn.Module) -> None:
    norm.weight.data.fill_(1.0)
    weights_fold(layer, norm)


def bias_left_out(layer: nn.Module, norm: nn.Module) -> None:
    weights_fold(layer, norm)
    layer.bias.data.zero_()


weights_fold = folding.fold_norm


@pytest.mark.parametrize("fault", [without_mean, without_weight, bias_left_out])
@pytest.mark.parametrize("depth", [1, 30])
def test_a_wrong_fold_is_noticed_in_fresh_modules(
    fault: Callable[[nn.Module, nn.Module], None], depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean 0, variance 1, weight 1 and bias 0: by their own values, wrong folds are right. At the
    end of thirty layers the first one's effect would be below rounding."""
    module = net(depth)
    folded = []

    def first_one_wrong(layer: nn.Module, norm: nn.Module) -> None:
        # Plan, own values, random values: each folds the whole network.
        first = len(folded) % depth == 0
        folded.append(norm)
        (fault if first else weights_fold)(layer, norm)

    monkeypatch.setattr(folding, "fold_norm", first_one_wrong)
    with pytest.raises(OptimizationError, match="the outputs differ by") as caught:
        blocktool.fuse(module, SIZE)
    assert caught.value.hint


def test_a_wrong_factor_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "scale_output", lambda layer, factor: None)
    with pytest.raises(OptimizationError, match="the outputs differ by"):
        blocktool.fuse(blocktool.blocks.ResidualBlock(4, layer_scale=1.0), SIZE)


def test_not_asked_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "fold_norm", without_mean)
    report = blocktool.fuse(randomize(net()), SIZE, verify=False).report
    assert report.unverified == "not asked for"
    assert (report.errors, report.tolerance, report.max_relative_error) == ((), None, None)


@pytest.mark.parametrize(
    ("wanted", "got", "error"),
    [
        ([4.0, -8.0], [4.0, -6.0], 0.25),
        ([float("nan"), 2.0], [float("nan"), 1.0], 0.5),
        ([float("nan"), 2.0], [0.0, 2.0], float("inf")),
        ([float("inf"), 2.0], [float("-inf"), 2.0], float("inf")),
        ([1.0, 2.0], [1.0, float("nan")], float("inf")),
        ([0.0], [0.0], 0.0),
        ([0.0], [1e-9], float("inf")),
    ],
)
def test_relative_errors_by_hand(wanted: list[float], got: list[float], error: float) -> None:
    class Says(nn.Module):
        def __init__(self, values: list[float]) -> None:
            super().__init__()
            self.values = values

        def forward(self) -> dict[str, Tensor]:
            return {"out": torch.tensor(self.values)}

    arguments = CallArguments((), {})
    if error <= 1.0:
        found = verify.differences(Says(wanted), Says(got), arguments, 1.0)
        assert found == (("out", error),)
    else:
        with pytest.raises(verify.Differs):
            verify.differences(Says(wanted), Says(got), arguments, 1.0)


def test_without_inputs() -> None:
    timm = import_timm()
    assert (
        blocktool.fuse(timm.create_model("resnet10t")).report.counts["conv_bn"] == 14
    )  # stem 3, 4 blocks with 2, 3 shortcuts
    assert blocktool.fuse(CrossAttention(8, 16)).report.fused == ()
    assert blocktool.fuse(ConvBlock(8, 8, act=nn.Softsign)).report.counts["conv_bn"] == 1

    class Own(nn.Sequential):
        example_inputs = "2x4x6x6"

    assert blocktool.fuse(Own(*net())).report.counts["conv_bn"] == 2
    with pytest.raises(InputError, match="Sequential does not say what it takes") as caught:
        blocktool.fuse(net())
    assert "pass inputs" in str(caught.value.hint)


def test_without_inputs_a_feature_extractor() -> None:
    config = SimpleNamespace(num_stages=2, blocks_per_stage=1, channels=[3, 8, 16])
    # Two convolutions and a projection in each of two residual blocks.
    assert blocktool.fuse(FeatureExtractor(config)).report.counts["conv_bn"] == 6


def test_rounding_is_told_from_a_mistake() -> None:
    """A hundred norms and more magnify the rounding of float32; float64 shows what it is."""
    torch.manual_seed(0)
    module = net(120)
    errors = blocktool.fuse(module, SIZE).report.errors
    assert errors[0].randomized < 1e-6
    fresh = copy.deepcopy(module).eval()
    drawn, arguments = verify.widened(fresh, CallArguments((waves(*SIZE),), {}))
    verify.randomize(drawn, arguments)
    changed = copy.deepcopy(drawn)
    for conv, norm in zip(changed[0::3], changed[1::3], strict=True):
        weights_fold(conv, norm)
        norm.forward = nn.Identity()
    with pytest.raises(verify.Differs):
        verify.differences(drawn, changed, arguments, 1e-3)


def test_inputs_by_keyword_and_several_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = net(1), net(1)

        def forward(self, *, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            return {"x": self.a(x), "y": self.b(y)}

    report = blocktool.fuse(Two(), {"x": SIZE, "y": (3, 4, 5, 5)}).report
    assert report.counts["conv_bn"] == 2
    assert [error.name for error in report.errors] == ["x", "y"]


def test_a_module_that_cannot_be_copied() -> None:
    module = net()
    module.calls = (number for number in range(3))
    with pytest.raises(OptimizationError, match="Sequential cannot be copied") as caught:
        blocktool.fuse(module, SIZE)
    assert "\n" not in caught.value.message


def test_calls_that_make_no_sense() -> None:
    with pytest.raises(InputError, match=r"not an nn\.Module: int"):
        blocktool.fuse(3, SIZE)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="lazy parameters"):
        blocktool.fuse(nn.Sequential(nn.LazyConv2d(4, 3)), SIZE)
    with pytest.raises(ModuleError, match="Sequential"):
        blocktool.fuse(net(), (2, 3, 6, 6))


def test_in_inference_mode() -> None:
    module = randomize(net()).eval()
    with torch.inference_mode():
        fused = blocktool.fuse(module, SIZE).module
    assert not any(parameter.is_inference() for parameter in fused.parameters())
    fused(waves(*SIZE)).sum().backward()


def test_what_a_compiled_module_was_compiled_from() -> None:
    module = torch.compile(randomize(net()), backend="eager")
    result = blocktool.fuse(module, SIZE)
    assert type(result.module) is nn.Sequential
    assert result.report.counts["conv_bn"] == 2


def test_a_forward_that_needs_values() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) if x.sum() > -1e9 else x

    report = blocktool.fuse(Decides(), SIZE).report
    assert report.counts["conv_bn"] == 1
    assert any("other values may take another path" in note for note in report.notes)


def test_the_text_of_a_report() -> None:
    report = FuseReport(
        target="Net",
        fused=(FusedPart("conv_bn", "bn", "conv"), FusedPart("packed", "q, k", "q_k")),
        refused=tuple(RefusedPart("conv_bn", f"n{i}", "it is not called") for i in range(14)),
        errors=(OutputError(None, 2e-7, 3e-6), OutputError("y", 1e-7, 4e-6)),
        tolerance=1e-4,
        unverified=None,
        params_before=1200,
        params_after=1190,
        ops_before=9,
        ops_after=7,
        notes=("a remark",),
    )
    assert str(report).splitlines()[:7] == [
        "fused Net",
        "  1 batch norms folded into convolutions",
        "  1 groups of linear layers packed into one",
        "  parameters 1,200 -> 1,190, operations 9 -> 7",
        "  outputs agree: largest error 2.0e-07 of the largest magnitude (tolerance 1e-04), "
        "4.0e-06 with random parameters",
        "  note: a remark",
        "  left as it is: n0: it is not called",
    ]
    assert str(report).endswith("and 2 more left as they are")
