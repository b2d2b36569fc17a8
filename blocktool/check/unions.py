"""Unions of regions in fewer and simpler regions. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocktool.analysis.boxes import boxes
from blocktool.analysis.domain import Region
from blocktool.analysis.size_sets import EVERY
from blocktool.analysis.witness import is_empty


def simplified(regions: Sequence[Region], near: Mapping[str, int]) -> list[Region]:
    """The same sizes: regions that differ in one symbol become one, needless conditions go."""
    rest = _merged(list(regions))
    for position in range(len(rest)):
        _widen(rest, position, near)
    kept = list(rest)
    for region in sorted(rest, key=_conditions, reverse=True):
        others = [each for each in kept if each is not region]
        if others and covered(region, others, near):
            kept = others
    # Alternatives about the first symbol come first.
    return sorted(kept, key=lambda each: [each.of(symbol).same(EVERY) for symbol in near])


def covered(region: Region, by: Sequence[Region], near: Mapping[str, int]) -> bool:
    """Whether every size of a region is in one of others."""
    return all(inside or is_empty(box, near) for box, inside in boxes(by, region, list(near)))


def _conditions(region: Region) -> int:
    return len(region.relations) + sum(not own.same(EVERY) for own in region.sets.values())


def _widen(regions: list[Region], position: int, near: Mapping[str, int]) -> None:
    """Leave out the conditions of a region that do not matter, as others cover what is added."""
    for symbol in near:
        one = regions[position]
        wider = Region(one.sets | {symbol: EVERY}, one.relations)
        if not one.of(symbol).same(EVERY) and covered(wider, regions, near):
            regions[position] = wider
    for relation in regions[position].relations:
        one = regions[position]
        others = tuple(each for each in one.relations if each is not relation)
        wider = Region(one.sets, others)
        if covered(wider, regions, near):
            regions[position] = wider


def _merged(regions: list[Region]) -> list[Region]:
    merged = True
    while merged:
        merged = False
        for first in range(len(regions)):
            for second in range(first + 1, len(regions)):
                union = _union(regions[first], regions[second])
                if union is not None:
                    others = [e for at, e in enumerate(regions) if at not in (first, second)]
                    regions = [union, *others]
                    merged = True
                    break
            if merged:
                break
    return regions


def _union(a: Region, b: Region) -> Region | None:
    """Both as one region, where they differ in one symbol at most."""
    if {r.key: r.allowed for r in a.relations} != {r.key: r.allowed for r in b.relations}:
        return None
    differing = [symbol for symbol in a.sets if not a.of(symbol).same(b.of(symbol))]
    if len(differing) > 1:
        return None
    return Region(a.sets | {s: a.of(s) | b.of(s) for s in differing}, a.relations)
