"""Which sizes are run with numbers to test a claim. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, zip_longest

from blocktool.analysis.boxes import Box
from blocktool.analysis.domain import Region, Relation
from blocktool.analysis.size_sets import EVERY, SizeSet
from blocktool.analysis.witness import witness
from blocktool.check.claims import Claim
from blocktool.check.explore import Exploration, Way

_PER_SIDE = 7


def least_sizes(found: Exploration) -> dict[str, int] | None:
    """For each symbol the size from which on, in all symbols, every size is on a way.

    None where there are no such sizes: something large is on no way.
    """
    least = dict.fromkeys(found.symbols, 1)
    for box, _ in found.open():
        ends = {symbol: most for symbol, own in box.sets.items() if (most := own.most) is not None}
        if not ends:
            return None
        if any(most < least[symbol] for symbol, most in ends.items()):
            continue
        symbol = min(ends, key=lambda each: (ends[each], each))
        least[symbol] = ends[symbol] + 1
    return least


def small_sizes(
    found: Exploration, claimed: Claim, least: Mapping[str, int]
) -> list[dict[str, int]]:
    """Every size below ``least``, one symbol at a time, the others as at the base."""
    usual = usual_sizes(found, claimed)
    wanted = (usual | {symbol: size} for symbol, first in least.items() for size in range(1, first))
    return [sizes for sizes in wanted if found.within.holds(sizes)]


def telling_sizes(found: Exploration, claimed: Claim) -> Iterator[dict[str, int]]:
    """Sizes on both sides of every condition, then some of every way, then mixed ones."""
    usual = usual_sizes(found, claimed)
    sides = {symbol: list(_both_sides(claimed, symbol, usual)) for symbol in found.symbols}
    yield usual
    yield from (dict.fromkeys(found.symbols, size) for size in (1, 2, 3, 5))
    yield from _alternating(
        [[usual | {symbol: size} for size in sizes] for symbol, sizes in sides.items()]
    )
    relations = {each.key: each for region in claimed.regions for each in region.relations}.values()
    for relation in relations:
        yield from _around(relation, found, claimed, usual)
    ways = [list(_on_way(way)) for way in found.ways]
    yield from _alternating(ways)
    for shift in range(1, _PER_SIDE):
        yield {
            symbol: sizes[(place * shift + shift) % len(sizes)]
            for place, (symbol, sizes) in enumerate(sides.items(), 1)
            if sizes
        } | {symbol: usual[symbol] for symbol, sizes in sides.items() if not sizes}


def usual_sizes(found: Exploration, claimed: Claim) -> dict[str, int]:
    """The base, or the closest sizes at which the module is said to run."""
    if claimed.holds(found.base) or not claimed.regions:
        return dict(found.base)
    box = _box(claimed.regions[0], found.symbols)
    return witness(box, found.base) or dict(found.base)


def _box(region: Region, symbols: Iterable[str]) -> Box:
    """Sizes of the region, with one allowed outcome of each relation."""
    outcomes = {each.key: min(each.allowed, key=abs) for each in region.relations}
    return Box({symbol: region.of(symbol) for symbol in symbols}, outcomes)


def _both_sides(claimed: Claim, symbol: str, usual: Mapping[str, int]) -> Iterator[int]:
    inside = claimed.of(symbol)
    outside = EVERY - inside
    for one, other in ((inside, outside), (outside, inside)):
        yield from dict.fromkeys(islice(_telling(one, other, usual[symbol]), _PER_SIDE))


def _telling(own: SizeSet, other: SizeSet, usual: int) -> Iterator[int]:
    """Members next to where the set ends, then some around the usual size and far out."""
    if not own:
        return
    yield own.least
    if own.most is not None:
        yield own.most
    if other:
        for edge in (other.least, other.most or other.nearest(usual), other.nearest(usual)):
            yield own.nearest(edge)
            yield own.nearest(edge + 1)
    for size in (usual + 1, 2 * usual + 1, 3, 2, 97):
        yield own.nearest(size)


def _around(
    relation: Relation, found: Exploration, claimed: Claim, usual: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    sets = {symbol: claimed.of(symbol) for symbol in found.symbols}
    for outcome in sorted(relation.outcomes):
        for near in (usual, {symbol: 2 * size + 3 for symbol, size in usual.items()}):
            sizes = witness(Box(sets, {relation.key: outcome}), near)
            if sizes is not None:
                yield sizes


def _on_way(way: Way) -> Iterator[dict[str, int]]:
    box = _box(way.region, way.run.hints)
    for more in (9, 40):
        near = {symbol: size + more for symbol, size in way.run.hints.items()}
        sizes = witness(box, near)
        if sizes is not None:
            yield sizes


def _alternating(lists: list[list[dict[str, int]]]) -> Iterator[dict[str, int]]:
    turns = zip_longest(*lists)
    return (sizes for sizes in chain.from_iterable(turns) if sizes is not None)
