"""Whether two expressions of sizes are equal for all sizes of a region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product

from blocktool.analysis.cells import pieces
from blocktool.analysis.domain import Region
from blocktool.analysis.expressions import (
    Comparison,
    Name,
    Node,
    NotWholeError,
    Operation,
    evaluate,
    names_in,
)
from blocktool.analysis.ranges import Cell, UndecidedError, check_time
from blocktool.analysis.substitution import substitute


@dataclass(frozen=True, slots=True)
class Equality:
    """``equal`` is None where it is not decided, and ``reason`` then says why.

    ``counterexample`` has sizes of the region at which the two differ.
    """

    equal: bool | None
    counterexample: dict[str, int] | None = None
    reason: str | None = None


def equal_on(a: Node, b: Node, where: Region, symbols: Mapping[str, int]) -> Equality:
    """Whether ``a == b`` for all sizes of ``where``, exactly.

    ``symbols`` are all symbols of the region with a size each, which is tried for those that
    ``a`` and ``b`` do not depend on. An expression without a value differs from every other.
    """
    joined = _substitutions(where)
    difference = Operation("-", substitute(a, joined), substitute(b, joined))
    names = names_in(difference)
    try:
        for cell, outcome in pieces(difference, where.cells(names)):
            if outcome == {}:
                continue
            example = _differing(a, b, where, symbols, _points(cell))
            if example is not None:
                return Equality(False, example)
            return Equality(None, reason="sizes that depend on each other")
    except UndecidedError as undecided:
        example = _differing(a, b, where, symbols, _grid(where, sorted(names)))
        if example is not None:
            return Equality(False, example)
        return Equality(None, reason=str(undecided))
    return Equality(True)


def _substitutions(where: Region) -> dict[str, Node]:
    """``W`` by ``H`` where the region says that they are equal."""
    found: dict[str, Node] = {}
    for each in where.relations:
        key = each.key
        if each.allowed == {0} and isinstance(key, Comparison):
            left, right = substitute(key.left, found), substitute(key.right, found)
            if isinstance(left, Name) and isinstance(right, Name) and left != right:
                found = {name: substitute(node, {right.name: left}) for name, node in found.items()}
                found[right.name] = left
    return found


def _points(cell: Cell) -> Iterator[dict[str, int]]:
    """Points of a cell, more of them than a polynomial of a usual degree has zeros."""
    choices = []
    for here in cell.values():
        high = here.low + 40 if here.high is None else min(here.high, here.low + 40)
        choices.append([here.size(k) for k in range(here.low, high + 1)])
    for values in islice(product(*choices), 4_000):
        yield dict(zip(cell, values, strict=True))


def _grid(where: Region, names: list[str]) -> Iterator[dict[str, int]]:
    choices = [list(islice(where.of(name), 24)) for name in names]
    for values in islice(product(*choices), 20_000):
        yield dict(zip(names, values, strict=True))


def _differing(
    a: Node,
    b: Node,
    where: Region,
    symbols: Mapping[str, int],
    points: Iterator[dict[str, int]],
) -> dict[str, int] | None:
    """The first of these points that lies in the region and at which the two differ."""
    others = {symbol: where.of(symbol).nearest(size) for symbol, size in symbols.items()}
    for point in points:
        check_time()
        sizes = others | point
        if not all(each.holds(sizes) for each in where.relations):
            sizes = _following(sizes, where)
            if not where.holds(sizes):
                continue
        try:
            if evaluate(a, sizes) == evaluate(b, sizes):
                continue
        except NotWholeError:
            pass
        return sizes
    return None


def _following(sizes: dict[str, int], where: Region) -> dict[str, int]:
    """The sizes with equal symbols made equal."""
    return sizes | {
        name: sizes[node.name]
        for name, node in _substitutions(where).items()
        if isinstance(node, Name)
    }
