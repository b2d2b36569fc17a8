"""Equality of expressions against their values at each size."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from size_strategies import size_expression

from blocktool.analysis.domain import Region, region
from blocktool.analysis.equality import equal_on
from blocktool.analysis.expressions import evaluate, parse
from blocktool.analysis.size_sets import EVERY

EVERYWHERE = Region({"H": EVERY, "W": EVERY})
BASE = {"H": 8, "W": 8}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(size_expression, size_expression)
def test_one_size(a: str, b: str) -> None:
    left, right = parse(a), parse(b)
    found = equal_on(left, right, EVERYWHERE, BASE)
    same = all(
        evaluate(left, {"H": size}) == evaluate(right, {"H": size}) for size in range(1, 400)
    )
    assert found.equal == same
    if found.counterexample is not None:
        assert evaluate(left, found.counterexample) != evaluate(right, found.counterexample)


@pytest.mark.parametrize(
    ("a", "b", "conditions", "equal"),
    [
        ("(H - 1)//2 + 1", "ceil(H/2)", [], True),
        ("(H + 1)//2", "H/2", ["H % 2 == 0"], True),
        ("(H + 1)//2", "H/2", [], False),
        ("(H//4)*(W//4)", "(H*W)//16", ["H % 4 == 0", "W % 4 == 0"], True),
        ("(H//4)*(W//4)", "(H*W)//16", [], False),
        ("((H + 6)//7)*7", "H", ["H % 7 == 0"], True),
        ("H + 7 - H % 7", "((H + 6)//7)*7", ["H % 7 != 0"], True),
        ("H*W", "H*H", ["H == W"], True),
        ("H*W", "H*H", [], False),
        ("max(H, 7)", "H", ["H >= 7"], True),
        ("max(H, 7)", "H", ["H >= 6"], False),
        ("H*W//W", "H", [], True),
        ("(H*H - W*W)//(H + W)", "H - W", [], True),
        ("H//2 + W//2", "(H + W)//2", ["H % 2 == 0"], True),
        ("H//2 + W//2", "(H + W)//2", [], False),
        ("max(H, W)", "H", ["H >= W"], None),
        ("max(H, W)", "H", [], False),
        ("1000", "1000", [], True),
        ("1000", "1001", [], False),
    ],
)
def test_several_sizes(a: str, b: str, conditions: list[str], equal: bool | None) -> None:
    left, right = parse(a), parse(b)
    where = region(conditions, EVERYWHERE.sets)
    found = equal_on(left, right, where, BASE)
    assert found.equal == equal, found
    same = all(
        evaluate(left, sizes) == evaluate(right, sizes)
        for h, w in product(range(1, 40), repeat=2)
        if where.holds(sizes := {"H": h, "W": w})
    )
    assert same == (equal is not False)
    if equal is False:
        assert found.counterexample is not None
        assert where.holds(found.counterexample)
        assert evaluate(left, found.counterexample) != evaluate(right, found.counterexample)
    if equal is None:
        assert found.reason
