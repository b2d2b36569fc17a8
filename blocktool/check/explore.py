"""Follows the ways that a module can take, until every size is on one of them.

A run with symbols follows the way of its hints and says for which sizes it is the same. The next
run starts at a size that is on no way so far. Needs no torch: the run is a function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from blocktool.analysis.boxes import Box, boxes
from blocktool.analysis.domain import Region, region
from blocktool.analysis.expressions import Node
from blocktool.analysis.ranges import OverdueError, check_time, until
from blocktool.analysis.size_sets import EVERY, SizeSet, finite, interval
from blocktool.analysis.witness import is_empty, witness
from blocktool.results.symbolic import SymbolicRun

Follow = Callable[[dict[str, int]], SymbolicRun]
"""One run with symbols, its way decided at these sizes."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a proof may take: ``runs`` with symbols and the ``seconds`` for them, and
    ``samples``, runs with numbers that test it.

    To work out what they show, and to test it, there are three tenths of the seconds more.
    """

    runs: int = 150
    seconds: float = 120.0
    samples: int = 160

    @property
    def in_all(self) -> float:
        """Seconds for everything."""
        return 1.3 * self.seconds


@dataclass(frozen=True, slots=True)
class Way:
    """A way through the module, and the sizes that surely take it."""

    run: SymbolicRun
    region: Region
    loose: Region
    """Where the conditions hold that were asked, assumptions and the size 1 aside."""

    @property
    def runs(self) -> bool:
        """Whether an output comes out, not an error."""
        return self.run.error is None


@dataclass
class Exploration:
    """The ways that were found."""

    symbols: tuple[str, ...]
    base: dict[str, int]
    """A size for each symbol from which the ways were followed."""
    within: Region
    """The sizes for which there are inputs."""
    ways: list[Way] = field(default_factory=list)
    blocked: list[tuple[Region, str]] = field(default_factory=list)
    """Sizes at which a run with symbols says nothing, and why."""
    spent: str | None = None
    """Which budget ended it, None where every size is on a way."""

    def open(self) -> Iterator[tuple[Box, dict[str, int] | None]]:
        """What is on no way, with sizes in it; None where it may be that there are none."""
        regions = [way.region for way in self.ways]
        for box, inside in boxes(regions, self.within, self.symbols):
            if not inside and not is_empty(box, self.base):
                yield box, witness(box, self.base)


def explore(
    follow: Follow,
    base: Mapping[str, int],
    budget: Budget,
    conditions: Sequence[Node] = (),
    end: float | None = None,
) -> Exploration:
    """Follow ways from ``base`` on, until all sizes are on one or the budget is spent.

    ``conditions`` are those that sizes of inputs fulfil in any case. ``end`` is when the time is
    over (of time.monotonic()), where it is not as the budget says.

    Sizes that differ from the base in one symbol come first, those with a size of 1 last, and
    large ones before small ones, which can also be run one by one.
    """
    within = region(conditions, dict.fromkeys(base, EVERY))
    usual = {symbol: max(size, 2) for symbol, size in base.items()}
    found = Exploration(tuple(base), usual if within.holds(usual) else dict(base), within)
    with until(time.monotonic() + budget.seconds if end is None else end):
        try:
            _fill(found, follow, budget)
        except OverdueError:
            found.spent = f"{budget.seconds:g} s"
    return found


def _fill(found: Exploration, follow: Follow, budget: Budget) -> None:
    hints: dict[str, int] | None = dict(found.base)
    box = Box(found.within.sets, {})
    while hints is not None:
        if len(found.ways) + len(found.blocked) >= budget.runs:
            found.spent = f"{budget.runs} runs"
            return
        check_time()
        run = follow(hints)
        way = _way(run, found.symbols) if run.limit is None else None
        if way is not None and way.region.holds(hints):
            found.ways.append(way)
        else:
            reason = run.limit or "its own conditions do not hold there"
            found.blocked.append((Region(box.sets), reason))
            if not found.ways:
                break
        box, hints = _next(found)


def _way(run: SymbolicRun, symbols: Sequence[str]) -> Way:
    asked = {name: finite((1,)) if run.hints[name] == 1 else interval(2) for name in symbols}
    everywhere: dict[str, SizeSet] = dict.fromkeys(symbols, EVERY)
    sure = region((*run.guards, *run.assumptions), asked)
    return Way(run, sure, region(run.guards, everywhere))


def _next(found: Exploration) -> tuple[Box, dict[str, int] | None]:
    """Where to go on: a box that is on no way yet, and sizes in it."""
    regions = [way.region for way in found.ways] + [each for each, _ in found.blocked]
    waiting = [box for box, inside in boxes(regions, found.within, found.symbols) if not inside]
    for box in sorted(waiting, key=lambda box: _distance(box, found.base)):
        if (hints := witness(box, found.base)) is not None:
            return box, hints
    return Box({}, {}), None


def _distance(box: Box, base: Mapping[str, int]) -> tuple[int, int, float]:
    """What to follow first: of large sizes most, so that what is left open is small."""
    ones = sum(own.most == 1 for own in box.sets.values())
    away = sum(base[symbol] not in own for symbol, own in box.sets.items())
    ends = (own.most for own in box.sets.values())
    return ones, min(away, 2), -min((inf if end is None else end for end in ends), default=inf)
