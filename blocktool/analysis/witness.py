"""Sizes that lie in a box of a union of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice, product
from math import prod

from blocktool.analysis.boxes import Box
from blocktool.analysis.domain import Region, always
from blocktool.analysis.expressions import Comparison, Logic, Name, Node, Number, names_in
from blocktool.analysis.ranges import UndecidedError
from blocktool.analysis.size_sets import SizeSet, size_set
from blocktool.analysis.substitution import substitute

_FEW, _MANY = 6, 64
_MOST_TRIES = 600

_OPERATORS = {-1: "<", 0: "==", 1: ">"}


def witness(box: Box, near: Mapping[str, int]) -> dict[str, int] | None:
    """Sizes in the box, close to ``near`` where possible; None where none are found."""
    return _search(box, near)[0]


def is_empty(box: Box, near: Mapping[str, int]) -> bool:
    """Whether it is sure that no sizes are in the box."""
    if not box.outcomes:
        return not all(box.sets.values())
    sets = dict(box.sets)
    same: dict[str, Node] = {}
    for key, outcome in box.outcomes.items():
        match key:
            case Comparison("==", Name(left), Name(right)) if outcome == 0 and left not in same:
                # From here on the one stands for both.
                same[right] = Name(left)
                sets[left] = sets[left] & sets[right]
    if not all(sets.values()):
        return True
    asked = [substitute(_asked(*each), same) for each in box.outcomes.items()]
    whole = Logic("and", tuple(asked))
    if any(always(Logic("not", (each,)), Region(sets)) for each in (*asked, whole)):
        return True
    found, exhaustive = _search(box, near)
    return found is None and exhaustive


def _search(box: Box, near: Mapping[str, int]) -> tuple[dict[str, int] | None, bool]:
    """Sizes in the box, and whether there are none if none are found.

    Of the symbols that an outcome joins, all but one are tried and the last is solved for.
    """
    sizes = {symbol: own.nearest(near[symbol]) for symbol, own in box.sets.items()}
    if box.holds(sizes):
        return sizes, True
    joined = sorted({name for key in box.outcomes for name in names_in(key)})
    if not joined:
        return None, False
    # Finite sets are tried, so that the search is exhaustive where it can be.
    solved = max(joined, key=lambda name: (not box.sets[name].is_finite, box.sets[name].most or 0))
    tried = [name for name in joined if name != solved]
    for limit in (_FEW, _MANY):
        choices = [list(_candidates(box.sets[name], near[name], limit)) for name in tried]
        if prod(map(len, choices)) > _MOST_TRIES:
            return None, False
        exact = True
        for values in product(*choices):
            point = sizes | dict(zip(tried, values, strict=True))
            own = _solved(box, solved, point)
            if own:
                return point | {solved: own.nearest(near[solved])}, True
            exact = exact and own is not None
        if exact and all(
            own.most is not None and set(own) <= set(choice)
            for own, choice in zip((box.sets[name] for name in tried), choices, strict=True)
        ):
            return None, True
    return None, False


def _asked(key: Node, outcome: int) -> Node:
    """The condition that a key has an outcome."""
    if isinstance(key, Comparison):
        return Comparison(_OPERATORS[outcome], key.left, key.right)
    return key if outcome else Logic("not", (key,))


def _solved(box: Box, symbol: str, point: Mapping[str, int]) -> SizeSet | None:
    """The sizes of one symbol with which all outcomes come about, the others being given.

    None where that is not decided.
    """
    own = box.sets[symbol]
    known: dict[str, Node] = {name: Number(size) for name, size in point.items() if name != symbol}
    for key, outcome in box.outcomes.items():
        try:
            own = own & size_set(substitute(_asked(key, outcome), known))
        except UndecidedError:
            return None
    return own


def _candidates(own: SizeSet, near: int, limit: int) -> Iterator[int]:
    first = own.nearest(near)
    around = (size for size in range(max(1, first - limit), first + limit) if size in own)
    yield from islice(dict.fromkeys(chain((first,), around, islice(own, limit))), 2 * limit)
