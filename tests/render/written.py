"""Reports as the program writes them, of every kind: of small modules, run for the purpose."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import nn

import blocktool
from blocktool.analysis.compare import compare
from blocktool.analysis.flow import flow
from blocktool.cli.listing import list_blocks
from blocktool.render.json import to_json


class Small(nn.Module):
    """A convolution that may be fused with its norm, a block called twice, a shared weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.act = nn.ReLU()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.act(self.stem(x))).mean((2, 3))
        return self.two(self.one(x))


class Odd(nn.Module):
    """Runs at even sizes only."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 3, 2, 2), nn.ConvTranspose2d(3, 3, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.up(self.down(x))


def _summary(**options: Any) -> str:
    return to_json(blocktool.summarize(Small(), (2, 3, 8, 8), **options))


def _profile(**options: Any) -> str:
    quick = {"device": "cpu", "min_seconds": 0.002, "max_seconds": 0.01, "ceilings": False}
    return to_json(blocktool.profile(Small(), (2, 3, 8, 8), **quick, **options))


def _shapes() -> str:
    sweep = {"size": "7,8", "batch": "1", "dtype": "float32", "jobs": 1}
    return to_json(blocktool.check_shapes(Odd(), (1, 3, 8, 8), prove=True, **sweep))


def _comparison(old: nn.Module, new: nn.Module) -> str:
    sides = [blocktool.summarize(each, (2, 3, 8, 8)) for each in (old, new)]
    return to_json(compare(*sides).comparison)


def _listing() -> str:
    with redirect_stdout(io.StringIO()) as out:
        list_blocks(["conv"], format="json")
    return out.getvalue()


WRITERS: dict[str, Callable[[], str]] = {
    "summary": _summary,
    "summary-training": lambda: _summary(mode="training", optimizer="adamw"),
    "formulas": lambda: to_json(blocktool.formulas(Small(), ("B", 3, "H", "W"))),
    "list": _listing,
    "check-shapes": _shapes,
    "profile": lambda: _profile(variants=("eager", "fused"), per_module=True),
    "diagram": lambda: to_json(flow(blocktool.trace(Small(), (2, 3, 8, 8)))),
    "comparison": lambda: _comparison(Small(), Odd()),
    "profile-training": lambda: _profile(mode="training"),
}
"""What writes each of them."""
