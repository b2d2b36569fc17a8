"""Lays two reports of one kind side by side: what changed, and every figure that a gate may ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blocktool.analysis.compare_summaries import compare_summaries
from blocktool.analysis.mismatches import Report, mismatches
from blocktool.analysis.statements import statements
from blocktool.results.comparison import (
    ComparedKind,
    Comparison,
    MetricChange,
    Mismatch,
    Side,
)
from blocktool.results.profile import Profile
from blocktool.results.shapes import ShapeReport
from blocktool.results.summary import Summary

KINDS: dict[type, ComparedKind] = {
    Summary: "summary",
    Profile: "profile",
    ShapeReport: "check-shapes",
}
"""The reports that can be compared, and what they are called."""


@dataclass(frozen=True)
class Compared:
    """``changes`` has every figure of the whole and of each module, changed or not."""

    comparison: Comparison
    changes: tuple[MetricChange, ...]


def compare(
    old: Report,
    new: Report,
    *,
    names: tuple[str, str] = ("old", "new"),
    threshold: float = 0.05,
) -> Compared:
    """What changed from ``old`` to ``new``, which are of one kind.

    ``threshold`` is by how much a measured figure must differ to count, as a share. Raises
    TypeError for reports of different kinds.
    """
    if type(old) is not type(new) or type(new) not in KINDS:
        raise TypeError(f"{type(old).__name__} and {type(new).__name__} cannot be compared")
    about = (side(old, names[0]), side(new, names[1]), mismatches(old, new))
    if isinstance(old, Summary) and isinstance(new, Summary):
        return _of_summaries(old, new, *about)
    if isinstance(old, Profile) and isinstance(new, Profile):
        return _of_profiles(old, new, *about, threshold=threshold)
    if isinstance(old, ShapeReport) and isinstance(new, ShapeReport):
        return _of_shapes(old, new, *about)
    raise AssertionError("a kind of report without a comparison")


def _of_summaries(
    old: Summary, new: Summary, before: Side, after: Side, differing: tuple[Mismatch, ...]
) -> Compared:
    found = compare_summaries(old, new)
    comparison = Comparison(
        compares="summary",
        old=before,
        new=after,
        statements=statements(old, new, found),
        totals=found.totals,
        modules=found.modules,
        mismatches=differing,
    )
    return Compared(comparison, found.changes)


def _of_profiles(
    old: Profile,
    new: Profile,
    before: Side,
    after: Side,
    differing: tuple[Mismatch, ...],
    *,
    threshold: float,
) -> Compared:
    from blocktool.analysis.compare_profiles import compare_profiles

    comparable = not any(each.decisive for each in differing)
    found = compare_profiles(old, new, threshold=threshold, comparable=comparable)
    comparison = Comparison(
        compares="profile",
        old=before,
        new=after,
        statements=found.statements,
        totals=found.totals,
        modules=found.modules,
        mismatches=differing,
        threshold=threshold,
        notes=found.notes,
    )
    return Compared(comparison, (*found.totals, *found.changes))


def _of_shapes(
    old: ShapeReport, new: ShapeReport, before: Side, after: Side, differing: tuple[Mismatch, ...]
) -> Compared:
    from blocktool.analysis.compare_shapes import compare_shapes

    found = compare_shapes(old, new)
    comparison = Comparison(
        compares="check-shapes",
        old=before,
        new=after,
        statements=found.statements,
        totals=found.totals,
        modules=(),
        cases=found.cases,
        mismatches=differing,
    )
    return Compared(comparison, found.totals)


def alone(new: Report, *, name: str = "new") -> Compared:
    """One report, with nothing to compare it with: its figures, for budgets."""
    same = compare(new, new, names=(name, name))
    totals = _one_sided(same.comparison.totals)
    comparison = replace(same.comparison, old=None, totals=totals, modules=(), notes=())
    return Compared(comparison, _one_sided(same.changes))


def _one_sided(changes: Sequence[MetricChange]) -> tuple[MetricChange, ...]:
    return tuple(
        replace(change, old=None, change=None, verdict="added", low=None, high=None, reason=None)
        for change in changes
    )


def side(report: Report, name: str) -> Side:
    """What a report is of, and where it was made."""
    device = None
    if isinstance(report, Profile):
        device = report.assumed
        if report.machine is not None:
            device = f"{report.machine.name} ({report.machine.device})"
    return Side(name, target_of(report), report.environment, device)


def target_of(report: Report) -> str:
    """What was named; of several targets all of them."""
    if isinstance(report, ShapeReport):
        return ", ".join(each.target for each in report.targets)
    return report.target
