"""Residue classes on ranges of sizes, and cells of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf

MOST_CLASSES = 20_000

_end: ContextVar[float] = ContextVar("end", default=inf)


class UndecidedError(Exception):
    """A question about sizes that the algebra has no answer to; the message says which."""


class OverdueError(Exception):
    """There is no more time for a question about sizes."""


@contextmanager
def until(end: float) -> Iterator[None]:
    """Within it, questions about sizes raise OverdueError after ``end`` (of time.monotonic())."""
    token = _end.set(min(end, _end.get()))
    try:
        yield
    finally:
        _end.reset(token)


def check_time() -> None:
    """Raise OverdueError where the time is over."""
    if time.monotonic() > _end.get():
        raise OverdueError("the time is over")


@dataclass(frozen=True, slots=True)
class Range:
    """The sizes ``step * k + offset`` for ``low <= k <= high`` (None: no end)."""

    step: int = 1
    offset: int = 0
    low: int = 1
    high: int | None = None

    def refined(self, times: int) -> list[Range]:
        """The same sizes in ``times`` residue classes of a larger step.

        Raises UndecidedError where these are too many to list.
        """
        if times > MOST_CLASSES:
            raise UndecidedError(f"a period of {times * self.step}")
        ranges = []
        for j in range(times):
            low = -((j - self.low) // times)
            high = None if self.high is None else (self.high - j) // times
            if high is None or low <= high:
                ranges.append(Range(self.step * times, self.step * j + self.offset, low, high))
        return ranges

    def split(self, starts: Iterable[int]) -> list[Range]:
        """The same sizes, with a new range beginning at each of ``starts``."""
        inner = (k for k in starts if k > self.low and (self.high is None or k <= self.high))
        edges = [self.low, *sorted(set(inner))]
        ends = [edge - 1 for edge in edges[1:]] + [self.high]
        return [
            Range(self.step, self.offset, low, high) for low, high in zip(edges, ends, strict=True)
        ]

    def size(self, k: int) -> int:
        """The size at ``k``."""
        return self.step * k + self.offset


Cell = dict[str, Range]


class CutError(Exception):
    """The cell is too large for one answer: cut it like this."""

    def __init__(self, name: str, ranges: list[Range]) -> None:
        super().__init__(name)
        self.name = name
        self.ranges = ranges
