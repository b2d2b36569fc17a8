"""What a budget was held to, found again among the figures of the whole."""

from __future__ import annotations

from blocktool.analysis.gate_rules import Budget, Rule, plain_metric, read_rule
from blocktool.errors import UsageError
from blocktool.render import comparison_figures as figures
from blocktool.results.comparison import Comparison, MetricChange, RuleOutcome


def held_to(outcome: RuleOutcome, comparison: Comparison) -> str:
    """``MACs 4.089 G``, ``Latency, median 9.10 ms to 18.30 ms, 1 missing``; of modules, and of
    rules about changes, only how many figures."""
    if outcome.outcome == "skipped":
        return ""
    rule = _budget(outcome.rule)
    named = [each for each in comparison.totals if rule is not None and _is_of(rule, each)]
    if not named or len(named) != outcome.figures:
        return "1 figure" if outcome.figures == 1 else f"{outcome.figures:,} figures"
    name = figures.name(named[0].metric)
    values = [each.new for each in named if each.new is not None]
    if not values:
        return f"{name} missing"
    missing = f", {len(named) - len(values):,} missing" if len(values) < len(named) else ""
    return f"{name} {' to '.join(_shown(named[0].metric, values))}{missing}"


def _shown(metric: str, values: list[float | int | str]) -> list[str]:
    """The ends of a range of numbers, or all texts."""
    ends = values
    if not any(isinstance(value, str) for value in values):
        ends = [min(values, key=float), max(values, key=float)]
    return list(dict.fromkeys(figures.figure(metric, value) for value in ends))


def _budget(text: str) -> Rule | None:
    """The rule, where it is a budget on the whole. A saved one may be of another release."""
    try:
        rule = read_rule(text)
    except UsageError:
        return None
    return rule if rule.glob is None and isinstance(rule.limit, Budget) else None


def _is_of(rule: Rule, change: MetricChange) -> bool:
    return plain_metric(change.metric) == rule.metric and rule.takes(change.case)
