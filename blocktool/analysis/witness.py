"""Sizes that lie in a box of a union of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice, product
from math import prod

from blocktool.analysis.cells import UndecidedError
from blocktool.analysis.domain import Box
from blocktool.analysis.expressions import Comparison, Node, Number, names_in
from blocktool.analysis.size_sets import SizeSet, size_set
from blocktool.analysis.substitution import substitute

_FEW, _MANY = 6, 64
_MOST_TRIES = 600

_OPERATORS = {-1: "<", 0: "==", 1: ">"}


def witness(box: Box, near: Mapping[str, int]) -> dict[str, int] | None:
    """Sizes in the box, close to ``near`` where possible; None where none are found.

    Of the symbols that an outcome joins, all but one are tried and the last is solved for. The
    answer None is exact where those that are tried have at most 64 sizes each and are few.
    """
    sizes = {symbol: own.nearest(near[symbol]) for symbol, own in box.sets.items()}
    if box.holds(sizes):
        return sizes
    joined = sorted({name for key in box.outcomes for name in names_in(key)})
    if not joined:
        return None
    # Finite sets are tried, so that the search is exhaustive where it can be.
    solved = max(joined, key=lambda name: (not box.sets[name].is_finite, box.sets[name].most or 0))
    tried = [name for name in joined if name != solved]
    for limit in (_FEW, _MANY):
        choices = [list(_candidates(box.sets[name], near[name], limit)) for name in tried]
        if prod(map(len, choices)) > _MOST_TRIES:
            break
        for values in product(*choices):
            point = sizes | dict(zip(tried, values, strict=True))
            own = _solved(box, solved, point)
            if own:
                return point | {solved: own.nearest(near[solved])}
    return None


def _solved(box: Box, symbol: str, point: Mapping[str, int]) -> SizeSet:
    """The sizes of one symbol with which all outcomes come about, the others being given."""
    own = box.sets[symbol]
    known: dict[str, Node] = {name: Number(size) for name, size in point.items() if name != symbol}
    for key, outcome in box.outcomes.items():
        if not own:
            break
        if isinstance(key, Comparison):
            asked: Node = Comparison(_OPERATORS[outcome], key.left, key.right)
        else:
            asked = Comparison("==", key, Number(outcome))
        try:
            own = own & size_set(substitute(asked, known))
        except UndecidedError:
            return own - own
    return own


def _candidates(own: SizeSet, near: int, limit: int) -> Iterator[int]:
    first = own.nearest(near)
    around = (size for size in range(max(1, first - limit), first + limit) if size in own)
    yield from islice(dict.fromkeys(chain((first,), around, islice(own, limit))), 2 * limit)
