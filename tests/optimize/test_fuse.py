"""Fusing the models of torchvision and timm: counts, and outputs with random statistics."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import pytest
import torch
from block_references import randomize, waves
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from zoo_stub import import_timm, import_torchvision

import blocktool
from blocktool.blocks import BottleneckBlock, PreActBlock, ResidualBlock

SIZE = (2, 3, 32, 32)

ZOO = {
    # Every convolution of these but for the squeeze-and-excitation has a norm behind it.
    "torchvision:resnet18": {"conv_bn": 20},
    "torchvision:resnet50": {"conv_bn": 53},
    "torchvision:mobilenet_v2": {"conv_bn": 52},
    "torchvision:mobilenet_v3_small": {"conv_bn": 34},
    "torchvision:efficientnet_b0": {"conv_bn": 49},
    "torchvision:convnext_tiny": {"layer_scale": 18},  # 3 + 3 + 9 + 3 blocks
    "timm:resnet50": {"conv_bn": 53},
    "timm:mobilenetv3_small_100": {"conv_bn": 34},
    "timm:efficientnet_b0": {"conv_bn": 49},
    "timm:convnext_atto": {"layer_scale": 12},  # 2 + 2 + 6 + 2 blocks
    "timm:repvgg_a0": {"reparameterized": 22},  # 1 + 2 + 4 + 14 + 1 blocks
    # The second norm of each of 16 blocks, its third, and none in the stem.
    "timm:resnetv2_50": {"conv_bn": 32},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small lose more by waiting for one another's threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(name: str) -> nn.Module:
    zoo, _, model = name.partition(":")
    torch.manual_seed(0)
    if zoo == "timm":
        made = import_timm().create_model(model)
    else:
        made = import_torchvision().models.get_model(model, weights=None)
    for name, parameter in made.named_parameters():
        if "gamma" in name or "layer_scale" in name:  # 1e-6 would hide them
            nn.init.uniform_(parameter, 0.3, 0.9)
    return settled(randomize(made))


def settled(module: nn.Module) -> nn.Module:
    """Give the norms the statistics of what they get: with others, nothing of the input is left at
    the end of a deep network, whatever is done to it on the way."""
    module.eval()
    norms = [inner for inner in module.modules() if isinstance(inner, _BatchNorm)]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        module(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
    return module.eval()


def outputs(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return copy.deepcopy(module).eval()(x)


def error(wanted: Tensor, got: Tensor) -> float:
    return float((wanted - got).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("name", ZOO)
def test_models_of_the_zoos(name: str) -> None:
    module = build(name)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-12)):
        module = module.to(dtype)
        fused = blocktool.fuse(module, SIZE, verify=False)
        counts = {kind: count for kind, count in fused.report.counts.items() if count}
        assert counts == ZOO[name]
        x = torch.randn(SIZE, generator=torch.Generator().manual_seed(1), dtype=dtype)
        wanted = outputs(module, x)
        assert error(wanted[0], wanted[1]) > 0.01  # the input gets through at all
        assert error(wanted, outputs(fused.module, x)) < tolerance
    left = sum(isinstance(inner, _BatchNorm) for inner in fused.module.modules())
    before = sum(isinstance(inner, _BatchNorm) for inner in module.modules())
    assert left == (17 if name.endswith("resnetv2_50") else 0)
    assert (left > 0) == bool(fused.report.refused)
    if "conv_bn" in ZOO[name]:
        assert before - left == ZOO[name]["conv_bn"]
        # A norm's operation and the creation of its scratch; in the fused copy neither.
        assert fused.report.ops_before - fused.report.ops_after == 2 * (before - left)


def test_parameters_by_hand() -> None:
    """Each norm gives up weight and bias, and its convolution gets a bias."""
    report = blocktool.fuse(build("torchvision:resnet18"), SIZE, verify=False).report
    widths = 64 + 4 * 64 + 5 * (128 + 256 + 512)  # stem, first stage, four convs and a shortcut
    assert report.params_before - report.params_after == widths
    assert report.params_before == 11_689_512  # torchvision's published figure


def test_the_same_as_torch_fx_gives() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.utils.mkldnn still scripts
        from torch.fx.experimental.optimization import fuse
    module = build("torchvision:resnet18").eval()
    x = waves(*SIZE)
    theirs = fuse(module)
    ours = blocktool.fuse(module, SIZE).module
    assert error(outputs(theirs, x), outputs(ours, x)) < 1e-6
    mine, other = ours.state_dict(), theirs.state_dict()
    assert len(mine) == len(other) == 2 * 21
    for name, tensor in mine.items():
        assert torch.allclose(tensor, other[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("kind", ["bottleneck", "layer scale", "preact"])
def test_our_blocks_as_their_own_fuse(kind: str) -> None:
    block = {
        "bottleneck": lambda: BottleneckBlock(32, 64, stride=2),
        "layer scale": lambda: ResidualBlock(32, layer_scale=1e-4),
        "preact": lambda: PreActBlock(32),
    }[kind]()
    randomize(block)
    result = blocktool.fuse(block)  # the block says itself what it takes
    assert result.report.max_relative_error is not None
    x = waves(2, 32, 9, 9)
    own = copy.deepcopy(block).eval().fuse()
    assert error(outputs(own, x), outputs(result.module, x)) < 1e-5
    assert error(outputs(block, x), outputs(result.module, x)) < 1e-5
    counts = {k: count for k, count in result.report.counts.items() if count}
    assert (
        counts
        == {
            "bottleneck": {"conv_bn": 4},
            "layer scale": {"conv_bn": 2, "layer_scale": 1},
            "preact": {"conv_bn": 1},
        }[kind]
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision(dtype: torch.dtype, tolerance: float) -> None:
    module = build("torchvision:resnet18").to(dtype)
    result = blocktool.fuse(module, SIZE)
    assert result.report.tolerance == tolerance
    (error_,) = result.report.errors
    assert 1e-5 < error_.relative_error < tolerance
    assert error_.randomized < 1e-5  # which is measured in float32
    assert {p.dtype for p in result.module.parameters()} == {dtype}


def test_on_meta() -> None:
    with torch.device("meta"):
        module = import_torchvision().models.resnet50()
    result = blocktool.fuse(module, SIZE)
    assert result.report.counts["conv_bn"] == 53
    assert result.report.unverified == "the module is on meta, without values"
    assert all(p.is_meta for p in result.module.parameters())
    assert result.module(torch.empty(SIZE, device="meta")).shape == (2, 1000)
    with torch.device("meta"):
        module = import_torchvision().models.convnext_tiny()
    assert blocktool.fuse(module, SIZE).report.counts["layer_scale"] == 18
