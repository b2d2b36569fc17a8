"""Models with skips and a pyramid, and what the symbolic tests run: modules with their inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import SymbolicTensor
from blocktool.targets.resolve import resolve
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.build import build_without_data


class UNet(nn.Module):
    """Two levels with skips; sizes must be multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = _convs(3, 16), _convs(16, 32), _convs(32, 64)
        self.up2, self.up1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.join2, self.join1 = _convs(64, 32), _convs(32, 16)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        b = self.join2(torch.cat([b, self.up2(c)], 1))
        return self.head(self.join1(torch.cat([a, self.up1(b)], 1)))


def _convs(into: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


class FPN(nn.Module):
    """Three levels; each is brought to the size of the next finer one and added."""

    def __init__(self, mode: str = "nearest") -> None:
        super().__init__()
        self.mode = mode
        widths = ((3, 16), (16, 32), (32, 64))
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in widths)
        self.lateral = nn.ModuleList(nn.Conv2d(b, 32, 1) for _, b in widths)
        self.out = nn.ModuleList(nn.Conv2d(32, 32, 3, padding=1) for _ in widths)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x).relu()
            maps.append(x)
        levels: dict[str, torch.Tensor] = {}
        top = None
        for level in (2, 1, 0):
            y = self.lateral[level](maps[level])
            if top is not None:
                y = y + F.interpolate(top, size=y.shape[-2:], mode=self.mode)
            top = y
            levels[f"p{level}"] = self.out[level](y)
        return levels


@dataclass(frozen=True)
class Case:
    """A module with its inputs; ``hints`` are its own sizes, ``sizes`` where it is compared."""

    name: str
    module: nn.Module
    inputs: tuple[SymbolicTensor, ...]
    hints: dict[str, int]
    sizes: tuple[dict[str, int], ...]

    def at(self, sizes: dict[str, int]) -> tuple[TensorSpec, ...]:
        """The inputs with numbers for symbols."""
        return tuple(
            TensorSpec(tuple(sizes.get(n, n) for n in t.shape), t.dtype, t.name)
            for t in self.inputs
        )


_MAPS = (
    (1, 56, 56), (2, 64, 48), (3, 33, 35), (5, 41, 97), (2, 70, 63),
    (7, 49, 34), (4, 96, 128), (2, 111, 50), (1, 128, 131), (9, 37, 38), (2, 224, 192),
    (3, 60, 60), (4, 99, 43),
)  # fmt: skip


def block_case(name: str, arguments: tuple[str, ...] = ()) -> Case:
    """A block of the catalog."""
    target = resolve(name, arguments)
    module, _ = build_without_data(target)
    assert target.inputs is not None
    inputs, hints = [], {}
    for spec, tokens in zip(target.inputs, ("N", "M"), strict=False):
        shape = ("B", spec.shape[1], "H", "W") if len(spec.shape) == 4 else (
            "B", tokens, spec.shape[2])  # fmt: skip
        inputs.append(SymbolicTensor(shape, spec.dtype, spec.name))
        hints.update({s: max(n, 2) for s, n in zip(shape, spec.shape, strict=True) if s != n})
    sizes = tuple({"B": b, "H": h, "W": w, "N": h + w, "M": h} for b, h, w in _MAPS)
    sizes = tuple({name: size[name] for name in hints} for size in sizes)
    return Case(name, module, tuple(inputs), hints, sizes)


def model_case(name: str) -> Case:
    """A model of torchvision, or one of the two above."""
    fixed = name == "vit_b_16"
    if name in ("unet", "fpn"):
        module: nn.Module = UNet() if name == "unet" else FPN()
    else:
        import_zoo("torchvision")
        module, _ = build_without_data(resolve(f"torchvision:{name}"))
    shape = ("B", 3, 224, 224) if fixed else ("B", 3, "H", "W")
    hints = {"B": 2} if fixed else {"B": 2, "H": 224, "W": 192}
    if fixed:
        sizes = tuple({"B": b} for b in (1, 2, 3, 4, 5, 7, 8, 11, 16, 32, 64))
    elif name == "unet":
        sizes = tuple({"B": b, "H": 4 * (h // 4), "W": 4 * (w // 4)} for b, h, w in _MAPS)
    elif name == "swin_t":  # where its last stage has no shifted windows
        sizes = tuple({"B": b, "H": 120 + h % 107, "W": 120 + w % 105} for b, h, w in _MAPS)
    else:
        sizes = tuple({"B": b, "H": h + 32, "W": w + 32} for b, h, w in _MAPS)
    return Case(name, module, (SymbolicTensor(shape),), hints, sizes)


MODELS = ("resnet50", "vit_b_16", "swin_t", "convnext_tiny", "unet", "fpn")
