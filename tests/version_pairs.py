"""Two versions of a model each, and what was done from the first to the second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """A basic block, in which one thing at a time may be changed."""

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        *,
        strides: tuple[int, int] = (1, 1),
        kernel: int = 3,
        groups: int = 1,
        act: Callable[[], nn.Module] = nn.ReLU,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        gate: bool = False,
        bias: bool = False,
        drop: float | None = None,
        first: str = "conv1",
    ) -> None:
        super().__init__()
        wide = out_channels or channels
        conv = nn.Conv2d(channels, wide, kernel, strides[0], kernel // 2, groups=groups, bias=bias)
        self.first = first
        self.add_module(first, conv)
        self.norm1 = norm(wide)
        self.act = act()
        self.conv2 = nn.Conv2d(wide, wide, 3, strides[1], 1, bias=False)
        self.norm2 = norm(wide)
        if gate:
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide, 1), nn.Sigmoid()
            )
        if drop is not None:
            self.drop = nn.Dropout(drop)
        stride = strides[0] * strides[1]
        if stride > 1 or wide != channels:
            self.shortcut = nn.Conv2d(channels, wide, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.norm1(getattr(self, self.first)(x)))
        out = self.norm2(self.conv2(out))
        if hasattr(self, "gate"):
            out = out * self.gate(out)
        if hasattr(self, "drop"):
            out = self.drop(out)
        return self.act(out + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class GatedResidual(Residual):
    pass


class Net(nn.Module):
    """A stem, two stages of blocks, a head."""

    def __init__(
        self,
        width: int = 16,
        depths: tuple[int, int] = (2, 2),
        classes: int = 10,
        block: Callable[..., nn.Module] = Residual,
        functional: Callable[[Tensor], Tensor] = F.relu,
        pool: str = "mean",
        aux: bool = False,
        use_aux: bool = False,
        **changes: Any,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        strides = changes.pop("down", (2, 1))
        self.layer1 = nn.Sequential(*(block(width, **changes) for _ in range(depths[0])))
        self.layer2 = nn.Sequential(
            block(width, 2 * width, strides=strides, **changes),
            *(block(2 * width, **changes) for _ in range(depths[1] - 1)),
        )
        if aux:
            self.aux = nn.Conv2d(2 * width, 2 * width, 1)
        self.use_aux = use_aux
        self.head = nn.Linear(2 * width, classes)
        self.functional, self.pool = functional, pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.functional(self.stem(x))))
        if self.use_aux:
            x = x + self.aux(x)
        x = x.amax((2, 3)) if self.pool == "max" else x.mean((2, 3))
        return self.head(x)


class Language(nn.Module):
    """An embedding, an encoder and a decoder, whose weights may be tied; a layer may run twice."""

    def __init__(
        self, *, tied: bool = False, passes: int = 1, heads: int = 4, ff: int = 64
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 32)
        self.encoder = nn.TransformerEncoderLayer(32, heads, ff, batch_first=True)
        self.decoder = nn.Linear(32, 100, bias=False)
        self.passes = passes
        if tied:
            self.decoder.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for _ in range(self.passes):
            x = self.encoder(x)
        return self.decoder(x)


class Around(nn.Module):
    """Another module with a scale."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x) * self.scale


class Bottle(nn.Module):
    """Another block altogether."""

    def __init__(self, channels: int, out_channels: int | None = None, strides=(1, 1)) -> None:
        super().__init__()
        wide = out_channels or channels
        self.conv1 = nn.Conv2d(channels, 4, 1)
        self.mid = nn.Conv2d(4, 4, 3, strides[0] * strides[1], 1)
        self.conv2 = nn.Conv2d(4, wide, 1)
        self.norm2 = nn.GroupNorm(2, wide)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(self.mid(self.conv1(x))))


class Classified(nn.Module):
    """A network in another one, with a head of its own in place of that of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Net()
        self.model.head = nn.Identity()
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.model(x))


class Tied(nn.Module):
    """Layers with one weight, beside a parameter, or a buffer, of the module's own."""

    def __init__(
        self,
        layers: int = 3,
        width: int = 8,
        own: int = 5,
        *,
        order: str = "qkv",
        free: bool = True,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        for layer in self.layers[1:]:
            layer.weight = self.layers[0].weight
        for name in order:
            self.add_module(name, nn.Linear(width, width))
        scale = torch.ones(own, width)
        if free:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.q(x) + self.k(x) + self.v(x) + self.scale.sum(0)


class Stemmed(nn.Module):
    """A stem of several layers, under one name or another."""

    def __init__(self, name: str = "stem", width: int = 8) -> None:
        super().__init__()
        self.name_of_stem = name
        stem = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.add_module(name, stem)
        self.head = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(getattr(self, self.name_of_stem)(x))


def partly_frozen(module: nn.Module) -> nn.Module:
    """Without a gradient for the first bias."""
    module.get_parameter("layer1.0.norm1.bias").requires_grad_(False)
    return module


IMAGE, IDS = "1x3x16x16", "2x8:int64"


@dataclass(frozen=True)
class Pair:
    """``wanted`` are all statements: kind, text, and the modules that they name ("." the root)."""

    name: str
    old: Callable[[], nn.Module]
    new: Callable[[], nn.Module]
    wanted: tuple[tuple[str, str, str], ...]
    inputs: tuple[str, str] = (IMAGE, IMAGE)
    options: tuple[dict[str, Any], dict[str, Any]] = field(default=({}, {}))


def frozen(module: nn.Module, *names: str) -> nn.Module:
    """The module with the parameters of some children frozen."""
    for name in names:
        module.get_submodule(name).requires_grad_(False)
    return module


def sequential(**named: nn.Module) -> nn.Sequential:
    module = nn.Sequential()
    for name, child in named.items():
        module.add_module(name, child)
    return module


def chain(*names: str) -> nn.Sequential:
    made = {"norm": lambda: nn.LayerNorm(16), "up": lambda: nn.Linear(16, 16), "act": nn.GELU}
    return sequential(**{name: made[name]() for name in names})


PAIRS = (
    Pair("nothing", Net, Net, ()),
    Pair(
        "kernel widened",
        Net,
        lambda: Net(kernel=5),
        (
            (
                "configured",
                "kernel_size (3, 3) -> (5, 5), padding (1, 1) -> (2, 2)",
                "layer1.0.conv1 layer1.1.conv1 layer2.0.conv1 layer2.1.conv1",
            ),
        ),
    ),
    Pair(
        "block added",
        Net,
        lambda: Net(depths=(2, 3)),
        (("added", "added Residual of 6 modules", "layer2.2"),),
    ),
    Pair(
        "block removed",
        Net,
        lambda: Net(depths=(1, 2)),
        (("removed", "removed Residual of 6 modules", "layer1.1"),),
    ),
    Pair(
        "module renamed",
        Net,
        lambda: Net(first="conv_a"),
        (
            ("configured", "first conv1 -> conv_a", "layer1.0 layer1.1 layer2.0 layer2.1"),
            (
                "renamed",
                "conv1 -> conv_a",
                "layer1.0.conv_a layer1.1.conv_a layer2.0.conv_a layer2.1.conv_a",
            ),
        ),
    ),
    Pair(
        "stride moved",
        Net,
        lambda: Net(down=(1, 2)),
        (
            (
                "configured",
                "stride (2, 2) moved from layer2.0.conv1 to layer2.0.conv2",
                "layer2.0.conv1 layer2.0.conv2",
            ),
        ),
    ),
    Pair(
        "dtype",
        Net,
        lambda: Net().bfloat16(),
        (
            ("inputs", "inputs 1x3x16x16 -> 1x3x16x16:bfloat16", ""),
            ("dtype", "parameters float32 -> bfloat16", ""),
        ),
        (IMAGE, IMAGE + ":bfloat16"),
    ),
    Pair(
        "weights tied",
        Language,
        lambda: Language(tied=True),
        (("shared", "weights tied: one 100x32 for 2 modules", "embed decoder"),),
        (IDS, IDS),
    ),
    Pair(
        "weights untied",
        lambda: Language(tied=True),
        Language,
        (("shared", "weights no longer tied: it was one 100x32", "embed decoder"),),
        (IDS, IDS),
    ),
    Pair(
        "activation replaced",
        Net,
        lambda: Net(act=nn.SiLU),
        (("replaced", "ReLU -> SiLU", "layer1.0.act layer1.1.act layer2.0.act layer2.1.act"),),
    ),
    Pair(
        "norm replaced",
        Net,
        lambda: Net(norm=lambda c: nn.GroupNorm(4, c)),
        (
            (
                "replaced",
                "BatchNorm2d -> GroupNorm",
                "layer1.0.norm1 layer1.0.norm2 layer1.1.norm1 layer1.1.norm2 "
                "layer2.0.norm1 layer2.0.norm2 layer2.1.norm1 layer2.1.norm2",
            ),
        ),
    ),
    Pair(
        "widths scaled",
        Net,
        lambda: Net(24),
        (
            (
                "configured",
                "width 16 -> 24",
                "stem layer1.0.conv1 layer1.0.norm1 layer1.0.conv2 layer1.0.norm2 "
                "layer1.1.conv1 layer1.1.norm1 layer1.1.conv2 layer1.1.norm2 "
                "layer2.0.conv1 layer2.0.shortcut",
            ),
            (
                "configured",
                "width 32 -> 48",
                "layer2.0.conv1 layer2.0.norm1 layer2.0.conv2 layer2.0.norm2 "
                "layer2.0.shortcut layer2.1.conv1 layer2.1.norm1 layer2.1.conv2 "
                "layer2.1.norm2 head",
            ),
        ),
    ),
    Pair(
        "grouped",
        Net,
        lambda: Net(groups=8),
        (
            (
                "configured",
                "groups 1 -> 8",
                "layer1.0.conv1 layer1.1.conv1 layer2.0.conv1 layer2.1.conv1",
            ),
        ),
    ),
    Pair(
        "bias added",
        Net,
        lambda: Net(bias=True),
        (
            (
                "configured",
                "bias False -> True",
                "layer1.0.conv1 layer1.1.conv1 layer2.0.conv1 layer2.1.conv1",
            ),
        ),
    ),
    Pair(
        "gate added",
        Net,
        lambda: Net(gate=True),
        (
            (
                "added",
                "added gate, Sequential of 4 modules",
                "layer1.0.gate layer1.1.gate layer2.0.gate layer2.1.gate",
            ),
        ),
    ),
    Pair(
        "block replaced",
        Net,
        lambda: Net(block=GatedResidual, gate=True),
        (
            ("replaced", "Residual -> GatedResidual", "layer1.0 layer1.1 layer2.0 layer2.1"),
            (
                "added",
                "added gate, Sequential of 4 modules",
                "layer1.0.gate layer1.1.gate layer2.0.gate layer2.1.gate",
            ),
        ),
    ),
    Pair(
        "dropout added",
        Net,
        lambda: Net(drop=0.1),
        (
            (
                "added",
                "added drop, Dropout",
                "layer1.0.drop layer1.1.drop layer2.0.drop layer2.1.drop",
            ),
        ),
    ),
    Pair(
        "dropout rate",
        lambda: Net(drop=0.1),
        lambda: Net(drop=0.2),
        (
            (
                "configured",
                "p 0.1 -> 0.2",
                "layer1.0.drop layer1.1.drop layer2.0.drop layer2.1.drop",
            ),
        ),
    ),
    Pair(
        "classes",
        Net,
        lambda: Net(classes=100),
        (("configured", "out_features 10 -> 100", "head"),),
    ),
    Pair(
        "functional",
        Net,
        lambda: Net(functional=F.gelu),
        (("operations", "other operations in forward: relu 1 -> 0, gelu 0 -> 1", "."),),
    ),
    Pair("pool", Net, lambda: Net(pool="max"), (("configured", "pool mean -> max", "."),)),
    Pair(
        "input size",
        Net,
        Net,
        (("inputs", "inputs 1x3x16x16 -> 1x3x32x32", ""),),
        (IMAGE, "1x3x32x32"),
    ),
    Pair(
        "batch", Net, Net, (("inputs", "inputs 1x3x16x16 -> 4x3x16x16", ""),), (IMAGE, "4x3x16x16")
    ),
    Pair(
        "wrapped",
        Net,
        lambda: Around(Net()),
        (("moved", "wrapped in Around: everything moved into backbone", "backbone"),),
    ),
    Pair(
        "unwrapped",
        lambda: Around(Net()),
        Net,
        (("moved", "unwrapped from Around: everything moved out of backbone", "."),),
    ),
    Pair(
        "frozen",
        Net,
        lambda: frozen(Net(), "stem", "layer1"),
        (("trainable", "frozen: no gradient any more", "stem layer1"),),
    ),
    Pair(
        "frozen in training",
        Net,
        lambda: frozen(Net(), "stem", "layer1"),
        (("trainable", "frozen: no gradient any more", "stem layer1"),),
        options=({"mode": "training"}, {"mode": "training"}),
    ),
    Pair(
        "layer twice",
        Language,
        lambda: Language(passes=2),
        (
            ("calls", "called 1 -> 2 times", "encoder"),
            ("configured", "passes 1 -> 2", "."),
        ),
        (IDS, IDS),
    ),
    Pair(
        "heads",
        Language,
        lambda: Language(heads=8),
        (("configured", "num_heads 4 -> 8, head_dim 8 -> 4", "encoder.self_attn"),),
        (IDS, IDS),
    ),
    Pair(
        "feed-forward",
        Language,
        lambda: Language(ff=128),
        (("configured", "width 64 -> 128", "encoder.linear1 encoder.linear2"),),
        (IDS, IDS),
    ),
    Pair(
        "unused",
        lambda: Net(aux=True, use_aux=True),
        lambda: Net(aux=True),
        (
            ("configured", "use_aux True -> False", "."),
            ("calls", "no longer called", "aux"),
        ),
    ),
    Pair(
        "reordered",
        lambda: chain("norm", "up", "act"),
        lambda: chain("up", "norm", "act"),
        (("moved", "in another order: norm, up, act -> up, norm, act", "."),),
        ("4x16", "4x16"),
    ),
    Pair(
        "training",
        Net,
        Net,
        (("settings", "mode forward -> training", ""),),
        options=({}, {"mode": "training"}),
    ),
    Pair(
        "optimizer",
        Net,
        Net,
        (("settings", "optimizer sgd -> adamw", ""),),
        options=(
            {"mode": "training", "optimizer": "sgd"},
            {"mode": "training", "optimizer": "adamw"},
        ),
    ),
    Pair(
        "inserted first",
        lambda: nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)),
        lambda: nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)),
        (("added", "added LayerNorm", "0"),),
        ("4x16", "4x16"),
    ),
    Pair(
        "two things",
        Net,
        lambda: Net(kernel=5, first="conv_a", act=nn.SiLU, classes=7),
        (
            (
                "configured",
                "kernel_size (3, 3) -> (5, 5), padding (1, 1) -> (2, 2)",
                "layer1.0.conv_a layer1.1.conv_a layer2.0.conv_a layer2.1.conv_a",
            ),
            ("configured", "out_features 10 -> 7", "head"),
            ("configured", "first conv1 -> conv_a", "layer1.0 layer1.1 layer2.0 layer2.1"),
            ("replaced", "ReLU -> SiLU", "layer1.0.act layer1.1.act layer2.0.act layer2.1.act"),
            (
                "renamed",
                "conv1 -> conv_a",
                "layer1.0.conv_a layer1.1.conv_a layer2.0.conv_a layer2.1.conv_a",
            ),
        ),
    ),
    Pair(
        "inplace",
        Net,
        lambda: Net(act=lambda: nn.ReLU(inplace=True)),
        (
            (
                "configured",
                "inplace False -> True",
                "layer1.0.act layer1.1.act layer2.0.act layer2.1.act",
            ),
        ),
    ),
    Pair(
        "block replaced as a whole",
        lambda: Net(block=Residual),
        lambda: Net(block=Bottle),
        (("replaced", "Residual -> Bottle", "layer1.0 layer1.1 layer2.0 layer2.1"),),
    ),
    Pair(
        "wrapped with another head",
        Net,
        Classified,
        (
            ("added", "added classifier, Linear", "classifier"),
            ("replaced", "Linear -> Identity", "model.head"),
            ("moved", "wrapped in Classified: everything moved into model", "model"),
        ),
    ),
    Pair(
        "one more tied",
        Tied,
        lambda: Tied(4),
        (
            (
                "shared",
                "weights tied: one 8x8 for 4 modules",
                "layers.0 layers.1 layers.2 layers.3",
            ),
            ("added", "added Linear", "layers.3"),
        ),
        ("4x8", "4x8"),
    ),
    Pair(
        "tied and widened",
        Tied,
        lambda: Tied(width=12),
        (
            ("inputs", "inputs 4x8 -> 4x12", ""),
            ("configured", "width 8 -> 12", "layers.0 layers.1 layers.2 q k v"),
            ("configured", "own parameters 40 -> 60", "."),
        ),
        ("4x8", "4x12"),
    ),
    Pair(
        "a parameter of its own, beside tied ones",
        Tied,
        lambda: Tied(own=9),
        (("configured", "own parameters 40 -> 72", "."),),
        ("4x8", "4x8"),
    ),
    Pair(
        "a buffer becomes a parameter",
        lambda: Tied(free=False),
        Tied,
        (("configured", "own parameters 0 -> 40", "."),),
        ("4x8", "4x8"),
    ),
    Pair(
        "registered in another order",
        Tied,
        lambda: Tied(order="kqv"),
        (("moved", "in another order: layers, q, k, v -> layers, k, q, v", "."),),
        ("4x8", "4x8"),
    ),
    Pair(
        "numbered and reordered",
        lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()),
        lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.BatchNorm1d(8)),
        (
            (
                "moved",
                "in another order: Linear, BatchNorm1d, ReLU -> Linear, ReLU, BatchNorm1d",
                ".",
            ),
        ),
        ("4x8", "4x8"),
    ),
    Pair(
        "partly frozen",
        Net,
        lambda: partly_frozen(Net()),
        (("trainable", "trained parameters 32 -> 16", "layer1.0.norm1"),),
    ),
    Pair(
        "renamed and widened",
        Stemmed,
        lambda: Stemmed("patchify", 12),
        (
            ("configured", "width 8 -> 12", "patchify.0 patchify.1 head"),
            ("configured", "name_of_stem stem -> patchify", "."),
            ("renamed", "stem -> patchify", "patchify"),
        ),
    ),
    Pair(
        "a layer becomes several",
        lambda: nn.Sequential(nn.Linear(8, 8)),
        lambda: nn.Sequential(nn.Sequential(nn.Dropout(0.1), nn.Linear(8, 8))),
        (("replaced", "Linear -> Sequential", "0"),),
        ("4x8", "4x8"),
    ),
)
