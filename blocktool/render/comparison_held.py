"""What a budget was held to, found again among the figures of the whole."""

from __future__ import annotations

from blocktool.render import comparison_figures as figures
from blocktool.results.comparison import Comparison, MetricChange, RuleOutcome


def held_to(outcome: RuleOutcome, comparison: Comparison) -> str:
    """``MACs 4.089 G``, ``Latency, median 9.10 ms to 18.30 ms``; of modules only how many."""
    if outcome.outcome == "skipped":
        return ""
    named = [each for each in comparison.totals if _names(outcome.rule, each)]
    values = [each.new for each in named if each.new is not None]
    if not values or len(values) != outcome.figures:
        return "1 figure" if outcome.figures == 1 else f"{outcome.figures:,} figures"
    metric = named[0].metric
    if any(isinstance(value, str) for value in values):
        texts = dict.fromkeys(figures.figure(metric, value) for value in values)
    else:
        ends = (min(values, key=float), max(values, key=float))
        texts = dict.fromkeys(figures.figure(metric, value) for value in ends)
    return f"{figures.name(metric)} {' to '.join(texts)}"


def _names(rule: str, change: MetricChange) -> bool:
    """Whether a budget (``macs<=5G``, ``latency_ms.p50[batch=8]<20ms``) is about this figure."""
    rest = rule.strip()
    if not rest.startswith(change.metric):
        return False
    return rest[len(change.metric) :].lstrip()[:1] in ("<", ">", "=", "[")
