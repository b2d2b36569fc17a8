"""The gate on times, on noise as machines make it: how often it fires, and what it finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from math import exp

import pytest

from blocktool.analysis.measured_figures import Judge, bare
from blocktool.analysis.significance import LOOKS
from blocktool.results.comparison import MetricChange, Verdict

PAIRS = 20
TRIALS = 200
THRESHOLD = 0.05
FALSE_ALARM = 0.01
WIDE = [1.0 + 0.02 * at for at in range(20)]

Noise = Callable[[random.Random], list[float]]
"""Logarithms of what disturbs each process, in the order in which they run."""


def quiet(of: random.Random) -> list[float]:
    return [of.gauss(0, 0.015) for _ in range(2 * PAIRS)]


def wide(of: random.Random) -> list[float]:
    return [of.gauss(0, 0.05) for _ in range(2 * PAIRS)]


def outliers(of: random.Random) -> list[float]:
    """One process in seven has a neighbour."""
    return [each + (of.expovariate(1 / 0.3) if of.random() < 1 / 7 else 0.0) for each in quiet(of)]


def groups(of: random.Random) -> list[float]:
    """One process in four is slower by a third, and stays so."""
    return [each + (0.3 if of.random() < 0.25 else 0.0) for each in quiet(of)]


def drift(of: random.Random) -> list[float]:
    """The clock falls as the machine gets warm, by a quarter in all."""
    return [each + 0.25 * at / (2 * PAIRS) for at, each in enumerate(quiet(of))]


def steps(of: random.Random) -> list[float]:
    """Every few processes the machine is another."""
    levels = [of.gauss(0, 0.15) for _ in range(2 * PAIRS)]
    return [each + levels[at // 6] for at, each in enumerate(quiet(of))]


def burst(of: random.Random) -> list[float]:
    """For a while, somewhere, all takes half as long again."""
    begin, length = of.randrange(2 * PAIRS), of.randrange(1, 9)
    return [each + 0.4 * (begin <= at < begin + length) for at, each in enumerate(quiet(of))]


def load(of: random.Random) -> list[float]:
    """A machine at work: nothing can be measured here."""
    return [each * 8 + (of.expovariate(2) if of.random() < 0.3 else 0.0) for each in quiet(of)]


def verdicts(noise: Noise, slower: float, *, looks: int = 1, apart: bool = False) -> list[Verdict]:
    """Of trials in which the new side takes ``1 + slower`` times as long. What is inconclusive gets
    as many pairs again, so that there are as many ``looks``."""
    generator = random.Random(f"{noise.__name__} {slower}")
    error = FALSE_ALARM / (1 if apart else LOOKS)
    judge = Judge(THRESHOLD, side_by_side=not apart, error=error)
    found: list[Verdict] = []
    for _ in range(TRIALS):
        old: list[float] = []
        new: list[float] = []
        verdict: Verdict = "inconclusive"
        for _ in range(looks):
            for pair, each in enumerate(batched(map(exp, noise(generator)))):
                first, second = (new, old) if pair % 2 else (old, new)
                first.append(each[0] * (1 + slower * (first is new)))
                second.append(each[1] * (1 + slower * (second is new)))
            verdict = judge.time(bare("latency_ms.p50", 1.0, 1.0), old, new).verdict
            if verdict != "inconclusive":
                break
        found.append(verdict)
    return found


def batched(values: Iterable[float]) -> Iterator[tuple[float, float]]:
    """Two at a time."""
    each = iter(values)
    return zip(each, each, strict=True)


@pytest.mark.parametrize("noise", [quiet, wide, outliers, groups, drift, steps, burst, load])
def test_no_false_alarms(noise: Noise) -> None:
    found = verdicts(noise, 0.0, looks=LOOKS)
    assert found.count("increased") + found.count("decreased") <= FALSE_ALARM * TRIALS


@pytest.mark.parametrize("noise", [quiet, wide, outliers, groups, drift, steps, burst])
def test_a_slowdown_of_a_tenth_is_found(noise: Noise) -> None:
    assert verdicts(noise, 0.1, looks=LOOKS).count("increased") >= 0.9 * TRIALS


@pytest.mark.parametrize("noise", [quiet, wide, drift, steps, burst])
def test_of_these_at_the_first_look(noise: Noise) -> None:
    assert verdicts(noise, 0.1).count("increased") >= 0.9 * TRIALS


def test_what_cannot_be_told_is_not_called_the_same() -> None:
    found = verdicts(load, 0.1)
    assert found.count("inconclusive") > 0.8 * TRIALS
    assert "same" not in found


@pytest.mark.parametrize("noise", [quiet, drift, burst])
def test_nothing_happened_is_said(noise: Noise) -> None:
    assert verdicts(noise, 0.0).count("same") > 0.9 * TRIALS


def test_apart_a_quiet_machine_is_needed() -> None:
    assert verdicts(quiet, 0.1, apart=True).count("increased") >= 0.9 * TRIALS
    assert verdicts(steps, 0.1, apart=True).count("increased") < 0.5 * TRIALS
    assert verdicts(quiet, 0.0, apart=True).count("same") == TRIALS


def judged(
    old: list[float], new: list[float], *, side_by_side: bool = True, spoiled: str | None = None
) -> MetricChange:
    judge = Judge(0.05, side_by_side, 0.01, spoiled)
    return judge.time(bare("latency_ms.p50", 1.0, 1.1), old, new)


@pytest.mark.parametrize(("pairs", "disturbed"), [(20, 1), (20, 2), (40, 8), (60, 15)])
@pytest.mark.parametrize("by", [0.2, 3.0, 100.0])
def test_a_few_disturbed_processes_neither_fire_nor_hide(
    pairs: int, disturbed: int, by: float
) -> None:
    calm = [1 + 0.001 * (at * 7 % 11) for at in range(pairs)]
    rough = [by * each if at < disturbed else each for at, each in enumerate(calm)]
    slower = [1.1 * each for each in calm]
    for judge in (Judge(0.05, True, FALSE_ALARM / LOOKS), Judge(0.05, False, FALSE_ALARM)):
        for old, new, verdict in (
            (calm, rough, "same"),
            (rough, slower, "increased"),
            (slower, rough, "decreased"),
        ):
            assert judge.time(bare("latency_ms.p50", 1.0, 1.0), old, new).verdict == verdict


def test_the_change_is_of_processes_and_has_bounds() -> None:
    found = judged([1.0, 2.0] * 10, [1.1, 2.2] * 10)
    assert (found.old, found.new, found.verdict, found.lane) == (1.0, 1.1, "increased", "measured")
    assert [found.change, found.low, found.high] == pytest.approx([0.1] * 3)
    assert found.reason is None


def test_a_rate_is_the_inverse() -> None:
    rate = Judge(0.05, True, 0.01).time(
        bare("throughput", 10.0, 8.0), [1.0] * 20, [1.25] * 20, inverse=True
    )
    assert rate.verdict == "decreased"
    assert rate.change == pytest.approx(-0.2)
    sides = [1.0, 1.3] * 10, [1.3, 1.0] * 10
    rate = Judge(0.05, True, 0.01).time(bare("throughput", 1.0, 1.0), *sides, inverse=True)
    assert (rate.verdict, rate.reason) == ("inconclusive", judged(*sides).reason)


@pytest.mark.parametrize(
    ("old", "new", "side_by_side", "reason"),
    [
        ([], [], False, "1 process on each side; profile with --processes 5 or more"),
        ([1.0] * 4, [1.0] * 4, False, "4 processes on each side; profile with --processes 5"),
        ([1.0] * 3, [], False, "3 and 1 processes; profile with --processes 5 or more"),
        ([1.0] * 7, [1.0] * 7, True, "7 processes on each side; measure with --processes 8"),
        ([1.0, 1.3] * 10, [1.3, 1.0] * 10, True, "time changed by -23.1% to +30.0%; measure with"),
        (WIDE, WIDE, False, "measure side by side (--targets --measure)"),
    ],
)
def test_why_it_is_inconclusive(
    old: list[float], new: list[float], side_by_side: bool, reason: str
) -> None:
    found = judged(old, new, side_by_side=side_by_side)
    assert found.verdict == "inconclusive"
    assert reason in str(found.reason)


def test_apart_the_whole_interval_must_lie_beyond_the_threshold() -> None:
    old = WIDE
    new = [1.1 * each for each in old]
    assert judged(old, new).verdict == "increased"
    apart = judged(old, new, side_by_side=False)
    assert apart.verdict == "inconclusive"
    assert apart.low is not None
    assert 0 < apart.low < 0.05
    assert judged(old, [2 * each for each in old], side_by_side=False).verdict == "increased"


def test_another_environment_is_not_compared() -> None:
    found = judged([1.0] * 20, [2.0] * 20, spoiled="not the same threads")
    assert (found.verdict, found.reason) == ("not compared", "not the same threads")
    assert found.change == pytest.approx(0.1)
    assert found.low is None


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [(100, 100, "same"), (100, 104, "same"), (100, 106, "increased"), (100, 90, "decreased")],
)
def test_counters_have_no_noise(old: int, new: int, verdict: str) -> None:
    assert Judge(0.05, False, 0.01).counter(bare("peak_bytes", old, new)).verdict == verdict


def test_a_counter_that_was_0() -> None:
    judge = Judge(0.05, False, 0.01)
    assert judge.counter(bare("peak_bytes", 0, 0)).verdict == "same"
    found = judge.counter(bare("peak_bytes", 0, 5))
    assert (found.verdict, found.change) == ("inconclusive", None)
