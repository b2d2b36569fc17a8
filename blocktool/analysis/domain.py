"""Regions of sizes: the sizes of several symbols for which a list of conditions holds.

Conditions on one symbol are kept as sets of sizes; those that join several (``H == W``) as
relations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from blocktool.analysis.cells import pieces, truth
from blocktool.analysis.differences import normal
from blocktool.analysis.expressions import (
    Comparison,
    Logic,
    Node,
    NotWholeError,
    evaluate,
    names_in,
    parse,
    to_text,
)
from blocktool.analysis.ranges import Cell, Range, UndecidedError
from blocktool.analysis.size_sets import EVERY, NONE, SizeSet, from_ranges, size_set

_MOST_CELLS = 4_000

_SIGNS = {
    "==": {0},
    "!=": {-1, 1},
    "<": {-1},
    "<=": {-1, 0},
    ">": {1},
    ">=": {0, 1},
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A condition that joins symbols: that the outcome of ``key`` is among ``allowed``.

    For a comparison ``key`` is the difference of its sides and the outcome its sign (-1, 0, 1),
    so that ``H < W``, ``W > H`` and ``H >= W`` speak of one key; else it is the condition itself,
    with outcomes 0 and 1.
    """

    key: Node
    allowed: frozenset[int]
    outcomes: frozenset[int]
    condition: Node

    def outcome(self, sizes: Mapping[str, int]) -> int | None:
        """Of the key at these sizes, None where it has no value."""
        return outcome_of(self.key, sizes)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the relation holds at these sizes."""
        return self.outcome(sizes) in self.allowed


def outcome_of(key: Node, sizes: Mapping[str, int]) -> int | None:
    """The outcome of a relation's key at these sizes, None where it has no value."""
    try:
        if isinstance(key, Comparison):
            left, right = evaluate(key.left, sizes), evaluate(key.right, sizes)
            return (left > right) - (left < right)
        return int(bool(evaluate(key, sizes)))
    except NotWholeError:
        return None


def relation(condition: Node) -> Relation:
    """The relation that a condition states."""
    inner, negated = condition, False
    while isinstance(inner, Logic) and inner.op == "not":
        inner, negated = inner.parts[0], not negated
    if not isinstance(inner, Comparison):
        both = frozenset((0, 1))
        return Relation(inner, frozenset((0 if negated else 1,)), both, condition)
    every = frozenset((-1, 0, 1))
    if (whole := normal(inner)) is not None:
        key, holding = whole
        return Relation(key, every - holding if negated else holding, every, condition)
    signs = _SIGNS[inner.op]
    left, right = inner.left, inner.right
    if to_text(right) < to_text(left):
        left, right, signs = right, left, {-sign for sign in signs}
    allowed = every - signs if negated else frozenset(signs)
    return Relation(Comparison("==", left, right), allowed, every, condition)


@dataclass(frozen=True, slots=True)
class Region:
    """The sizes that are in ``sets``, symbol by symbol, and for which all ``relations`` hold.

    A symbol without a set may have any size from 1 on.
    """

    sets: dict[str, SizeSet]
    relations: tuple[Relation, ...] = ()

    def of(self, symbol: str) -> SizeSet:
        """The sizes that the symbol may have, apart from the relations."""
        return self.sets.get(symbol, EVERY)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether these sizes are in the region."""
        return all(sizes[symbol] in own for symbol, own in self.sets.items()) and all(
            each.holds(sizes) for each in self.relations
        )

    def cells(self, names: Iterable[str]) -> Iterator[Cell]:
        """The sizes of these symbols as cells; relations are not looked at.

        Raises UndecidedError where there are too many.
        """
        ranges: dict[str, list[Range]] = {name: list(self.of(name).ranges()) for name in names}
        if prod(map(len, ranges.values())) > _MOST_CELLS:
            raise UndecidedError("too many residue classes to tell apart")
        for parts in product(*ranges.values()):
            yield dict(zip(ranges, parts, strict=True))


def region(conditions: Iterable[str | Node], within: Mapping[str, SizeSet]) -> Region:
    """The sizes of ``within`` for which all conditions hold.

    What joins symbols in the conditions only by their form becomes sets too.
    """
    sets = dict(within)
    joint: list[Node] = []
    for node in _conjuncts(conditions):
        names = sorted(names_in(node))
        if len(names) > 1:
            joint.append(node)
            continue
        try:
            own = size_set(node)
        except UndecidedError:
            joint.append(node)
            continue
        for name in names or list(within):
            sets[name] = sets.get(name, EVERY) & own
    relations: dict[Node, Relation] = {}
    for node in joint:
        parted = _parted(node, Region(sets))
        if parted is not None:
            sets |= parted
            continue
        new = relation(node)
        old = relations.get(new.key)
        allowed = new.allowed & old.allowed if old else new.allowed
        whole = Logic("and", (old.condition, node)) if old else node
        relations[new.key] = Relation(new.key, allowed, new.outcomes, whole)
    return Region(sets, tuple(relations.values()))


def _parted(condition: Node, where: Region) -> dict[str, SizeSet] | None:
    """A set for each symbol that together say the same as the condition; None if there are none.

    ``49*(H//7)*(W//7) == H*W`` says that both are multiples of 7.
    """
    names = sorted(names_in(condition))
    holding: list[Cell] = []
    failing: list[Cell] = []
    try:
        for cell, outcome in pieces(condition, where.cells(names), _MOST_CELLS):
            (holding if truth(outcome) else failing).append(cell)
        if not holding:
            return dict.fromkeys(names, NONE)
        each = {here: from_ranges([here]) for cell in holding + failing for here in cell.values()}
        sets = dict.fromkeys(names, NONE)
        for name in names:
            for here in dict.fromkeys(cell[name] for cell in holding):
                sets[name] = sets[name] | each[here]
        met = {
            (name, cell[name]): bool(each[cell[name]] & sets[name])
            for name in names
            for cell in failing
        }
        if any(all(met[name, cell[name]] for name in names) for cell in failing):
            return None
    except UndecidedError:
        return None
    return sets


def _conjuncts(conditions: Iterable[str | Node]) -> Iterator[Node]:
    for condition in conditions:
        node = parse(condition) if isinstance(condition, str) else condition
        if isinstance(node, Logic) and node.op == "and":
            yield from _conjuncts(node.parts)
        else:
            yield node


def always(condition: Node, where: Region) -> bool:
    """Whether a condition surely holds for all sizes of a region; its relations are not used."""
    try:
        cells = where.cells(names_in(condition))
        return all(truth(outcome) for _, outcome in pieces(condition, cells, _MOST_CELLS))
    except UndecidedError:
        return False
