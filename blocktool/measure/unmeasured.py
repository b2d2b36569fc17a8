"""Cases that were cut short, not begun, or timed in parts. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blocktool.analysis.sampling import across_processes, latency, precision
from blocktool.measure.answers import blank
from blocktool.measure.request import CaseSpec
from blocktool.results.profile import Latency, ProfileCase

_FEWEST = 3
"""Samples of a case that did not come to its end, from which on they are shown."""
_WHY = {
    "out-of-memory": "ran out of memory",
    "killed": "was killed",
    "timeout": "ran out of time",
}
"""After what a larger batch has no hope."""


def with_samples(case: ProfileCase, samples: Sequence[float], calls: int) -> ProfileCase:
    """A case that was cut short, with the samples of so many calls each that it had taken."""
    if len(samples) < _FEWEST:
        return case
    made = latency(samples, calls)
    return replace(case, latency_ms=made, precision=precision(samples))


def interrupted(spec: CaseSpec, when: str) -> ProfileCase:
    """A case that Ctrl-C ended, or kept from beginning."""
    return replace(blank(spec), outcome="skipped", kind="interrupted", reason=when)


def of_processes(case: ProfileCase, each: Sequence[Latency]) -> ProfileCase:
    """The case with the times of several processes, the first of which are its own."""
    if len(each) < 2:
        return case
    joined = across_processes(each)
    case = replace(
        case,
        latency_ms=joined,
        precision=(joined.high - joined.low) / 2 / joined.p50,
        process_medians_ms=tuple(one.p50 for one in each),
    )
    return rescaled(case, each[0].p50)


def rescaled(case: ProfileCase, before: float) -> ProfileCase:
    """The case with the rates of its median, where that was ``before`` when they were computed."""
    assert case.latency_ms is not None
    ratio = before / case.latency_ms.p50
    line = case.roofline
    if line is not None and line.attained is not None:
        line = replace(line, attained=line.attained * ratio)

    def scaled(rate: float | None) -> float | None:
        return None if rate is None else rate * ratio

    return replace(
        case,
        throughput=scaled(case.throughput),
        gflops=scaled(case.gflops),
        gbps=scaled(case.gbps),
        roofline=line,
    )


def hopeless(spec: CaseSpec, cases: Sequence[ProfileCase]) -> ProfileCase | None:
    """The case, skipped, where a smaller batch of its kind has run out of memory or time."""
    for case in cases:
        alike = (case.dtype, case.mode, case.variant, case.amp) == (
            spec.dtype,
            spec.mode,
            spec.variant,
            spec.amp,
        )
        smaller = (case.batch or 0) <= (spec.batch or 0) and all(
            tuple(a.shape[1:]) == tuple(b.shape[1:])
            for a, b in zip(case.inputs, spec.inputs, strict=True)
        )
        if alike and smaller and case.kind in _WHY:
            why = _WHY[case.kind]
            return replace(
                blank(spec),
                outcome="skipped",
                kind="hopeless",
                reason=f"batch {case.batch} {why}",
            )
    return None
