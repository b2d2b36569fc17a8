"""The gate: which figures break a rule. ``gate_limits.py`` says when one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from blocktool.analysis.gate_limits import NotHeld, broken
from blocktool.analysis.gate_rules import Change, Rule, plain_metric
from blocktool.errors import UsageError
from blocktool.results.comparison import Finding, MetricChange, RuleOutcome

ELSEWHERE = "the reports are of different devices or releases of torch"
NO_OLD = "there is no old report to compare with"

_MOST_REASONS = 3
_MOST_NAMED = 5
_MOST_METRICS = 15


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
            reason = f"no module matches '{rule.glob}'"
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
    if not named:
        elsewhere = any(plain_metric(each.metric) == rule.metric for each in changes)
        if not (by_module and elsewhere and not level):
            raise _unknown(rule, level, elsewhere=elsewhere)
    if rule.glob is not None:
        named = [each for each in named if fnmatchcase(each.module or "", rule.glob)]
    taken = [each for each in named if rule.takes(each.case)]
    if named and not taken:
        raise _no_case(rule, named)
    return taken


def _held(rule: Rule, figures: Sequence[MetricChange]) -> tuple[RuleOutcome, list[Finding]]:
    findings, reasons, kept = [], Counter[str](), 0
    for figure in figures:
        try:
            message = broken(rule, figure)
        except NotHeld as reason:
            reasons[str(reason)] += 1
            continue
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


def _unknown(rule: Rule, level: Sequence[MetricChange], *, elsewhere: bool) -> UsageError:
    of = "the modules" if rule.glob is not None else "the whole"
    known = sorted({plain_metric(each.metric) for each in level})
    if elsewhere:
        other = f"*:{rule.metric}" if rule.glob is None else rule.metric
        hint = f"it is one of {'the whole' if rule.glob is not None else 'modules'}: {other}"
    elif near := get_close_matches(rule.metric, known, 1):
        hint = f"did you mean {near[0]}?"
    else:
        more = ", ..." if len(known) > _MOST_METRICS else ""
        hint = f"there is {', '.join(known[:_MOST_METRICS])}{more}" if known else "there are none"
    return UsageError(
        f"the rule '{rule.text}' is about no figure of {of}: there is no '{rule.metric}'", hint=hint
    )


def _no_case(rule: Rule, figures: Sequence[MetricChange]) -> UsageError:
    cases = list(dict.fromkeys(each.case for each in figures if each.case))
    more = f", and {len(cases) - _MOST_NAMED} more" if len(cases) > _MOST_NAMED else ""
    return UsageError(
        f"the rule '{rule.text}' fits no case",
        hint=f"cases are {'; '.join(cases[:_MOST_NAMED])}{more}"
        if cases
        else f"these reports have no cases: {rule.metric} without the brackets",
    )
