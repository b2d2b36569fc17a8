"""Sets of sizes of one symbol: ``H % 7 == 0 and H >= 14``, exactly and for all sizes.

Such a set is periodic from some size on. It is held per residue class: the sizes at which
membership changes, along the class. Unions, complements and comparisons of sets are exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count, zip_longest
from math import lcm

from blocktool.analysis.breaks import Classes, in_class, joined, reduced
from blocktool.analysis.cells import pieces, truth
from blocktool.analysis.expressions import Node, names_in
from blocktool.analysis.ranges import MOST_CLASSES, Cell, Range, UndecidedError, check_time


@dataclass(frozen=True, slots=True)
class SizeSet:
    """A set of whole numbers from 1 on.

    ``breaks[r]`` belongs to the sizes ``n % len(breaks) == r``: those with an odd number of breaks
    at or below them are members. Compare sets with :meth:`same`: one set can be written with
    several periods.
    """

    breaks: Classes

    @property
    def modulus(self) -> int:
        """The period."""
        return len(self.breaks)

    def __contains__(self, size: int) -> bool:
        return bisect_right(self.breaks[size % self.modulus], size) % 2 == 1

    def __or__(self, other: SizeSet) -> SizeSet:
        return _combined(self, other, lambda a, b: a or b)

    def __and__(self, other: SizeSet) -> SizeSet:
        return _combined(self, other, lambda a, b: a and b)

    def __sub__(self, other: SizeSet) -> SizeSet:
        return _combined(self, other, lambda a, b: a and not b)

    def __invert__(self) -> SizeSet:
        return EVERY - self

    def __le__(self, other: SizeSet) -> bool:
        return not self - other

    def same(self, other: SizeSet) -> bool:
        """Whether both have the same members."""
        return self.breaks == other.breaks or (self <= other and other <= self)

    def __bool__(self) -> bool:
        return any(self.breaks)

    def __iter__(self) -> Iterator[int]:
        """The members, ascending; without end where there is none."""
        end = self.settled
        yield from (size for size in range(1, end) if size in self)
        residues = [size for size in range(end, end + self.modulus) if size in self]
        if residues:
            for turn in count():
                yield from (size + turn * self.modulus for size in residues)

    @property
    def settled(self) -> int:
        """From this size on the set is periodic."""
        last = max((breaks[-1] for breaks in self.breaks if breaks), default=1)
        # The class of the last break is settled from there on, the others too.
        return max(1, last - self.modulus + 1)

    @property
    def is_finite(self) -> bool:
        """Whether there is a largest member."""
        return all(len(breaks) % 2 == 0 for breaks in self.breaks)

    @property
    def least(self) -> int:
        """The smallest member; the set is not empty."""
        return min(breaks[0] for breaks in self.breaks if breaks)

    @property
    def most(self) -> int | None:
        """The largest member, None where there is none; the set is not empty."""
        if not self.is_finite:
            return None
        return max(breaks[-1] for breaks in self.breaks if breaks) - self.modulus

    def nearest(self, size: int) -> int:
        """The member closest to ``size``, the larger of two; the set is not empty."""
        for distance in range(2 * self.modulus):
            if size + distance in self:
                return size + distance
            if size - distance >= 1 and size - distance in self:
                return size - distance
        # Far away: at an edge of its class.
        edges = (
            edge
            for breaks in self.breaks
            for edge in chain(breaks[::2], (end - self.modulus for end in breaks[1::2]))
        )
        return min(edges, key=lambda edge: (abs(edge - size), -edge))

    def ranges(self) -> Iterator[Range]:
        """The set as ranges of residue classes."""
        step = self.modulus
        for residue, breaks in enumerate(self.breaks):
            for start, end in zip_longest(breaks[::2], breaks[1::2]):
                high = None if end is None else (end - residue) // step - 1
                yield Range(step, residue, (start - residue) // step, high)


def interval(low: int, high: int | None = None) -> SizeSet:
    """The sizes from ``low`` to ``high``, or all from ``low`` on."""
    if high is None:
        return SizeSet(((low,),))
    return SizeSet(((low, high + 1),)) if low <= high else NONE


def finite(sizes: Iterable[int]) -> SizeSet:
    """These sizes."""
    breaks: list[int] = []
    for size in sorted(set(sizes)):
        if breaks and breaks[-1] == size:
            breaks[-1] = size + 1
        else:
            breaks += [size, size + 1]
    return SizeSet((tuple(breaks),))


NONE = SizeSet(((),))
EVERY = SizeSet(((1,),))


@lru_cache(maxsize=4096)
def size_set(condition: Node) -> SizeSet:
    """The sizes of the one symbol in ``condition`` for which it holds.

    A size at which it has no value (a division by zero) is not in the set. Raises UndecidedError
    where the period, or the number of cases, is beyond bounds, and ValueError where there is more
    than one symbol.
    """
    names = sorted(names_in(condition))
    if len(names) > 1:
        raise ValueError(f"several sizes: {', '.join(names)}")
    name = names[0] if names else "H"
    start: Cell = {name: Range()}
    return from_ranges(
        cell[name] for cell, outcome in pieces(condition, [start]) if truth(outcome) is True
    )


def from_ranges(ranges: Iterable[Range]) -> SizeSet:
    """The sizes of ranges that have none in common.

    Raises UndecidedError where their common period is beyond bounds.
    """
    check_time()
    ranges = list(ranges)
    modulus = lcm(*(here.step for here in ranges))
    if modulus > MOST_CLASSES:
        raise UndecidedError(f"a period of {modulus}")
    members: list[list[tuple[int, int | None]]] = [[] for _ in range(modulus)]
    for here in ranges:
        first = here.size(here.low)
        last = None if here.high is None else here.size(here.high)
        for residue in range(here.offset % here.step, modulus, here.step):
            begin = first + (residue - first) % modulus
            end = None if last is None else last - (last - residue) % modulus + modulus
            if end is None or begin < end:
                members[residue].append((begin, end))
    return SizeSet(reduced(tuple(joined(spans) for spans in members)))


def _combined(a: SizeSet, b: SizeSet, rule: Callable[[bool, bool], bool]) -> SizeSet:
    check_time()
    modulus = lcm(a.modulus, b.modulus)
    if modulus > MOST_CLASSES:
        raise UndecidedError(f"a period of {modulus}")
    result = []
    for residue in range(modulus):
        left = in_class(a.breaks, residue, modulus)
        right = in_class(b.breaks, residue, modulus)
        breaks: list[int] = []
        inside = in_a = in_b = False
        for size in sorted({*left, *right}):
            in_a ^= size in left
            in_b ^= size in right
            if rule(in_a, in_b) != inside:
                inside = not inside
                breaks.append(size)
        result.append(tuple(breaks))
    return SizeSet(reduced(tuple(result)))
