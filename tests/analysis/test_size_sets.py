"""Sets of sizes against a plain evaluation of the condition at each size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from size_strategies import condition

from blocktool.analysis.expressions import NotWholeError, evaluate, parse
from blocktool.analysis.ranges import UndecidedError
from blocktool.analysis.size_sets import EVERY, NONE, SizeSet, finite, interval, size_set

SIZES = range(1, 500)
"""Sizes that are tried; a condition may well change beyond them (``H < 40*40``)."""


def brute(condition: str) -> set[int]:
    """The sizes for which it holds, by trying each."""
    found = set()
    node = parse(condition)
    for size in SIZES:
        try:
            if evaluate(node, {"H": size}):
                found.add(size)
        except NotWholeError:
            continue
    return found


def listed(sizes: SizeSet) -> set[int]:
    return {size for size in SIZES if size in sizes}


@settings(derandomize=True, max_examples=120, deadline=None)
@given(condition)
def test_members_are_those_for_which_the_condition_holds(text: str) -> None:
    assert listed(size_set(parse(text))) == brute(text)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(condition, condition)
def test_sets_combine_as_conditions_do(a: str, b: str) -> None:
    left, right = size_set(parse(a)), size_set(parse(b))
    assert listed(left | right) == brute(a) | brute(b)
    assert listed(left & right) == brute(a) & brute(b)
    assert listed(left - right) == brute(a) - brute(b)
    assert listed(~left) == set(SIZES) - brute(a)
    assert (left | right).same(~(~left & ~right))
    assert left.same(right) == (not (left - right) and not (right - left))
    assert (left <= right) == (not left - right)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(condition)
def test_what_a_set_says_of_itself(text: str) -> None:
    sizes, members, end = size_set(parse(text)), sorted(brute(text)), SIZES[-1]
    if not members:  # none up to the end
        assert not sizes or sizes.least > end
        return
    assert sizes
    assert sizes.least == members[0]
    first = [size for size, _ in zip(sizes, range(20), strict=False) if size <= end]
    assert first == members[: len(first)]
    if sizes.most is not None and sizes.most <= end:
        assert sizes.most == members[-1]
    for size in (1, 17, 250):
        closest = min(abs(member - size) for member in members)
        if closest <= end - size:  # else one beyond the end may be closer
            assert abs(sizes.nearest(size) - size) == closest
    again = sorted(
        here.size(k)
        for here in sizes.ranges()
        for k in range(here.low, (SIZES[-1] if here.high is None else here.high) + 1)
        if here.size(k) in SIZES
    )
    assert again == members


@pytest.mark.parametrize(
    ("text", "modulus", "members"),
    [
        ("H % 2 == 0 and H % 3 == 0", 6, [6, 12, 18]),
        ("(H - 1)//2*2 + 2 == H", 2, [2, 4, 6]),
        ("H % 4 == 0 or H % 4 == 2", 2, [2, 4, 6]),
        ("H >= 4 or H < 4", 1, [1, 2, 3]),
        ("H % 6 != 0 or H % 3 == 0", 1, [1, 2, 3]),
        ("H*H - 10*H + 21 < 0", 1, [4, 5, 6]),
        ("196//H == 7", 1, [25, 26, 27, 28]),
        ("(H*H - 1)//(H + 1) == H - 1", 1, [1, 2, 3]),
        ("H % 7 == 0 or H == 5 or H == 3", 7, [3, 5, 7, 14]),
    ],
)
def test_the_smallest_period_is_found(text: str, modulus: int, members: list[int]) -> None:
    sizes = size_set(parse(text))
    assert sizes.modulus == modulus
    assert [size for size, _ in zip(sizes, range(len(members)), strict=False)] == members


def test_thresholds_may_be_far_away() -> None:
    sizes = size_set(parse("8*H*768 <= 2147483647 and H % 2 == 0"))
    last = 2147483647 // (8 * 768)
    assert sizes.most == last - last % 2
    assert sizes.modulus == 2
    assert sizes.nearest(10**9) == sizes.most


def test_a_size_without_value_is_not_a_member() -> None:
    assert size_set(parse("12 % (H - 3) == 0")).most == 15
    assert 3 not in size_set(parse("12 % (H - 3) == 0"))
    assert 3 not in size_set(parse("not (12 % (H - 3) == 0)"))


def test_what_is_beyond_bounds_is_an_error() -> None:
    with pytest.raises(UndecidedError, match=r"period|cases"):
        size_set(parse("H % 30011 == 0"))
    with pytest.raises(UndecidedError):
        size_set(parse("2**H > 100"))
    with pytest.raises(ValueError, match="H, W"):
        size_set(parse("H == W"))


def test_plain_sets() -> None:
    assert EVERY.least == 1
    assert EVERY.most is None
    assert not NONE
    assert interval(3, 2).same(NONE)
    assert list(finite([7, 5, 6, 9])) == [5, 6, 7, 9]
    assert interval(3, 5).same(finite([3, 4, 5]))
