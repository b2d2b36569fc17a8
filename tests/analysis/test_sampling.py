"""What samples say about a median, against the standard library and against known distributions."""

from __future__ import annotations

import random
import statistics
from fractions import Fraction
from math import comb, sqrt

import pytest

from blocktool.analysis.sampling import (
    across_processes,
    latency,
    median_interval,
    precision,
    quantile,
    settled,
)


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_quantiles_are_those_of_the_standard_library(count: int) -> None:
    values = sorted(random.Random(count).lognormvariate(0, 1) for _ in range(count))
    expected = statistics.quantiles(values, n=100, method="inclusive")
    assert [quantile(values, q / 100) for q in range(1, 100)] == pytest.approx(expected)
    assert (quantile(values, 0), quantile(values, 1)) == (values[0], values[-1])


def test_quantile_of_one_value() -> None:
    assert quantile([3.0], 0.95) == 3.0


@pytest.mark.parametrize(
    ("count", "below", "above"),
    # By hand, for 10: both tails up to rank 1 hold 2 (1 + 10) / 2**10 = 2.1% of all signs, up to
    # rank 2 10.9%; so the bounds are the second from either end.
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (15, 4, 12), (20, 6, 15)],
)
def test_interval_has_the_ranks_of_the_sign_test(count: int, below: int, above: int) -> None:
    # Sawtooth: medians of all blocks are about the same, so that only the ranks speak.
    ranks = [float(1 + index * 7 % count) if count % 7 else index + 1.0 for index in range(count)]
    assert sorted(ranks) == [float(rank) for rank in range(1, count + 1)]
    low, high = median_interval(ranks)
    assert low <= below
    assert high >= above
    if count < 16:  # too few for blocks
        assert (low, high) == (below, above)


@pytest.mark.parametrize("count", [*range(6, 60), 199, 200, 201, 202, 333, 500, 1000, 2001])
def test_ranks_are_the_innermost_that_hold_the_median_in_95_percent(count: int) -> None:
    from blocktool.analysis.sampling import _rank

    rank = _rank(count)

    def outside(rank: int) -> Fraction:
        """That at most ``rank`` of ``count`` lie below the median, or above it."""
        return 2 * sum((Fraction(comb(count, k), 2**count) for k in range(rank + 1)), Fraction(0))

    assert outside(rank) <= Fraction(501, 10_000)  # the normal limit is off in the fourth digit
    assert outside(rank + 2) > Fraction(5, 100)
    if count <= 200:
        assert outside(rank) <= Fraction(5, 100) < outside(rank + 1)


@pytest.mark.parametrize("samples", [[5.0], [2.0, 1.0], [3.0, 1.0, 2.0, 2.5, 9.0]])
def test_few_samples_are_bounded_by_the_extremes(samples: list[float]) -> None:
    assert median_interval(samples) == (min(samples), max(samples))


def share_of_intervals_that_hold(correlation: float, count: int, runs: int) -> tuple[float, float]:
    """How often the interval holds the true median 0 of normal samples in a row, each correlated
    with the one before; and how often that of the order statistics alone would."""
    rng = random.Random(7)
    ours = ranks = 0
    reach = 1.96 * sqrt(count) / 2
    for _ in range(runs):
        value, samples = rng.gauss(0, 1), []
        for _ in range(count):
            value = correlation * value + sqrt(1 - correlation**2) * rng.gauss(0, 1)
            samples.append(value)
        low, high = median_interval(samples)
        ours += low <= 0 <= high
        ordered = sorted(samples)
        ranks += ordered[int(count / 2 - reach)] <= 0 <= ordered[int(count / 2 + reach)]
    return ours / runs, ranks / runs


def test_interval_holds_for_independent_samples() -> None:
    ours, _ = share_of_intervals_that_hold(0.0, 200, runs=400)
    assert ours >= 0.94


def test_interval_holds_for_samples_that_depend_on_the_one_before() -> None:
    ours, ranks = share_of_intervals_that_hold(0.9, 500, runs=300)
    assert ours >= 0.90
    assert ranks < 0.6  # what the usual interval would have claimed to be 95%


def test_interval_covers_both_speeds_of_a_machine_that_changes() -> None:
    rng = random.Random(1)
    samples = [rng.gauss(10 if index % 400 < 200 else 11, 0.1) for index in range(2000)]
    low, high = median_interval(samples)
    assert low < 10.3
    assert high > 10.7


def test_interval_stays_within_what_was_seen() -> None:
    samples = [1.0] * 15 + [2.0] * 2
    low, high = median_interval(samples)
    assert (low, high) == (1.0, pytest.approx(1.0, abs=1.0))
    assert high <= 2.0


def test_latency() -> None:
    samples = [float(value) for value in (5, 1, 4, 2, 3)]
    found = latency(samples, 7)
    first, middle, third = statistics.quantiles(samples, n=4, method="inclusive")
    assert (found.p50, found.iqr) == (middle, third - first)
    assert (found.p5, found.p95) == (pytest.approx(1.2), pytest.approx(4.8))
    assert (found.low, found.high) == (1.0, 5.0)
    assert (found.samples, found.calls_per_sample) == (tuple(samples), 7)


def test_precision_is_half_the_interval_over_the_median() -> None:
    assert precision([9.0, 10.0, 11.0]) == pytest.approx(0.1)
    assert precision([2.0] * 50) == 0.0


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0], False),
        ([9.0, 1.0], False),
        ([9.0, 1.0, 1.0], True),
        ([1.0, 0.99], True),
        ([1.0, 1.9], False),
        ([5.0, 4.0, 3.0, 2.0, 1.5, 1.2], False),
        ([9.0, 5.0, 1.0, 1.0, 1.0, 1.0], True),
        ([1.0, 1.1, 1.2, 1.3], True),  # slower is not colder
        ([100.0] + [1.0 - 0.001 * index for index in range(200)], False),
        ([1.0 + 2.0**-index for index in range(40)], True),
    ],
)
def test_settled(times: list[float], expected: bool) -> None:
    assert settled(times) is expected


def test_noise_alone_is_settled() -> None:
    rng = random.Random(3)
    told = [settled([rng.lognormvariate(0, 0.02) for _ in range(60)]) for _ in range(200)]
    assert sum(told) >= 190


def test_processes_that_differ_widen_the_interval() -> None:
    rng = random.Random(3)
    each = [
        latency([middle * rng.lognormvariate(0, 0.01) for _ in range(200)], 1)
        for middle in (1.0, 1.1, 1.2, 1.05)
    ]
    joined = across_processes(each)
    assert len(joined.samples) == 800
    medians = [one.p50 for one in each]
    # Student's t for three degrees of freedom, from any table.
    half = 3.182 * statistics.stdev(medians) / 2
    middle = statistics.fmean(medians)
    assert joined.low == pytest.approx(middle - half)
    assert joined.high == pytest.approx(middle + half)
    assert across_processes(each[:1]) == each[0]
