"""What changed between two profiles: exact figures, and measured ones as far as they are known.

The error of measured figures is shared among the cases, and side by side among the looks (C. E.
Bonferroni), so that all of them together are said to have changed, though they have not, in at most
1 of 100 comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from blocktool.analysis.compared_modules import compared_modules
from blocktool.analysis.compared_outcomes import figure_statements, outcome_statements
from blocktool.analysis.figures import exact
from blocktool.analysis.matched_cases import labels, matched
from blocktool.analysis.measured_figures import Judge, bare
from blocktool.analysis.mismatches import incomparable, mismatches
from blocktool.analysis.significance import FALSE_ALARM, LOOKS
from blocktool.results.comparison import MetricChange, ModuleChange, Statement
from blocktool.results.profile import MaxBatch, Profile, ProfileCase

_EXACT = ("macs", "moved_bytes", "predicted_peak_bytes")


@dataclass(frozen=True, slots=True)
class ProfileChanges:
    """``totals`` are figures of whole cases, changed or not; ``changes`` those of all modules, and
    of whole cases those that are for information alone, or that a side lacks; ``modules`` has what
    is not as it was."""

    totals: tuple[MetricChange, ...]
    statements: tuple[Statement, ...]
    modules: tuple[ModuleChange, ...]
    changes: tuple[MetricChange, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Pair:
    """A case that both reports have."""

    label: str
    old: ProfileCase
    new: ProfileCase

    @property
    def timed(self) -> bool:
        """Whether both came to an end, and have times."""
        return all(
            each.outcome == "passed" and each.latency_ms is not None
            for each in (self.old, self.new)
        )

    @property
    def copied(self) -> bool:
        """Whether it is one measurement, and not two, down to the last sample."""
        return self.timed and self.old.latency_ms == self.new.latency_ms


def compare_profiles(
    old: Profile, new: Profile, *, threshold: float = 0.05, comparable: bool = True
) -> ProfileChanges:
    """What changed. ``threshold`` is by how much a measured figure must differ, as a share; where
    the environments are not ``comparable`` measured figures are "not compared"."""
    rows = matched(old.cases, new.cases)
    every = [case for row in rows for case in row if case is not None]
    names = dict(zip(map(id, every), labels(every), strict=True))
    pairs = [
        _Pair(names[id(before)], before, after)
        for before, after in rows
        if before is not None and after is not None
    ]
    side_by_side = old.protocol.paired is not None and old.protocol.paired == new.protocol.paired
    looks = LOOKS if side_by_side else 1
    judge = Judge(
        threshold,
        side_by_side,
        error=FALSE_ALARM / looks / max(1, sum(pair.timed for pair in pairs)),
        spoiled=None if comparable else _spoiled(old, new),
    )
    totals = [change for pair in pairs for change in _figures(pair, judge)]
    if old.assumed is not None and new.assumed is not None:
        totals += _predicted_times(pairs)
    if old.max_batch is not None and new.max_batch is not None:
        totals += _max_batch(old.max_batch, new.max_batch, judge)
    modules = compared_modules([(pair.label, pair.old, pair.new) for pair in pairs], judge)
    named = [(names[id(before or after)], before, after) for before, after in rows]
    return ProfileChanges(
        totals=tuple(totals),
        statements=(*outcome_statements(named), *figure_statements(totals)),
        modules=modules.modules,
        changes=(
            *(each for pair in pairs for each in _information(pair, judge)),
            *(each for row in named for each in _missing(*row)),
            *modules.changes,
        ),
        notes=tuple(_notes(old, new, judge, totals)),
    )


def _spoiled(old: Profile, new: Profile) -> str:
    return incomparable(mismatches(old, new)) or "the environments are said to differ"


def _figures(pair: _Pair, judge: Judge) -> Iterator[MetricChange]:
    """Of one case: what both sides know."""
    old, new = pair.old, pair.new
    if pair.timed:
        yield from _times(pair, judge)
    if old.peak_bytes is not None and new.peak_bytes is not None:
        told = bare("peak_bytes", old.peak_bytes, new.peak_bytes, case=pair.label)
        yield judge.counter(told)
    for metric in _EXACT:
        before, after = getattr(old, metric), getattr(new, metric)
        if before is not None and after is not None:
            yield exact(metric, before, after, case=pair.label)


def _times(pair: _Pair, judge: Judge) -> Iterator[MetricChange]:
    medians = pair.old.process_medians_ms, pair.new.process_medians_ms
    for metric, before, after in _middles(pair.old, pair.new):
        told = bare(metric, before, after, case=pair.label)
        if pair.copied and judge.spoiled is None and judge.knows(*medians):
            yield replace(told, verdict="same")
        else:
            yield judge.time(told, *medians, inverse=metric == "throughput")


def _middles(old: ProfileCase, new: ProfileCase) -> Iterator[tuple[str, float, float]]:
    if old.latency_ms is not None and new.latency_ms is not None:
        yield "latency_ms.p50", old.latency_ms.p50, new.latency_ms.p50
    if old.throughput is not None and new.throughput is not None:
        yield "throughput", old.throughput, new.throughput


def _information(pair: _Pair, judge: Judge) -> Iterator[MetricChange]:
    """Times of one case of which reports do not say how they vary from process to process."""
    if not pair.timed:
        return
    for metric, before, after in _percentiles(pair.old, pair.new):
        told = bare(metric, before, after, case=pair.label)
        same = pair.copied and judge.spoiled is None
        yield replace(told, verdict="same") if same else judge.information(told)


def _percentiles(old: ProfileCase, new: ProfileCase) -> Iterator[tuple[str, float, float]]:
    if old.latency_ms is not None and new.latency_ms is not None:
        yield "latency_ms.p5", old.latency_ms.p5, new.latency_ms.p5
        yield "latency_ms.p95", old.latency_ms.p95, new.latency_ms.p95
    later = {phase.phase: phase.p50 for phase in new.phases_ms}
    for phase in old.phases_ms:
        if phase.phase in later:
            yield f"phases_ms.{phase.phase}.p50", phase.p50, later[phase.phase]


def _missing(
    label: str, old: ProfileCase | None, new: ProfileCase | None
) -> Iterator[MetricChange]:
    """The figures that a case has on one side alone, or should have and has on neither: a gate must
    not pass because there is nothing left to look at."""
    before, after = ({} if each is None else _values(each) for each in (old, new))
    failed = new is not None and new.outcome == "failed"
    for metric in dict.fromkeys([*before, *after]):
        was, now = before.get(metric), after.get(metric)
        if (was is None) == (now is None) and not (was is None and failed):
            continue
        gone = "the case is gone" if new is None else new.reason or "it was not measured"
        yield MetricChange(
            metric,
            was,
            now,
            None,
            "removed" if now is None else "added",
            "exact" if metric in _EXACT else "measured",
            case=label,
            reason=gone if now is None else "there was none before",
        )


def _values(case: ProfileCase) -> dict[str, float | int | None]:
    time = case.latency_ms
    return {
        "latency_ms.p50": time and time.p50,
        "throughput": case.throughput,
        "peak_bytes": case.peak_bytes,
        **{metric: getattr(case, metric) for metric in _EXACT},
    }


def _predicted_times(pairs: Sequence[_Pair]) -> Iterator[MetricChange]:
    for pair in pairs:
        before, after = pair.old.roofline, pair.new.roofline
        if before is not None and after is not None:
            ends = before.predicted_ms, after.predicted_ms
            yield exact("roofline.predicted_ms", *ends, case=pair.label)


def _max_batch(old: MaxBatch, new: MaxBatch, judge: Judge) -> Iterator[MetricChange]:
    """The largest batch, of the same question and under the same limit."""
    case = f"{new.dtype} · {new.mode} · {new.variant}"
    if (old.dtype, old.mode, old.variant) != (new.dtype, new.mode, new.variant):
        return
    limit = None
    if old.limit_bytes != new.limit_bytes:
        limit = f"another limit: {old.limit_bytes:,} and {new.limit_bytes:,} bytes"
    if old.predicted is not None and new.predicted is not None:
        change = exact("max_batch.predicted", old.predicted, new.predicted, case=case)
        yield change if limit is None else replace(change, verdict="not compared", reason=limit)
    told = bare("max_batch.batch", old.batch, new.batch, case=case)
    yield replace(judge, spoiled=judge.spoiled or limit).counter(told)


_WHY_NOISY = ("load", "throttled", "oversubscribed")
"""Warnings of a profile that say what to do about times that vary."""


def _notes(
    old: Profile, new: Profile, judge: Judge, totals: Sequence[MetricChange]
) -> Iterator[str]:
    for name, each in (("old", old), ("new", new)):
        if each.interrupted:
            yield f"the {name} profile was interrupted"
    timed = any(change.metric == "latency_ms.p50" and change.low is not None for change in totals)
    if timed and not judge.side_by_side:
        yield (
            "the profiles were made apart: what else the machine did meanwhile is in the change; "
            "blocktool compare --targets --measure OLD NEW measures both side by side"
        )
    if any(change.verdict == "inconclusive" and change.low is not None for change in totals):
        for name, each in (("old", old), ("new", new)):
            for notice in each.warnings:
                if notice.kind in _WHY_NOISY:
                    yield f"{name}: {notice.message}; {notice.hint}"
