"""Unions of regions, part by part: within a box all sizes are in the same regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from blocktool.analysis.domain import Region, outcome_of
from blocktool.analysis.expressions import Node
from blocktool.analysis.ranges import check_time
from blocktool.analysis.size_sets import SizeSet


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a union of regions: sizes by symbol, and the outcomes of relations."""

    sets: dict[str, SizeSet]
    outcomes: dict[Node, int]

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether these sizes are in the box."""
        return all(sizes[symbol] in own for symbol, own in self.sets.items()) and all(
            outcome_of(key, sizes) == outcome for key, outcome in self.outcomes.items()
        )


def boxes(
    regions: Sequence[Region], within: Region, symbols: Sequence[str]
) -> Iterator[tuple[Box, tuple[int, ...]]]:
    """Cut the sizes of ``within`` where any region begins or ends.

    Gives each box with the positions of the regions that contain it; every other region has
    nothing in common with it. Boxes whose outcomes contradict each other may be among them.
    """
    known = [_cut(within.of(symbol), [one.of(symbol) for one in regions]) for symbol in symbols]
    for combination in product(*known):
        inside = frozenset(range(len(regions))).intersection(*(each for _, each in combination))
        sets = dict(zip(symbols, (sizes for sizes, _ in combination), strict=True))
        yield from _with_outcomes(regions, within, sets, sorted(inside))


def _cut(whole: SizeSet, sets: Sequence[SizeSet]) -> list[tuple[SizeSet, frozenset[int]]]:
    """The parts of a set that lie in the same ones of others, and in which."""
    positions: dict[SizeSet, set[int]] = {}
    for position, own in enumerate(sets):
        positions.setdefault(own, set()).add(position)
    parts: list[tuple[SizeSet, frozenset[int]]] = [(whole, frozenset())]
    for own, these in positions.items():
        cut = []
        for sizes, inside in parts:
            cut += [(sizes & own, inside | these), (sizes - own, inside)]
        parts = [part for part in cut if part[0]]
    return parts


def _with_outcomes(
    regions: Sequence[Region], within: Region, sets: dict[str, SizeSet], inside: list[int]
) -> Iterator[tuple[Box, tuple[int, ...]]]:
    """The box for each outcome of the relations that matter there."""
    keys: dict[Node, frozenset[int]] = {}
    for one in (within, *(regions[position] for position in inside)):
        keys |= {each.key: each.outcomes for each in one.relations}
    for values in product(*map(sorted, keys.values())):
        check_time()
        outcomes = dict(zip(keys, values, strict=True))
        if all(outcomes[each.key] in each.allowed for each in within.relations):
            yield (
                Box(sets, outcomes),
                tuple(
                    position
                    for position in inside
                    if all(
                        outcomes[each.key] in each.allowed for each in regions[position].relations
                    )
                ),
            )
