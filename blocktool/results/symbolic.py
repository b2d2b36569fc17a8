"""One run with symbols in place of sizes: what came out, and on which conditions."""

from __future__ import annotations

from dataclasses import dataclass

Size = int | str
"""A number, or an expression of symbols in the language of blocktool.analysis.expressions."""


@dataclass(frozen=True, slots=True)
class SymbolicTensor:
    """As :class:`~blocktool.results.specs.TensorSpec`, with expressions for some sizes."""

    shape: tuple[Size, ...]
    dtype: str = "float32"
    name: str | None = None

    def __str__(self) -> str:
        text = ", ".join(map(str, self.shape))
        return f"{self.name}: {text}" if self.name else text


@dataclass(frozen=True, slots=True)
class SymbolicRun:
    """The way that one run took, and for which other sizes it is the same.

    ``hints`` are the sizes at which the way was decided. ``guards`` are conditions on the symbols
    that were asked on the way and hold at the hints; every other size (of at least 2) for which
    all of them hold takes the same way and gives ``outputs``, or raises the same ``error``.
    ``assumptions`` were taken for granted without being asked: that no intermediate size is 1.
    Sizes for which one of them does not hold are not covered.
    """

    hints: dict[str, int]
    inputs: tuple[SymbolicTensor, ...]
    outputs: tuple[SymbolicTensor, ...]
    guards: tuple[str, ...]
    assumptions: tuple[str, ...]
    error: str | None = None
    """What the module raised, in one line."""
    error_module: str | None = None
    """The path of the innermost module that was running then."""
    limit: str | None = None
    """Why the run says nothing: an operation that cannot be traced symbolically, by name."""
