"""Modules whose sizes are constrained, and how tests run them without anything of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.analysis.contracts import parse_contracts
from blocktool.analysis.expressions import evaluate, parse
from blocktool.check.pattern import Pattern
from blocktool.results.shapes import Proof

Shapes = tuple[tuple[int, ...], ...]


def plain_run(module: nn.Module, pattern: Pattern) -> Callable[[Mapping[str, int]], Shapes | str]:
    """The shapes that torch gives at some sizes, on the meta device, or the error."""
    module.to("meta").eval()

    def run(sizes: Mapping[str, int]) -> Shapes | str:
        specs = pattern.at(sizes)
        assert specs is not None
        made = [
            (spec.name, torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta"))
            for spec in specs
        ]
        try:
            with torch.no_grad():
                out = module(*(x for name, x in made if not name), **{n: x for n, x in made if n})
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if isinstance(out, dict):
            out = tuple(out.values())
        tensors = out if isinstance(out, (tuple, list)) else (out,)
        return tuple(tuple(x.shape) for x in tensors if isinstance(x, Tensor))

    return run


def claimed_run(proof: Proof) -> Callable[[Mapping[str, int]], Shapes | None]:
    """The shapes that a proof's own words give at some sizes, None where it is not to run."""
    conditions = [parse(text) for text in proof.constraints]
    outputs = [
        ([parse(text) for text in each.constraints], parse_contracts([each.output]))
        for each in proof.outputs
    ]

    def run(sizes: Mapping[str, int]) -> Shapes | None:
        if not all(evaluate(node, sizes) for node in conditions):
            return None
        own = [each for where, each in outputs if all(evaluate(node, sizes) for node in where)]
        assert len(own) <= 1, (sizes, own)
        shapes = own[0] if own else None
        return shapes and tuple(tuple(int(evaluate(s, sizes)) for s in e.sizes) for e in shapes)

    return run


def _convs(into: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


class UNet(nn.Module):
    """Halves twice, doubles twice, and joins what is equally large: multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = _convs(3, 8), _convs(8, 16), _convs(16, 32)
        self.up2, self.up1 = _convs(48, 16), _convs(24, 8)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        b = self.up2(torch.cat([F.interpolate(c, scale_factor=2), b], 1))
        a = self.up1(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        return self.head(a)


class FPN(nn.Module):
    """A pyramid of strides 4, 8, 16, ...; each level is doubled and added to the finer one."""

    def __init__(self, levels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.stages = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(levels))
        self.lateral = nn.ModuleList(nn.Conv2d(8, 16, 1) for _ in range(levels))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        maps = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        levels = [maps.pop()]
        while maps:
            levels.insert(0, maps.pop() + F.interpolate(levels[0], scale_factor=2))
        return tuple(levels)


class Windows(nn.Module):
    """Parts a map into windows of 7."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        parts = x.view(b, c, h // 7, 7, w // 7, 7)
        return parts.permute(0, 2, 4, 3, 5, 1).reshape(-1, 49, c)


class Transposed(nn.Module):
    """Adds a map to its transpose: a square, or a line that is broadcast."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.transpose(2, 3)


class Swapped(nn.Module):
    """Height and width the wrong way round."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return x.permute(0, 2, 3, 1).reshape(b, w, h, c).permute(0, 3, 1, 2)


class Padded(nn.Module):
    """An odd height gets one more line: two ways, two formulas or one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 1)) if x.shape[2] % 2 else x


class Skip(nn.Module):
    """A stride-2 skip beside a pool that drops the last line; a map of 3 is broadcast."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) + x[:, :, ::2, ::2]


class Landscape(nn.Module):
    """Refuses what is higher than wide."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[3] < x.shape[2]:
            raise ValueError("must be wide")
        return x


class Positions(nn.Module):
    """A table of 16 positions added to patches of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.table = nn.Parameter(torch.zeros(1, 16, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.patches(x).flatten(2).transpose(1, 2) + self.table


class Normed(nn.Module):
    """Instance norm after a stride: needs more than one position, of height and width together."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.InstanceNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Single(nn.Module):
    """Its batch is written into it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(1, 3, x.shape[2] * x.shape[3])


class Halved(nn.Module):
    """Halves until the height is at most 4: a way, and an output, for each number of times."""

    def forward(self, x: Tensor) -> Tensor:
        while x.shape[2] > 4:
            x = F.max_pool2d(x, 2)
        return x


class Odd(nn.Module):
    """Refuses an even height."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2 == 0:
            raise ValueError("odd only")
        return x


class Valued(nn.Module):
    """Its output's shape depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0]
