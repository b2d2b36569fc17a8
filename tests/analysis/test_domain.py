"""Regions, their boxes and witnesses against a plain evaluation of the conditions."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.boxes import Box, boxes
from blocktool.analysis.domain import Region, always, region
from blocktool.analysis.expressions import evaluate, parse
from blocktool.analysis.size_sets import EVERY, interval
from blocktool.analysis.witness import is_empty, witness

SIZES = range(1, 26)

own = st.sampled_from(
    "X % 2 == 0|X % 3 != 1|X >= 5|X <= 9|X == 4|(X - 1)//2 >= 3|X//4 == 2".split("|")
)
condition = st.one_of(
    st.tuples(own, st.sampled_from("HW")).map(lambda p: p[0].replace("X", p[1])),
    st.sampled_from(
        [
            "H == W",
            "W != H",
            "H < W",
            "W <= H",
            "not (H < W)",
            "H*W == 144",
            "(H + W) % 3 == 0",
            "H >= W or H % 2 == 0",
            "H*W >= 4",
            "H == 5 and W > H",
        ]
    ),
)


def brute(conditions: list[str]) -> set[tuple[int, int]]:
    nodes = [parse(text) for text in conditions]
    return {
        (h, w)
        for h, w in product(SIZES, SIZES)
        if all(evaluate(node, {"H": h, "W": w}) for node in nodes)
    }


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(condition, max_size=4))
def test_a_region_is_where_its_conditions_hold(conditions: list[str]) -> None:
    made = region(conditions, {"H": EVERY, "W": EVERY})
    assert brute(conditions) == {
        (h, w) for h, w in product(SIZES, SIZES) if made.holds({"H": h, "W": w})
    }


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.lists(st.lists(condition, max_size=2), min_size=1, max_size=3))
def test_boxes_part_the_sizes_and_know_their_regions(several: list[list[str]]) -> None:
    everywhere = {"H": EVERY, "W": EVERY}
    regions = [region(conditions, everywhere) for conditions in several]
    parts = list(boxes(regions, Region(everywhere), ["H", "W"]))
    for h, w in product(SIZES, SIZES):
        sizes = {"H": h, "W": w}
        ((_, inside),) = [part for part in parts if part[0].holds(sizes)]
        assert list(inside) == [at for at, one in enumerate(regions) if one.holds(sizes)]
    for box, _ in parts:
        found = witness(box, {"H": 8, "W": 8})
        assert found is None or box.holds(found)
        if found is None:
            assert not any(box.holds({"H": h, "W": w}) for h, w in product(SIZES, SIZES))
        assert not (is_empty(box, {"H": 8, "W": 8}) and found)


@pytest.mark.parametrize(
    ("condition", "least", "holds"),
    [
        ("H*W >= 4", 2, True),
        ("H*W >= 4", 1, False),
        ("H*W != 1", 2, True),
        ("(H//4)*(W//4) != 1", 8, True),
        ("(H//4)*(W//4) != 1", 4, False),
        ("49*((H + 6)//7)*((W + 6)//7) >= H*W", 1, True),
        ("H + W > W", 1, True),
        ("H > W", 1, False),
    ],
)
def test_what_always_holds(condition: str, least: int, holds: bool) -> None:
    where = Region({"H": interval(least), "W": interval(least)})
    assert always(parse(condition), where) == holds
    left_out = not region([condition], where.sets).relations
    assert left_out == holds


def test_relations_of_one_key_are_one() -> None:
    made = region(["H <= W", "W <= H"], {})
    (only,) = made.relations
    assert only.allowed == {0}
    assert made.holds({"H": 9, "W": 9})
    assert not made.holds({"H": 9, "W": 8})


def test_what_is_surely_empty_and_what_is_only_not_found() -> None:
    near = {"H": 8, "W": 8}

    def only(conditions: list[str], outcome: int) -> Box:
        (joined, *single) = conditions
        (key,) = (each.key for each in region([joined], {}).relations)
        where = region(single, {"H": EVERY, "W": EVERY})
        return Box(where.sets, {key: outcome})

    assert is_empty(only(["H == W", "H % 2 == 0", "W % 2 == 1"], 0), near)
    assert is_empty(only(["H == W", "H <= 5", "W >= 6"], 0), near)
    assert is_empty(only(["H*W == 100", "H >= 101"], 0), near)
    assert witness(only(["H//16*(W//16) == 196", "16 <= H <= 31"], 0), near) == {"H": 16, "W": 3136}
    either = region(["H == W", "H >= W or H % 2 == 0"], {}).relations
    assert is_empty(Box({"H": EVERY, "W": EVERY}, {either[0].key: 0, either[1].key: 0}), near)
    # Mordell: squares that are 7 less than a cube are 1 and 181**2.
    cubes = ["W*W*W == H*H + 7", "H >= 2"]
    assert witness(only([*cubes, "W >= 3"], 0), near) == {"H": 181, "W": 32}
    more = only([*cubes, "W >= 33"], 0)
    assert witness(more, near) is None
    assert not is_empty(more, near)
