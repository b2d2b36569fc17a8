"""A step of fusing: found on one copy of a module, applied to as many copies as are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from blocktool.results.optimize import FusedPart, RefusedPart


class Step(Protocol):
    """One change, by paths, so that it can be made in any copy of the same module."""

    @property
    def parts(self) -> tuple[FusedPart, ...]:
        """What the report says of it."""
        ...

    def apply(self, root: nn.Module) -> nn.Module:
        """Make the change in place; returns the root, which is a new one if it was replaced."""
        ...


@dataclass(frozen=True)
class Found:
    """What one pass over a trace found: steps to take, and what looked like one and is none."""

    steps: tuple[Step, ...]
    refused: tuple[RefusedPart, ...]
