"""The figures of a report that are worth tracking from commit to commit, by benchmark.

A benchmark is a summary, or a case of a profile. Its name says all that its figures depend on, as
far as a report knows it (not the KEY=VALUE arguments of its target), but the machine, in the same
words whatever else was measured with it, so that it is the same benchmark next time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from blocktool.errors import UsageError
from blocktool.render import profile_figures as figures
from blocktool.render.json_decoding import told
from blocktool.render.profile_keys import KEYS
from blocktool.render.profile_words import is_predicted
from blocktool.results.environment import Environment
from blocktool.results.profile import Profile, ProfileCase
from blocktool.results.summary import Summary

_USUAL_ATTENTION = "cpu"
_LONGEST = 900  # characters of a name; Bencher takes 1024


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure. ``slug`` names it in trackers; ``low`` and ``high`` bound it where it was
    measured. Times are in ms."""

    slug: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    larger_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Its name, its metrics, and in words where they come from."""

    name: str
    metrics: tuple[Metric, ...]
    facts: tuple[str, ...]


def benchmarks(result: Summary | Profile) -> list[Benchmark]:
    """The benchmarks of a result, with different names; cases without figures are left out.

    Raises UsageError where there are none.
    """
    found = [_of_summary(result)] if isinstance(result, Summary) else [*_of_profile(result)]
    if not found:
        raise UsageError(
            "no case has figures that could be tracked",
            hint="-f table says why",
        )
    times: dict[str, int] = {}
    named = []
    for each in found:
        name = told(each.name, _LONGEST)
        times[name] = count = times.get(name, 0) + 1
        unique = name if count == 1 else f"{name} ({count})"
        named.append(Benchmark(unique, each.metrics, each.facts))
    return named


def _of_summary(summary: Summary) -> Benchmark:
    totals = summary.totals
    inputs = ", ".join(map(str, summary.inputs)) or "no input"
    with_what = f" with {summary.optimizer}" if summary.optimizer else ""
    name = f"{summary.target}, {inputs}, {summary.mode}{with_what}"
    if summary.attention != _USUAL_ATTENTION:
        name += f", attention as on {summary.attention}"
    metrics = (
        Metric("macs", totals.macs, "MACs"),
        Metric("parameters", totals.params, "parameters"),
        Metric("activation-memory", totals.activation_bytes, "bytes"),
        Metric("predicted-peak-memory", totals.peak_live_bytes, "bytes"),
    )
    return Benchmark(name, metrics, _versions(summary.environment))


def _of_profile(profile: Profile) -> Iterator[Benchmark]:
    facts = _versions(profile.environment)
    if profile.assumed is not None:
        facts = (f"predicted for {profile.assumed}", *facts)
    elif profile.machine is not None:
        facts = (f"{profile.machine.name}, threads: {profile.machine.threads}", *facts)
    for case in profile.cases:
        metrics = tuple(each for each in _of_case(case) if math.isfinite(each.value))
        words = [profile.target, *(key.say(case) for key in KEYS)]
        if profile.assumed is not None:
            words.append(f"predicted for {profile.assumed}")
        if metrics:
            yield Benchmark(", ".join(words), metrics, facts)


def _of_case(case: ProfileCase) -> Iterator[Metric]:
    if case.outcome != "passed" and not is_predicted(case):
        return
    taken, ms, items = case.latency_ms, figures.time_ms(case), figures.throughput(case)
    low, high = (taken.low, taken.high) if taken else (None, None)
    if ms is not None:
        yield Metric("latency", ms, "ms", low, high)
    if items is not None:
        least, most = _per_second(case.batch, high), _per_second(case.batch, low)
        yield Metric("throughput", items, "items/s", least, most, larger_is_better=True)
    if case.peak_bytes is not None:
        yield Metric("peak-memory", case.peak_bytes, "bytes")
    if case.predicted_peak_bytes is not None:
        yield Metric("predicted-peak-memory", case.predicted_peak_bytes, "bytes")
    if case.macs is not None:
        yield Metric("macs", case.macs, "MACs")


def _per_second(batch: int | None, ms: float | None) -> float | None:
    return float(f"{1e3 * batch / ms:.6g}") if batch and ms else None


def _versions(environment: Environment) -> tuple[str, ...]:
    return (f"torch {environment.torch}", f"blocktool {environment.blocktool}")
