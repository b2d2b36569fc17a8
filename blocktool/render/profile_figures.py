"""The figures of the cases of a profile, as columns of text; shared by table and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from blocktool.render import units
from blocktool.render.profile_words import has_time, is_predicted
from blocktool.results.profile import Latency, ProfileCase

ValueT = TypeVar("ValueT")
Tone = Literal["", "bold", "dim", "yellow", "green"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One column: a text and a tone for each case, empty where there is none.

    Columns of the same ``chunk`` are read together and stay side by side.
    """

    title: str
    chunk: int
    texts: tuple[str, ...]
    tones: tuple[Tone, ...]


def time_ms(case: ProfileCase) -> float | None:
    """The median, or the predicted time."""
    if case.latency_ms is not None:
        return case.latency_ms.p50
    return case.roofline.predicted_ms if case.roofline and is_predicted(case) else None


def throughput(case: ProfileCase) -> float | None:
    """Items per second, for a predicted time as well."""
    if case.throughput is not None:
        return case.throughput
    ms = time_ms(case)
    return 1e3 * case.batch / ms if ms and case.batch is not None else None


def gflops(case: ProfileCase) -> float | None:
    """1e9 FLOPs per second, for a predicted time as well."""
    return _rate(case, case.gflops, 2 * case.macs if case.macs is not None else None)


def gbps(case: ProfileCase) -> float | None:
    """1e9 bytes per second, for a predicted time as well."""
    return _rate(case, case.gbps, case.moved_bytes)


def _rate(case: ProfileCase, given: float | None, work: int | None) -> float | None:
    if given is not None:
        return given
    ms = time_ms(case)
    return work / ms / 1e6 if ms and work is not None else None


def eager_of(case: ProfileCase, cases: Sequence[ProfileCase]) -> ProfileCase | None:
    """The eager case that a variant is to be compared with, where it has a time."""
    same = [
        other
        for other in cases
        if other.variant == "eager"
        and (other.batch, other.inputs, other.dtype, other.mode, other.amp)
        == (case.batch, case.inputs, case.dtype, case.mode, case.amp)
    ]
    return same[0] if same and time_ms(same[0]) else None


def speedup(case: ProfileCase, cases: Sequence[ProfileCase]) -> tuple[float, bool] | None:
    """Eager's time over the case's, and whether the two medians can be told apart."""
    base, ms = eager_of(case, cases), time_ms(case)
    if base is None or not ms:
        return None
    whole = time_ms(base) or 0.0
    return whole / ms, _apart(base.latency_ms, case.latency_ms)


def _apart(one: Latency | None, two: Latency | None) -> bool:
    if one is None or two is None:
        return True
    return one.high < two.low or two.high < one.low


def figures(cases: Sequence[ProfileCase], *, precision: float) -> list[Figure]:
    """The columns that have anything to show, for the cases that have a time; ``precision`` is the
    one that was asked for."""
    found: list[Figure] = []

    def column(
        title: str,
        chunk: int,
        show: Callable[[ProfileCase], str | None],
        tone: Callable[[ProfileCase], Tone] = lambda case: "",
    ) -> None:
        texts = tuple((show(case) if has_time(case) else None) or "" for case in cases)
        if any(texts):
            found.append(Figure(title, chunk, texts, tuple(map(tone, cases))))

    guessed = any(map(is_predicted, cases))
    column("Predicted time" if guessed else "Time", 0, _time, lambda case: "bold")
    column("±", 0, _precision, lambda case: "yellow" if _wide(case, precision) else "dim")
    column("p5 – p95", 1, _spread, lambda case: "dim")
    column("Items/s", 2, lambda case: _shown(units.figure, throughput(case)))
    if len({case.variant for case in cases}) > 1:
        column("vs eager", 3, lambda case: _against(case, cases), lambda c: _gain(c, cases))
    column("Error", 3, _error)
    column("SQNR", 3, lambda case: _shown(_decibels, case.error.sqnr_db if case.error else None))
    column("Top-1", 3, _top1)
    column("GFLOP/s", 4, lambda case: _shown(units.rate, gflops(case)))
    column("GB/s", 4, lambda case: _shown(units.rate, gbps(case)), lambda case: "dim")
    if not guessed:
        column("Of limit", 5, lambda case: _shown(units.whole_percent, attained(case)))
    column("Bound", 5, lambda case: case.roofline.bound if case.roofline else None)
    column("Peak memory", 6, lambda case: _shown(units.size, case.peak_bytes))
    column(
        "Predicted peak" if guessed else "Predicted",
        6,
        lambda case: _shown(units.size, case.predicted_peak_bytes),
        lambda case: "dim",
    )
    column(
        "Reserved",
        6,
        lambda case: _shown(units.size, case.memory.reserved_bytes if case.memory else None),
        lambda case: "dim",
    )
    return found


def attained(case: ProfileCase) -> float | None:
    """The share of what is attainable, where it was measured against limits."""
    return case.roofline.attained if case.roofline is not None else None


def phase_figures(cases: Sequence[ProfileCase]) -> list[Figure]:
    """For training steps: time and share of each phase, in the order of the first case."""
    names = list(dict.fromkeys(p.phase for case in cases for p in case.phases_ms))
    found = []
    for chunk, name in enumerate(names):
        times, shares = [], []
        for case in cases:
            ms = next((p.p50 for p in case.phases_ms if p.phase == name), None)
            whole = sum(p.p50 for p in case.phases_ms)
            times.append("" if ms is None else units.duration(ms))
            shares.append("" if ms is None or not whole else units.percent(ms / whole))
        plain: list[Tone] = [""] * len(cases)
        dim: list[Tone] = ["dim"] * len(cases)
        found.append(Figure(name.capitalize(), chunk, tuple(times), tuple(plain)))
        found.append(Figure("%", chunk, tuple(shares), tuple(dim)))
    return found


def _time(case: ProfileCase) -> str | None:
    return _shown(units.duration, time_ms(case))


def _precision(case: ProfileCase) -> str | None:
    return None if case.precision is None else units.precision(case.precision).lstrip("±")


def _wide(case: ProfileCase, asked: float) -> bool:
    return case.precision is not None and case.precision > asked


def _spread(case: ProfileCase) -> str | None:
    taken = case.latency_ms
    return units.durations(taken.p5, taken.p95, between="–") if taken else None


def _against(case: ProfileCase, cases: Sequence[ProfileCase]) -> str | None:
    found = speedup(case, cases)
    if found is None or case.variant == "eager":
        return "1×" if found else None
    gain, apart = found
    return f"{'' if apart else '≈'}{gain:.2f}×"


def _gain(case: ProfileCase, cases: Sequence[ProfileCase]) -> Tone:
    found = speedup(case, cases)
    if found is None or case.variant == "eager" or not found[1]:
        return "dim"
    return "green" if found[0] > 1 else "yellow"


def _error(case: ProfileCase) -> str | None:
    return units.error(case.error.max_relative_error) if case.error else None


def _top1(case: ProfileCase) -> str | None:
    return _shown(units.percent, case.error.same_top1 if case.error else None)


def _decibels(ratio: float) -> str:
    return f"{ratio:.0f} dB"


def _shown(show: Callable[[ValueT], str], value: ValueT | None) -> str | None:
    return None if value is None else show(value)
