"""What a comparison comes to, in one line and in a few, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_outcomes as outcomes
from blocktool.render import comparison_words as words
from blocktool.results.comparison import Comparison, MetricChange, Side

_FIRST = ("params", "macs", "peak_live_bytes", "latency_ms.p50", "throughput", "peak_bytes")
_MOST = 3


def sides(comparison: Comparison) -> str:
    """``resnet18: old.json -> new.json``, or the report that was held to budgets."""
    old, new = comparison.old, comparison.new
    if old is None:
        return _side(new)
    if old.target == new.target:
        head = "" if new.target in (old.name, new.name) else f"{new.target}: "
        return f"{head}{old.name} -> {new.name}"
    return f"{_side(old)} -> {_side(new)}"


def _side(side: Side) -> str:
    return side.name if side.name == side.target else f"{side.name} ({side.target})"


def headline(comparison: Comparison) -> str:
    """The verdict in a few words: ``1 of 3 rules fails``, ``Parameters +2.1%, MACs +12.5%``."""
    if words.silent(comparison):
        return "No change"
    if comparison.old is None or words.broken(comparison):
        broken = words.counted(words.broken(comparison), "rule")
        return words.rules_line(comparison) or f"{broken} broken"
    told = [
        outcomes.heading_line(heading, len(group))
        for heading, group in outcomes.groups(comparison.cases)
        if heading in (outcomes.FAIL, outcomes.PASS)
    ]
    told = told or _dearest(comparison.totals)
    if told:
        return ", ".join(told)
    open_ = [each for each in comparison.totals if each.verdict in ("inconclusive", "not compared")]
    if open_ and not (comparison.statements or comparison.modules):
        return f"{words.counted(len(open_), 'figure')} {open_[0].verdict}"
    alike = comparison.totals and all(each.verdict == "same" for each in comparison.totals)
    return "Changed, at the same cost" if alike else "Changed"


def _dearest(totals: Sequence[MetricChange]) -> list[str]:
    """The figures that a reader asks for first, each with its largest change over the cases."""
    sure = [each for each in totals if each.verdict in ("increased", "decreased")]
    chosen = [each for each in sure if each.metric in _FIRST] or sure
    by_metric: dict[str, list[MetricChange]] = {}
    for each in chosen:
        by_metric.setdefault(each.metric, []).append(each)
    told = []
    for metric, changes in list(by_metric.items())[:_MOST]:
        most = max(changes, key=lambda each: abs(each.change or 0.0))
        up_to = "up to " if len(changes) > 1 else ""
        told.append(f"{figures.name(metric)} {up_to}{figures.change_text(most)}")
    return told


def changes(comparison: Comparison) -> list[str]:
    """What was done, the cases that fail now, and the figures of the whole that are not as they
    were, a line each."""
    lines = [words.statement_line(each) for each in comparison.statements]
    for heading, group in outcomes.groups(comparison.cases):
        if heading == outcomes.FAIL:
            lines += [f"fails now: {outcomes.line(each)}" for each in group]
    for each in words.told_figures(comparison)[0]:
        old, new = figures.before_and_after(each)
        case = f" ({each.case})" if each.case else ""
        verdict = figures.verdict(each, comparison.threshold)
        lines.append(f"{figures.name(each.metric)}{case}: {old} -> {new}, {verdict}")
    return lines or [headline(comparison)]


def steady(comparison: Comparison) -> list[str]:
    """How well it is known that measured times are the same: ``latency the same to within 5%
    (-0.4% to +0.6%): batch 1``."""
    return [
        f"{figures.name(each.metric)}: {figures.verdict(each, comparison.threshold)}"
        f" ({figures.signed(each.low)} to {figures.signed(each.high)}): {each.case}"
        for each in comparison.totals
        if each.verdict == "same"
        and each.metric == "latency_ms.p50"
        and each.low is not None
        and each.high is not None
    ]
