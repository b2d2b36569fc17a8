"""The cases of a profile in series: those that differ in batch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blocktool.render import profile_figures as figures
from blocktool.render.profile_keys import KEYS
from blocktool.render.profile_words import has_time
from blocktool.results.profile import ProfileCase


@dataclass(frozen=True, slots=True)
class Series:
    """Cases that are the same but for one key, and what tells them from the other series."""

    name: str
    cases: tuple[ProfileCase, ...]


def series(cases: Sequence[ProfileCase], along: str) -> list[Series]:
    """The cases that have a time, grouped by all keys but ``along`` (``"Batch"``, ``"Variant"``).

    A name says only what differs between the series; it is empty where there is but one.
    """
    others = [key for key in KEYS if key.title != along]
    timed = [case for case in cases if has_time(case)]
    telling = [key for key in others if len({key.show(case) for case in timed}) > 1]
    groups: dict[tuple[str, ...], list[ProfileCase]] = {}
    for case in timed:
        groups.setdefault(tuple(key.show(case) for key in others), []).append(case)
    return [
        Series(", ".join(key.say(group[0]) for key in telling), tuple(group))
        for group in groups.values()
    ]


def interval_ms(case: ProfileCase) -> tuple[float, float]:
    """How far the interval of the median reaches above and below it; 0 where there is none."""
    taken = case.latency_ms
    return (taken.high - taken.p50, taken.p50 - taken.low) if taken else (0.0, 0.0)


def throughput_interval(case: ProfileCase) -> tuple[float, float]:
    """The same for the throughput."""
    rate, taken = figures.throughput(case), case.latency_ms
    if taken is None or rate is None or not taken.low or not taken.high:
        return 0.0, 0.0
    return rate * taken.p50 / taken.low - rate, rate - rate * taken.p50 / taken.high
