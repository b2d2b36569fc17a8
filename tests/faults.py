"""The museum of faults: modules that do not hold, with what must be said of them, and modules that
do hold, of which nothing may be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from faulty import arguments, batches, sizes, values
from torch import nn

MAP = "B, 16, H, W"
_NOT_SQUARE = r"\b[HW] (is not|differs from|!=|≠|<|>) [HW]\b|H and W differ|square|swap"


class Fault(NamedTuple):
    """A class, kinds of failure of which one must be found, a pattern that names the cause, and
    what is asked: options of check-shapes by name (``{"expect": "B, 16, H, W"}``), and under
    ``arguments`` the KEY=VALUE words.

    Failures of other kinds may be found as well. The pattern is searched, without regard to case,
    in message, hint, where, expected, actual and the path of the module.
    """

    cls: type[nn.Module]
    kinds: frozenset[str]
    pattern: str
    options: Mapping[str, object] = {}


@dataclass(frozen=True)
class Sound:
    """A target that holds, with the arguments and inputs that it needs, and options as above."""

    target: str
    arguments: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join((self.target, *self.arguments))


def _fault(cls: type[nn.Module], kinds: str, pattern: str, **options: object) -> Fault:
    return Fault(cls, frozenset(kinds.split()), pattern, options)


_SIZES = (
    _fault(sizes.OffByOnePadding, "shape", r"H ?\+ ?2|H is 1, got 3\b", expect=MAP),
    _fault(sizes.HardCodedSize, "error", r"\bhead\b"),
    _fault(sizes.SwappedSides, "shape", rf"16, W, H|{_NOT_SQUARE}", expect=MAP),
    _fault(sizes.SwappedGrid, "error", _NOT_SQUARE),
    _fault(sizes.NormOverWidth, "error", r"\bnorm\b"),
    _fault(
        sizes.LeftInChannelsLast,
        "shape",
        r"B, H, W, 16|\b1(x|, )\d+(x|, )\d+(x|, )16\b",
        expect=MAP,
    ),
    _fault(sizes.EvenSizesOnly, "error", r"\bodd\b|\beven\b|% 2"),
    _fault(sizes.OddSizesOnly, "error", r"\bodd\b|\beven\b|% 2"),
    _fault(sizes.WindowsOfEight, "error", r"multiple of 8|% 8"),
    _fault(sizes.HeadsAcrossTokens, "error", r"\[\d+, 4, \d+, 16\]|multiple of 4|% 4"),
    _fault(sizes.PositionTable, "error", r"\b1024\b|\bposition\b"),
    _fault(sizes.UpsampledToFixedSize, "shape", r"16, 32, 32|16x32x32", expect=MAP),
    _fault(
        sizes.FloorInsteadOfCeil,
        "shape",
        r"\bodd\b|% 2|H ?// ?2",
        expect="B, 16, ceil(H/2), ceil(W/2)",
    ),
    _fault(sizes.NormOverTokens, "error", r"\bnorm\b"),
)

_ARGUMENTS = (
    _fault(
        arguments.MissingProjection,
        "error",
        r"\b32\b.*\b16\b|\b16\b.*\b32\b",
        arguments=("out_channels=16,32",),
    ),
    _fault(
        arguments.UnstridedShortcut, "error", r"stride|size of tensor", arguments=("stride=1,2",)
    ),
    _fault(
        arguments.EvenKernel, "error", r"kernel_size|size of tensor", arguments=("kernel_size=3,4",)
    ),
    _fault(
        arguments.RoundedChannels,
        "error",
        r"\b18\b.*\b20\b|\b20\b.*\b18\b|width",
        arguments=("width=24,20",),
    ),
    _fault(arguments.MisspeltLayer, "build", r"AvgPool2D", arguments=("stride=1,2",)),
    _fault(arguments.TrainOnlyCrash, "error", r"\bauxiliary\b"),
    _fault(arguments.FloatOnly, "dtype", r"float32", dtype="float32,bfloat16"),
    _fault(arguments.TableOutsideTheModule, "dtype", r"float32", dtype="float32,bfloat16"),
    _fault(arguments.ZerosWithoutDtype, "error dtype", r"float|dtype", dtype="float32,bfloat16"),
    _fault(
        arguments.ViewOfAnyMemory,
        "error layout",
        r"view|channels.?last|stride|contiguous",
        device="cpu",
    ),
    _fault(arguments.LosesMemoryFormat, "layout", r"channels.?last|memory format"),
)

_BATCHES = (
    _fault(batches.MixesBatchAndSpace, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.BatchFoldedIntoTokens, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.BatchStatisticsInEval, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.SoftmaxOverBatch, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.MeanOverBatch, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.ItemsChangePlaces, "batch", r"\bitems?\b|\bbatch\b", device="cpu"),
    _fault(batches.SqueezesTheBatch, "shape", r"\bB\b.*\b1\b|batch", expect="B, 10"),
    _fault(batches.HardCodedBatch, "shape", r"\bB\b|batch", expect="B, H*W, 16"),
    _fault(batches.FlattensTheBatch, "error shape", r"\bhead\b|\bB\b", expect="B, 10"),
)

_VALUES = (
    _fault(values.DamagesItsInput, "inplace", r"\binput\b.*(chang|modif|written)", device="cpu"),
    _fault(
        values.ReturnsItsInputChanged, "inplace", r"\binput\b.*(chang|modif|written)", device="cpu"
    ),
    _fault(values.DropoutInEval, "repeat", r"eval|repeat|twice|second", device="cpu"),
    _fault(values.NoiseInEval, "repeat", r"eval|repeat|twice|second", device="cpu"),
    _fault(values.KeepsState, "repeat", r"eval|repeat|twice|second", device="cpu"),
    _fault(values.UnusedParameter, "grad", r"\bspare\.(weight|bias)|\bspare\b"),
    _fault(values.DetachedBranch, "grad", r"\bgate\b"),
    _fault(values.DataOfParameter, "grad", r"\bscale\b"),
    _fault(values.DetachedOutput, "grad", r"no_grad|detach|require|graph"),
    _fault(values.InPlaceBreaksBackward, "grad error", r"in-?place"),
    _fault(values.WrongGradientShape, "grad error", r"invalid gradient|_ScaleBackward"),
)

FAULTS: tuple[Fault, ...] = (*_SIZES, *_ARGUMENTS, *_BATCHES, *_VALUES)

_SMALL = ("1x3x64x64",)
_TORCHVISION = (
    Sound("torchvision:resnet18", inputs=_SMALL),
    Sound("torchvision:mobilenet_v2", inputs=_SMALL),
    Sound("torchvision:mobilenet_v3_small", inputs=_SMALL),
    Sound("torchvision:shufflenet_v2_x0_5", inputs=_SMALL),
    Sound("torchvision:squeezenet1_1", inputs=_SMALL),
    Sound("torchvision:regnet_y_400mf", inputs=_SMALL),
    Sound("torchvision:efficientnet_b0", inputs=_SMALL),
    Sound("torchvision:densenet121", inputs=_SMALL),
    Sound("torchvision:swin_t", inputs=_SMALL),
    Sound("torchvision:vit_b_16", ("image_size=64",), _SMALL),
    Sound("torchvision:googlenet", ("init_weights=false", "aux_logits=false"), _SMALL),
    Sound(
        "torchvision:inception_v3",
        ("init_weights=false", "aux_logits=false"),
        ("1x3x96x96",),
        {"mode": "eval"},
    ),
    Sound("torchvision:lraspp_mobilenet_v3_large", inputs=_SMALL),
    Sound("torchvision:fcn_resnet50", inputs=_SMALL),
)
_TIMM = (
    Sound("timm:convnext_atto", inputs=_SMALL),
    Sound("timm:vit_tiny_patch16_224"),
    Sound("timm:swin_tiny_patch4_window7_224"),
    Sound("timm:resnetv2_50", inputs=_SMALL),
    Sound("timm:edgenext_xx_small", inputs=_SMALL),
    Sound("timm:mobileone_s0", inputs=_SMALL),
)
_LAYERS = (
    Sound(
        "torch.nn:Conv2d", ("in_channels=16", "out_channels=32", "kernel_size=3"), ("1x16x32x32",)
    ),
    Sound(
        "torch.nn:ConvTranspose2d",
        ("in_channels=16", "out_channels=8", "kernel_size=2", "stride=2"),
        ("1x16x32x32",),
    ),
    Sound("torch.nn:BatchNorm2d", ("num_features=16",), ("1x16x32x32",)),
    Sound("torch.nn:GroupNorm", ("num_groups=4", "num_channels=16"), ("1x16x32x32",)),
    Sound("torch.nn:Upsample", ("scale_factor=2", "mode=bilinear"), ("1x16x32x32",)),
    Sound("torch.nn:Dropout2d", ("p=0.5",), ("1x16x32x32",)),
    Sound(
        "torch.nn:MultiheadAttention",
        ("embed_dim=32", "num_heads=4", "batch_first=true"),
        ("1x20x32", "1x20x32", "1x20x32"),
    ),
    Sound(
        "torch.nn:TransformerEncoderLayer",
        ("d_model=32", "nhead=4", "dim_feedforward=64", "batch_first=true"),
        ("1x20x32",),
    ),
    Sound("torch.nn:GRU", ("input_size=16", "hidden_size=32", "batch_first=true"), ("1x20x16",)),
    Sound("torch.nn:PixelShuffle", ("upscale_factor=2",), ("1x16x32x32",)),
)
_OURS = (
    Sound("conv", ("stride=1,2", "kernel_size=3,5")),
    Sound("bottleneck", ("in_channels=64", "stride=1,2", "groups=1,4")),
    Sound("self-attention", ("channels=32", "window=7")),
    Sound("transformer", ("dim=32", "num_heads=4")),
    Sound("se-residual", ("in_channels=16", "out_channels=16,32")),
    Sound("examples/resnet18.yaml", inputs=_SMALL),
    Sound("examples/mobilenet_v1.yaml", inputs=_SMALL),
    Sound("examples/hybrid.yaml", inputs=_SMALL),
    Sound("examples/vit_s16.yaml"),
)

SOUND: tuple[Sound, ...] = (*_TORCHVISION, *_TIMM, *_LAYERS, *_OURS)
"""Several values after one ``=`` are a sweep of that argument."""
