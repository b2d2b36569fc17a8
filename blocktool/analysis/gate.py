"""The gate: which figures break a rule. ``gate_limits.py`` says when one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from blocktool.analysis.figures import exact
from blocktool.analysis.gate_hints import no_case, no_module, unknown
from blocktool.analysis.gate_limits import NotHeld, broken
from blocktool.analysis.gate_rules import Change, Rule, plain_metric
from blocktool.results.comparison import Finding, MetricChange, RuleOutcome

ELSEWHERE = "the reports are of different devices or releases of torch"
NO_OLD = "there is no old report to compare with"

_MOST_REASONS = 3
_OPERATION = "operations."
_NEVER_RAN = "no operation of this name ran"


def judged(
    rules: Sequence[Rule], changes: Sequence[MetricChange], *, comparable: bool = True
) -> tuple[tuple[RuleOutcome, ...], tuple[Finding, ...]]:
    """What became of each rule, and every figure that breaks one.

    ``changes`` has all figures of the whole and of each module, changed or not; of one report
    alone, with None on the old side. Where the reports are not ``comparable``, only budgets hold.

    Raises UsageError for a metric that the figures do not have, for a choice of cases that fits
    none, and for a limit in numbers on a figure that is a text.
    """
    has_old = any(each.old is not None for each in changes)
    outcomes: list[RuleOutcome] = []
    findings: list[Finding] = []
    for rule in rules:
        figures = _chosen(rule, changes)
        if not figures:
            reason = no_module(rule.glob or "", _paths(changes))
        elif isinstance(rule.limit, Change) and not (comparable and has_old):
            reason = ELSEWHERE if has_old else NO_OLD
        else:
            outcome, found = _held(rule, figures)
            outcomes.append(outcome)
            findings += found
            continue
        outcomes.append(RuleOutcome(rule.text, "skipped", 0, reason))
    return tuple(outcomes), tuple(findings)


def _chosen(rule: Rule, changes: Sequence[MetricChange]) -> list[MetricChange]:
    """The figures that a rule is about; none where its pattern fits no module."""
    by_module = rule.glob is not None
    level = [each for each in changes if (bool(each.module) if by_module else each.module is None)]
    named = [each for each in level if plain_metric(each.metric) == rule.metric]
    if not named and rule.metric.startswith(_OPERATION):
        named = _never_run(rule.metric, level)
    if not named:
        elsewhere = any(plain_metric(each.metric) == rule.metric for each in changes)
        if not (by_module and elsewhere and not level):
            raise unknown(rule, level, elsewhere=elsewhere)
    if rule.glob is not None:
        named = [each for each in named if _fits(each, rule.glob)]
    taken = [each for each in named if rule.takes(each.case)]
    if named and not taken:
        raise no_case(rule, named)
    return taken


def _never_run(metric: str, level: Sequence[MetricChange]) -> list[MetricChange]:
    """How often an operation ran that neither summary has: 0 times, where others are counted."""
    other = next((each for each in level if each.metric.startswith(_OPERATION)), None)
    if other is None:
        return []
    return [replace(exact(metric, None if other.old is None else 0, 0), reason=_NEVER_RAN)]


def _fits(figure: MetricChange, glob: str) -> bool:
    """Whether a pattern means a figure's module, by its path in either report: a rule is not to be
    got rid of by another name."""
    return any(fnmatchcase(path, glob) for path in (figure.module, figure.old_module) if path)


def _paths(changes: Sequence[MetricChange]) -> list[str]:
    """The paths of all modules, in both reports."""
    paths = (path for each in changes for path in (each.module, each.old_module) if path)
    return list(dict.fromkeys(paths))


def _held(rule: Rule, figures: Sequence[MetricChange]) -> tuple[RuleOutcome, list[Finding]]:
    findings, reasons, kept = [], Counter[str](), 0
    for figure in figures:
        try:
            message = broken(rule, figure)
        except NotHeld as reason:
            reasons[str(reason)] += 1
            continue
        if figure.reason == _NEVER_RAN:  # as it should, or the name is misspelt
            reasons[_NEVER_RAN] += 1
        if message is None:
            kept += 1
            continue
        findings.append(
            Finding(
                rule.text,
                figure.metric,
                figure.old,
                figure.new,
                figure.change,
                message,
                figure.module,
                figure.case,
            )
        )
    outcome = RuleOutcome(
        rule.text,
        "failed" if findings else "passed" if kept else "skipped",
        kept + len(findings),
        _reason(reasons, len(figures)),
    )
    return outcome, findings


def _reason(reasons: Counter[str], total: int) -> str | None:
    """What was not judged, and why: ``inconclusive: ... (2 of 3 figures)``."""
    told = [
        reason if count == total else f"{reason} ({count} of {total} figures)"
        for reason, count in reasons.most_common(_MOST_REASONS)
    ]
    if len(reasons) > _MOST_REASONS:
        told.append(f"{len(reasons) - _MOST_REASONS} more reasons")
    return "; ".join(told) or None
