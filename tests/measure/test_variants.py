"""Variants of small modules, against what torch gives for the same change made by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from blocktool.errors import ModuleError, OptimizationError
from blocktool.measure.changed import Changed, Unavailable
from blocktool.measure.variant_names import VARIANTS
from blocktool.measure.variants import changed
from blocktool.optimize import quantize_linear
from blocktool.optimize.samples import device_of
from blocktool.optimize.torchao import import_torchao
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def conv_bn(channels: int = 8) -> nn.Sequential:
    """Convolution, norm with statistics that do something, activation."""
    module = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU())
    with torch.no_grad():
        module[1].running_mean.normal_()
        module[1].running_var.uniform_(0.5, 2)
        module[1].weight.uniform_(0.5, 2)
    return module.eval()


def of(*args: Any, **kwargs: Any) -> CallArguments:
    return CallArguments(args, kwargs)


def run(found: Changed) -> Any:
    with torch.no_grad():
        return found.module(*found.arguments.args, **found.arguments.kwargs)


def reason(variant: str, module: nn.Module, arguments: CallArguments, mode: RunMode) -> str:
    with pytest.raises(Unavailable) as found:
        changed(variant, module, arguments, mode)
    assert "\n" not in found.value.reason
    assert str(found.value) == found.value.reason
    return found.value.reason


def hooks_of(module: nn.Module) -> list[object]:
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [hook for m in module.modules() for name in names for hook in getattr(m, name).values()]


def test_eager_is_the_module_itself() -> None:
    module, arguments = conv_bn(), of(torch.randn(2, 3, 8, 8))
    assert changed("eager", module, arguments, "inference") == Changed(module, arguments)
    found = changed("eager", module, arguments, "training", autocast=torch.bfloat16)
    assert found.autocast is torch.bfloat16


def test_fused_is_what_torch_folds() -> None:
    module, x = conv_bn(), torch.randn(5, 3, 8, 8)
    expected = nn.Sequential(fuse_conv_bn_eval(module[0], module[1]), nn.ReLU())
    found = changed("fused", module, of(x), "inference")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in found.module.modules())
    with torch.no_grad():
        assert torch.allclose(run(found), expected(x), atol=1e-6)
    (note,) = found.notes
    assert note.endswith(" operations are 2 once fused")  # convolution and activation
    assert hooks_of(found.module) == []
    assert found.traceable


class Whole(nn.Module):
    """Takes a batch of four and no other."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = conv_bn()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).reshape(4, -1)


def test_fused_where_no_part_of_the_batch_will_do() -> None:
    module, x = Whole().eval(), torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        expected = module(x)
    assert torch.allclose(run(changed("fused", module, of(x), "inference")), expected, atol=1e-5)


class Peeks(nn.Module):
    """Wants more of a layer than its forward: packing q and k would take it away."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Pair()
        self.norm = conv_bn(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.norm(x).flatten(2)) * self.inner.q.out_features


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(36, 5), nn.Linear(36, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.q(x) + self.k(x)


def test_fused_leaves_out_what_does_not_hold() -> None:
    module, x = Peeks().eval(), torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        expected = module(x)
    found = changed("fused", module, of(x), "inference")
    assert torch.allclose(run(found), expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in found.module.modules())


class Both(nn.Module):
    """Weights of four and of five dimensions, with one input for each."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.deep = nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, image: Tensor, video: Tensor, scale: Tensor) -> Tensor:
        pooled = self.flat(image).mean((2, 3)) + self.deep(video).mean((2, 3, 4))
        return self.head(pooled) * scale


@pytest.mark.parametrize("mode", ["inference", "forward", "training"])
def test_channels_last_of_both_ranks(mode: RunMode) -> None:
    module = Both()
    inputs = of(torch.randn(2, 3, 6, 5), video=torch.randn(2, 3, 4, 5, 6), scale=torch.ones(2))
    with torch.no_grad():
        expected = module(*inputs.args, **inputs.kwargs)
    weights = [*module.parameters()]
    found = changed("channels-last", module, inputs, mode)
    last, last_3d = torch.channels_last, torch.channels_last_3d
    assert found.module.flat.weight.is_contiguous(memory_format=last)
    assert found.module.deep.weight.is_contiguous(memory_format=last_3d)
    assert found.arguments.args[0].is_contiguous(memory_format=last)
    assert found.arguments.kwargs["video"].is_contiguous(memory_format=last_3d)
    assert not found.arguments.args[0].is_contiguous()
    assert all(a is b for a, b in zip(weights, found.module.parameters(), strict=True))
    assert torch.allclose(run(found), expected, atol=1e-5)
    assert torch.equal(found.arguments.args[0], inputs.args[0])


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_dtype_for_all_that_is_floating(name: str, dtype: torch.dtype) -> None:
    module, x, index = conv_bn(), torch.randn(2, 3, 8, 8), torch.arange(2)
    expected = copy.deepcopy(module).to(dtype)(x.to(dtype))
    found = changed(name, module, of(x, index, "word"), "inference")
    assert {p.dtype for p in found.module.parameters()} == {dtype}
    assert found.module[1].num_batches_tracked.dtype is torch.int64
    assert [found.arguments.args[0].dtype, found.arguments.args[2]] == [dtype, "word"]
    assert found.arguments.args[1].dtype is torch.int64
    assert torch.equal(found.module(found.arguments.args[0]), expected)
    assert found.autocast is None
    assert found.notes == ()
    (note,) = changed(name, conv_bn(), of(x), "training").notes
    assert "without a float32 copy" in note


def test_a_tensor_that_is_given_twice_stays_one() -> None:
    x = torch.randn(2, 3, 8, 8)
    found = changed("channels-last+bf16", conv_bn(), of(x, again=[x]), "inference")
    assert found.arguments.args[0] is found.arguments.kwargs["again"][0]


def test_autocast_is_for_the_caller() -> None:
    module, x = conv_bn(), torch.randn(2, 3, 8, 8)
    found = changed("amp-bf16", module, of(x), "training")
    assert found == Changed(module, of(x), torch.bfloat16)
    assert changed("amp-fp16", module, of(x), "inference").notes == ()
    (note,) = changed("amp-fp16", module, of(x), "training").notes
    assert "gradient scaling" in note


@pytest.fixture
def torchao() -> Any:
    try:
        return import_torchao()
    except OptimizationError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("kind", ["weight-only", "dynamic"])
def test_int8_of_linear_layers(torchao: Any, kind: str) -> None:
    """Whole numbers of each row, as they are defined; likewise of each token, with dynamic."""

    def levels(values: Tensor) -> Tensor:
        scale = values.abs().amax(-1, keepdim=True) / 127.5
        return (values * (1 / scale)).round().clamp(-128, 127) * scale

    module, x = nn.Sequential(nn.Linear(40, 24), nn.Conv1d(24, 24, 1)).eval(), torch.randn(24, 40)
    with torch.no_grad():
        inputs = levels(x) if kind == "dynamic" else x
        expected = module[1](F.linear(inputs, levels(module[0].weight), module[0].bias))
        exact = module(x)
    found = changed(f"int8-{kind}", module, of(x), "inference")
    assert torch.allclose(run(found), expected, atol=1e-4)
    assert not torch.allclose(run(found), exact, atol=1e-4)
    assert found.notes == ("1 of 2 layers with weights are in int8",)
    assert not found.traceable
    assert hooks_of(found.module) == []


def test_bf16_is_before_int8(torchao: Any) -> None:
    found = changed("bf16+int8-weight-only", nn.Linear(8, 4), of(torch.randn(2, 8)), "inference")
    assert run(found).dtype is torch.bfloat16
    assert found.module.weight.dtype is torch.bfloat16
    assert found.module.weight.qdata.dtype is torch.int8


@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize(
    "variant", ["fused", "int8-weight-only", "int8-dynamic", "int8-static+compile", "fused+bf16"]
)
def test_what_is_for_inference(variant: str, mode: RunMode) -> None:
    assert "for inference" in reason(variant, conv_bn(), of(torch.randn(2, 3, 8, 8)), mode)


@pytest.mark.parametrize(
    ("variant", "module", "shape", "expected"),
    [
        ("fused", nn.Sequential(nn.Linear(4, 4)), (2, 4), "nothing to fuse in Sequential"),
        ("fused", nn.Sequential(nn.BatchNorm1d(4)), (2, 4), "nothing to fuse in Sequential ("),
        ("channels-last", nn.Linear(4, 4), (2, 4), "needs an input of four or five dimensions"),
        ("bf16", nn.Linear(4, 4, dtype=torch.bfloat16), (2, 4), "in bfloat16 already"),
        ("compile-reduce-overhead", nn.Linear(4, 4), (2, 4), "CUDA graphs need a CUDA device"),
    ],
)
def test_what_there_is_nothing_for(
    variant: str, module: nn.Module, shape: tuple[int, ...], expected: str
) -> None:
    dtype = next(module.parameters()).dtype
    found = reason(variant, module.eval(), of(torch.randn(shape, dtype=dtype)), "inference")
    assert expected in found


def test_nothing_to_convert() -> None:
    found = reason("fp16", nn.Identity(), of(torch.ones(3, dtype=torch.int64)), "inference")
    assert found == "there is nothing floating to convert to float16"


def test_autocast_twice() -> None:
    with pytest.raises(Unavailable, match="under autocast to bfloat16 already"):
        changed("amp-fp16", conv_bn(), of(), "inference", autocast=torch.bfloat16)


@pytest.mark.parametrize(
    ("variant", "module", "expected"),
    [
        ("int8-dynamic", nn.Sequential(nn.Conv2d(3, 4, 1)), "dynamic int8 is for nn.Linear"),
        ("int8-weight-only", nn.Sequential(nn.ReLU()), "Sequential has no layer with weights"),
        ("int8-static+compile", nn.Sequential(nn.ReLU()), "Sequential has no layer with weights"),
        ("int8-static+compile", nn.Linear(4, 4).double(), "starts from float32"),
    ],
)
def test_nothing_to_quantize(torchao: Any, variant: str, module: nn.Module, expected: str) -> None:
    found = reason(variant, module.eval(), of(torch.randn(2, 3, 4, 4)), "inference")
    assert expected in found


def test_torchao_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchao.quantization", None)
    found = reason("int8-dynamic", nn.Linear(4, 4), of(torch.randn(2, 4)), "inference")
    assert "torchao" in found
    assert "pip install 'blocktool[quantize]'" in found


def test_a_quantizer_that_does_nothing_is_caught(
    torchao: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Idle:
        Int8WeightOnlyConfig = torchao.Int8WeightOnlyConfig

        @staticmethod
        def quantize_(*args: Any) -> None: ...

    monkeypatch.setattr(quantize_linear, "import_torchao", lambda *_: Idle)
    found = reason("int8-weight-only", nn.Linear(4, 4), of(torch.randn(2, 4)), "inference")
    assert "left '' as it was" in found


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("not today")


def test_what_the_module_raises_comes_through() -> None:
    with pytest.raises(ModuleError, match="not today"):
        changed("fused", Raises().eval(), of(torch.randn(2, 3)), "inference")


def test_every_name_has_its_change() -> None:
    from blocktool.measure.variants import _CHANGES

    assert {"eager", *_CHANGES} == set(VARIANTS)


def test_the_device() -> None:
    assert device_of(nn.Identity(), of()).type == "cpu"
    assert device_of(nn.Identity(), of(x=[torch.empty(1, device="meta")])).type == "meta"
    assert device_of(nn.Linear(1, 1, device="meta"), of(torch.ones(1))).type == "meta"
