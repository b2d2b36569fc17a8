"""Intervals of a change, against tests that try every permutation, and published tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, product
from math import ceil, comb, exp, log

import pytest

from blocktool.analysis import significance
from blocktool.analysis.significance import (
    Estimate,
    apart_change,
    fewest_apart,
    fewest_pairs,
    paired_change,
)


def rejected(ratios: Sequence[float], change: float, error: float) -> bool:
    """Whether a permutation test rejects that the logarithms of ratios are symmetric around
    ``change``: all signs are tried."""
    distances = sorted((abs(ratio - change), ratio > change) for ratio in ratios)
    cap = ceil(len(ratios) / 3)
    scores = [min(rank, cap) for rank in range(1, len(ratios) + 1)]
    seen = sum(score for score, (_, above) in zip(scores, distances, strict=True) if above)
    every = [
        sum(score for score, sign in zip(scores, signs, strict=True) if sign)
        for signs in product((False, True), repeat=len(ratios))
    ]
    tail = min(sum(each <= seen for each in every), sum(each >= seen for each in every))
    return tail <= error / 2 * len(every)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_pairs_is_what_the_test_does_not_reject(seed: int) -> None:
    generator = random.Random(seed)
    old = [exp(generator.gauss(0, 0.1)) for _ in range(9)]
    new = [1.07 * each * exp(generator.gauss(0, 0.03)) for each in old]
    ratios = [log(b / a) for a, b in zip(old, new, strict=True)]
    found = paired_change(old, new, 0.05)
    assert found is not None
    assert found.low <= found.change <= found.high
    low, high = log(1 + found.low), log(1 + found.high)
    hair = 1e-9
    assert not rejected(ratios, low + hair, 0.05)
    assert not rejected(ratios, high - hair, 0.05)
    assert not rejected(ratios, log(1 + found.change), 0.05)
    assert rejected(ratios, low - hair, 0.05)
    assert rejected(ratios, high + hair, 0.05)


@pytest.mark.parametrize(("old", "new"), [(4, 4), (5, 3), (3, 6)])
def test_the_interval_apart_has_its_confidence(old: int, new: int) -> None:
    """Of all ways to deal ranks, as few as are allowed put 0 outside the interval."""
    error, outside = 0.2, 0
    for places in combinations(range(old + new), old):
        before = [exp(place) for place in places]
        after = [exp(place) for place in range(old + new) if place not in places]
        found = apart_change(before, after, error)
        assert found is not None
        outside += found.significant
    ways = comb(old + new, old)
    assert 0 < outside <= error * ways


@pytest.mark.parametrize(
    ("old", "new", "error", "critical"),
    # D. J. Sheskin, "Handbook of Parametric and Nonparametric Statistical Procedures", table A11.
    [(5, 5, 0.05, 2), (8, 8, 0.05, 13), (10, 10, 0.05, 23), (5, 5, 0.01, 0), (12, 12, 0.01, 27)],
)
def test_critical_values_of_mann_and_whitney(
    old: int, new: int, error: float, critical: int
) -> None:
    assert significance._critical_count(old, new, error) == critical


def test_the_interval_apart_by_hand() -> None:
    found = apart_change([1.0, 1.0, 1.0, 1.0, 2.0], [1.1, 1.1, 1.1, 1.1, 1.1], 0.01)
    assert found is not None
    assert found.change == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(-0.45), pytest.approx(0.1))


def test_so_many_are_needed() -> None:
    assert (fewest_pairs(0.01), fewest_apart(0.01)) == (8, 5)
    for error in (0.05, 0.01, 0.002, 0.0001):
        pairs, apart = fewest_pairs(error), fewest_apart(error)
        for count, few, change in (
            (pairs, pairs - 1, paired_change),
            (apart, apart - 1, apart_change),
        ):
            assert change([1.0] * count, [1.1] * count, error) is not None
            assert change([1.0] * few, [1.1] * few, error) is None
    assert paired_change([], [], 0.01) is None
    assert apart_change([1.0], [], 0.01) is None


def test_times_of_0_have_no_ratio() -> None:
    assert paired_change([0.0] * 20, [1.0] * 20, 0.01) is None
    assert apart_change([1.0] * 20, [0.0] * 20, 0.01) is None


def test_equal_ratios_are_known_exactly() -> None:
    old = [1.0, 2.0, 3.0, 4.0] * 3
    found = paired_change(old, [1.5 * each for each in old], 0.01)
    assert found is not None
    assert [found.change, found.low, found.high] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("change", [paired_change, apart_change])
def test_the_other_way_round_it_is_the_inverse(change) -> None:  # type: ignore[no-untyped-def]
    generator = random.Random(5)
    old, new = ([exp(generator.gauss(0, 0.2)) for _ in range(15)] for _ in range(2))
    there, back = change(old, new, 0.01), change(new, old, 0.01)
    inverse = there.of_the_inverse()
    assert [back.change, back.low, back.high] == pytest.approx(
        [inverse.change, inverse.low, inverse.high]
    )


def test_many_processes_are_no_matter() -> None:
    found = paired_change([1.0] * 500, [1.1] * 500, 0.01)
    assert found == Estimate(*[pytest.approx(0.1)] * 3)


def test_what_an_estimate_says() -> None:
    assert Estimate(0.10, 0.02, 0.2).significant
    assert Estimate(-0.10, -0.2, -0.02).significant
    assert not Estimate(0.10, -0.02, 0.2).significant
    assert Estimate(0.01, -0.05, 0.05).within(0.05)
    assert not Estimate(0.01, -0.06, 0.02).within(0.05)
    assert Estimate(-0.1, -0.2, -0.06).beyond(0.05)
    assert not Estimate(0.1, 0.04, 0.2).beyond(0.05)
