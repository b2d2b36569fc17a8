"""What the blocks are compared with: convolutional blocks and whole networks.

A case is a block of ours, an input, and modules of others that compute the same. Weights are shared
by writing ours into theirs, through the names that the tests of equality use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from block_keys import (
    State,
    conv_norm_act_keys,
    mobilenetv1_keys,
    renamed,
    resnet_keys,
    resnet_stage_keys,
    resnetv2_stage_keys,
    timm_vit_keys,
)
from common import ROOT
from torch import Tensor, nn

from blocktool import blocks
from blocktool.targets.resolve import resolve
from blocktool.targets.zoo_packages import import_zoo

Call = Callable[..., Tensor]


@dataclass(frozen=True)
class Contestant:
    """A module, how it is called, and its state under the names of ours, as views of it."""

    module: nn.Module
    keys: Callable[[State], State] = dict
    call: Call = lambda module, *inputs: module(*inputs)
    fast_path: bool = True  # of torch.nn's attention in eval; in training there is none


@dataclass(frozen=True)
class Case:
    """One block against its references."""

    ours: Contestant
    theirs: Mapping[str, Contestant]
    shapes: tuple[tuple[int, ...], ...]
    tolerance: float = 1e-5  # relative to the largest magnitude, in float32
    maps_last: bool = False  # inputs that are maps lie channels-last in memory in any case
    training: bool = True


def _one(keys: Callable[[State], State], prefix: str = "0.") -> Callable[[State], State]:
    """The names of a stage for its first block alone."""

    def names(state: State) -> State:
        named = keys({prefix + key: value for key, value in state.items()})
        return {key.removeprefix("0."): value for key, value in named.items()}

    return names


_resnet_block = _one(resnet_stage_keys)
_preact_block = _one(resnetv2_stage_keys, "blocks.0.")


def _separable_keys(state: State) -> State:
    return renamed(
        state,
        (r"^0\.0\.|^conv_dw\.", "depthwise.conv."),
        (r"^0\.1\.|^bn1\.", "depthwise.norm."),
        (r"^1\.0\.|^conv_pw\.", "pointwise.conv."),
        (r"^1\.1\.|^bn2\.", "pointwise.norm."),
    )


def _conv(**options: Any) -> Case:
    """A 3x3 convolution of 64 channels, norm, activation."""
    normed = import_zoo("torchvision").ops.misc.Conv2dNormActivation
    theirs = {
        "torchvision Conv2dNormActivation": normed(64, 64, 3, **options),
        "timm ConvNormAct": import_zoo("timm").layers.ConvNormAct(64, 64, 3, **options),
    }
    named = {name: Contestant(module, conv_norm_act_keys) for name, module in theirs.items()}
    kind: type[nn.Module] = blocks.ConvBlock
    if options:
        kind = blocks.GroupedConv if "groups" in options else blocks.DilatedConv
    return Case(Contestant(kind(64, 64, 3, **options)), named, ((4, 64, 32, 32),))


def _separable() -> Case:
    normed = import_zoo("torchvision").ops.misc.Conv2dNormActivation
    import_zoo("timm")
    from timm.models._efficientnet_blocks import DepthwiseSeparableConv

    theirs = {
        "timm DepthwiseSeparableConv": DepthwiseSeparableConv(64, 128, noskip=True, pw_act=True),
        "torchvision Conv2dNormActivation, twice": nn.Sequential(
            normed(64, 64, 3, groups=64), normed(64, 128, 1)
        ),
    }
    named = {name: Contestant(module, _separable_keys) for name, module in theirs.items()}
    return Case(Contestant(blocks.DepthwiseSeparableConv(64, 128)), named, ((4, 64, 32, 32),))


def _projection(width: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def _basic(se: bool = False) -> Case:
    from_timm = import_zoo("timm").models.resnet.BasicBlock
    squeeze = import_zoo("timm").layers.SEModule
    theirs = {"timm BasicBlock": from_timm(64, 64, attn_layer=squeeze if se else None)}
    if not se:
        from_torchvision = import_zoo("torchvision").models.resnet.BasicBlock
        theirs = {"torchvision BasicBlock": from_torchvision(64, 64), **theirs}
    named = {name: Contestant(module, _resnet_block) for name, module in theirs.items()}
    kind = blocks.SEResidualBlock if se else blocks.ResidualBlock
    return Case(Contestant(kind(64)), named, ((4, 64, 32, 32),))


def _bottleneck(se: bool = False, stride: int = 1, batch: int = 4) -> Case:
    """256 channels; with a stride, a projection to 512."""
    from_timm = import_zoo("timm").models.resnet.Bottleneck
    squeeze = import_zoo("timm").layers.SEModule
    out = 256 * stride
    options: dict[str, Any] = {"stride": stride}

    def shortcut() -> nn.Module | None:
        return None if stride == 1 else _projection(256, out, stride)

    theirs = {
        "timm Bottleneck": from_timm(
            256, out // 4, downsample=shortcut(), attn_layer=squeeze if se else None, **options
        )
    }
    if not se:
        from_torchvision = import_zoo("torchvision").models.resnet.Bottleneck
        other = from_torchvision(256, out // 4, downsample=shortcut(), **options)
        theirs = {"torchvision Bottleneck": other, **theirs}
    named = {name: Contestant(module, _resnet_block) for name, module in theirs.items()}
    ours = blocks.BottleneckBlock(256, out, attn="se" if se else None, **options)
    return Case(Contestant(ours), named, ((batch, 256, 16, 16),))


def _preact(kind: type[nn.Module], name: str, width: int, size: int) -> Case:
    timm = import_zoo("timm")
    bias_free = partial(nn.Conv2d, bias=False)

    def conv(a: int, b: int, k: int, stride: int = 1, dilation: int = 1, **rest: Any) -> nn.Module:
        padding = dilation * (k - 1) // 2
        return bias_free(a, b, k, stride, padding=padding, dilation=dilation, **rest)

    make = getattr(timm.models.resnetv2, name)
    theirs = make(width, width, conv_layer=conv, norm_layer=timm.layers.BatchNormAct2d)
    named = {f"timm {name}": Contestant(theirs, _preact_block)}
    return Case(Contestant(kind(width)), named, ((4, width, size, size),))


def _squeeze_excite() -> Case:
    theirs = {
        "torchvision SqueezeExcitation": import_zoo("torchvision").ops.misc.SqueezeExcitation(
            256, 16
        ),
        "timm SEModule": import_zoo("timm").layers.SEModule(256),
    }
    named = {name: Contestant(module) for name, module in theirs.items()}
    return Case(Contestant(blocks.SqueezeExcite(256)), named, ((4, 256, 16, 16),))


def example(name: str) -> nn.Module:
    """The network of ``examples/NAME.yaml``."""
    return resolve(str(ROOT / "examples" / f"{name}.yaml")).build()


def _network(name: str, others: Mapping[str, str], keys: Callable[[State], State]) -> Case:
    """An example against the same network of ``others`` (package: model)."""

    def build(package: str, model: str) -> nn.Module:
        zoo = import_zoo(package)
        return zoo.models.get_model(model) if package == "torchvision" else zoo.create_model(model)

    theirs = {
        f"{package} {model}": Contestant(build(package, model), keys)
        for package, model in others.items()
    }
    return Case(Contestant(example(name)), theirs, ((1, 3, 224, 224),), tolerance=1e-3)


CONVOLUTIONS: dict[str, Callable[[], Case]] = {
    "convolution 3x3, B4 C64 32x32": _conv,
    "grouped convolution, 8 groups": lambda: _conv(groups=8),
    "dilated convolution, dilation 2": lambda: _conv(dilation=2),
    "depthwise separable, 64 to 128": _separable,
    "residual, B4 C64 32x32": _basic,
    "SE residual": lambda: _basic(se=True),
    "bottleneck, B4 C256 16x16": _bottleneck,
    "bottleneck with projection, stride 2": lambda: _bottleneck(stride=2),
    "SE bottleneck": lambda: _bottleneck(se=True),
    "squeeze-and-excitation, B4 C256 16x16": _squeeze_excite,
    "pre-activation residual": lambda: _preact(blocks.PreActBlock, "PreActBasic", 64, 32),
    "pre-activation bottleneck": lambda: _preact(
        blocks.PreActBottleneck, "PreActBottleneck", 256, 16
    ),
}
NETWORKS: dict[str, Callable[[], Case]] = {
    "ResNet-18, one image": lambda: _network(
        "resnet18", {"torchvision": "resnet18", "timm": "resnet18"}, resnet_keys
    ),
    "ResNet-50, one image": lambda: _network(
        "resnet50", {"torchvision": "resnet50", "timm": "resnet50"}, resnet_keys
    ),
    "SE-ResNet-50, one image": lambda: _network("seresnet50", {"timm": "seresnet50"}, resnet_keys),
    "MobileNetV1, one image": lambda: _network(
        "mobilenet_v1", {"timm": "mobilenetv1_100"}, mobilenetv1_keys
    ),
    "ViT-S/16, one image": lambda: _network(
        "vit_s16", {"timm": "vit_small_patch16_224"}, timm_vit_keys
    ),
}
