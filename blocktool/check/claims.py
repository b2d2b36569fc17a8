"""From the ways through a module to one claim: for which sizes it runs, and what comes out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from blocktool.analysis.boxes import boxes
from blocktool.analysis.domain import Region, Relation
from blocktool.analysis.expressions import Comparison, names_in, to_text
from blocktool.analysis.ranges import OverdueError, until
from blocktool.analysis.size_sets import NONE, SizeSet
from blocktool.analysis.witness import is_empty
from blocktool.analysis.words import conditions, together
from blocktool.check.explore import Exploration, Way
from blocktool.check.unions import simplified

_SHOWN, _LONG = 2, 120
_SECONDS = 1.0  # a note is worth no more


@dataclass(frozen=True, slots=True)
class Claim:
    """The module runs for the sizes of any of ``regions``, and for no others."""

    regions: tuple[Region, ...]

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether it runs at these sizes, by this claim."""
        return any(region.holds(sizes) for region in self.regions)

    def of(self, symbol: str) -> SizeSet:
        """The sizes of one symbol with which it can run at all."""
        result = NONE
        for region in self.regions:
            result = result | region.of(symbol)
        return result

    def constraints(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """The claim as conditions, all of which are to hold."""
        if not self.regions:
            return ()
        if len(self.regions) == 1:
            return _of_region(self.regions[0], symbols)
        parts = [_of_region(region, symbols) for region in self.regions]
        shared = tuple(text for text in parts[0] if all(text in part for part in parts))
        rests = [[text for text in part if text not in shared] for part in parts]
        if not all(rests):
            return shared
        return (*shared, " or ".join(map(together, rests)))

    def fixed(self, symbols: Iterable[str]) -> dict[str, int]:
        """Symbols that take one size only."""
        found = {}
        for symbol in symbols:
            own = self.of(symbol)
            if own and own.least == own.most:
                found[symbol] = own.least
        return found


def _of_region(region: Region, symbols: Sequence[str]) -> tuple[str, ...]:
    own = [text for symbol in symbols for text in conditions(region.of(symbol), symbol)]
    return (*own, *map(relation_text, region.relations))


def relation_text(relation: Relation) -> str:
    """``"H == W"``, with the number on the right."""
    key = relation.key
    operators = {
        frozenset((0,)): ("==", "=="),
        frozenset((-1, 1)): ("!=", "!="),
        frozenset((-1,)): ("<", ">"),
        frozenset((-1, 0)): ("<=", ">="),
        frozenset((1,)): (">", "<"),
        frozenset((0, 1)): (">=", "<="),
    }
    if not isinstance(key, Comparison) or relation.allowed not in operators:
        return to_text(relation.condition)
    forward, backward = operators[relation.allowed]
    if names_in(key.left):
        return to_text(Comparison(forward, key.left, key.right))
    return to_text(Comparison(backward, key.right, key.left))


def claim(found: Exploration) -> Claim:
    """For which sizes the module runs, as the ways show it.

    Each symbol by itself with common relations where that is all; else a list of alternatives.
    """
    running = [way for way in found.ways if way.runs]
    if not running:
        return Claim(())
    sets = {symbol: _own(found, running, symbol) for symbol in found.symbols}
    product = Region(sets, _common([way.region for way in running]))
    failing = [way.region for way in found.ways if not way.runs]
    for box, inside in boxes(failing, product, found.symbols):
        if inside and not is_empty(box, found.base):
            break
    else:
        return Claim((product,))
    return Claim(tuple(simplified([_extended(found, way) for way in running], found.base)))


def followed(found: Exploration) -> str:
    """For which sizes ways were followed, shortened."""
    regions = [way.region for way in found.ways]
    with suppress(OverdueError), until(time.monotonic() + _SECONDS):  # else in more words
        regions = simplified(regions, found.base)
    parts = [" and ".join(_of_region(each, found.symbols)) or "all sizes" for each in regions]
    more = f", or {len(parts) - _SHOWN} others" if len(parts) > _SHOWN else ""
    return f"ways were followed for {', or '.join(map(_short, parts[:_SHOWN]))}{more}"


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _own(found: Exploration, running: Sequence[Way], symbol: str) -> SizeSet:
    """The sizes of one symbol at which it runs; where no way is known, as conditions go on."""
    sure = loose = NONE
    for way in running:
        sure = sure | way.region.of(symbol)
        loose = loose | way.loose.of(symbol)
    return sure | (loose - _known(found, symbol))


def _known(found: Exploration, symbol: str) -> SizeSet:
    """The sizes of one symbol on some way, with the others at their base."""
    known = NONE
    for way in found.ways:
        others = (name for name in found.symbols if name != symbol)
        if all(found.base[name] in way.region.of(name) for name in others):
            known = known | way.region.of(symbol)
    return known


def _extended(found: Exploration, way: Way) -> Region:
    """The sizes of a way, with those that only its conditions let through."""
    sets = {
        symbol: way.region.of(symbol) | (way.loose.of(symbol) - _known(found, symbol))
        for symbol in found.symbols
    }
    return Region(sets, way.region.relations)


def _common(regions: Sequence[Region]) -> tuple[Relation, ...]:
    """The relations that all regions state, each as wide as the widest."""
    result = []
    for first in regions[0].relations:
        same = [
            next((each for each in region.relations if each.key == first.key), None)
            for region in regions
        ]
        if None in same:
            continue
        allowed = frozenset[int]().union(*(each.allowed for each in same if each is not None))
        if allowed == first.allowed:
            result.append(first)
        elif allowed != first.outcomes:
            result.append(replace(first, allowed=allowed))
    return tuple(result)
