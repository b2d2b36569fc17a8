"""Whether one figure keeps to one rule.

What decides, where it is not plain:

- A change is held to its rule by exact arithmetic on the two figures. From 0 every rise is
  infinite. Of a module that came or went the other side is 0.
- A measured figure breaks a rule of change only where it changed significantly, and by more than
  the rule allows; or where all of the interval of its change lies beyond what is allowed, though
  the comparison, with its larger threshold, calls it the same. What is inconclusive or not
  compared never does.
- A budget on a measured figure is held by the median. The report has no interval that would
  cover all of its noise; whoever sets the budget leaves room for that.
- A text that a module does not have (a dtype without parameters of its own, the shapes of one that
  never runs) is not held to a budget: ``*:param_dtype==bfloat16`` is about those that have one.
- A figure of the whole that the new report lacks (its case failed, or was left out) breaks the
  rules that are about it: a gate that passes because there is nothing left to hold is open.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

from blocktool.analysis import gate_words
from blocktool.analysis.gate_rules import Budget, Change, Operator, Rule
from blocktool.errors import UsageError
from blocktool.results.comparison import MetricChange

Number = Fraction | float
"""A float only where it is infinite."""

_COMPARE: dict[Operator, Callable[[Number, Number], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


class NotHeld(Exception):  # noqa: N818
    """A figure that can neither keep nor break a rule, and why."""


def broken(rule: Rule, figure: MetricChange) -> str | None:
    """What to say of a figure that breaks the rule, None if it keeps to it.

    Raises NotHeld where it can do neither, and UsageError for numbers on a text and the reverse.
    """
    if isinstance(rule.limit, Budget):
        return _over_budget(rule, rule.limit, figure)
    return _changed(rule, rule.limit, figure)


def _over_budget(rule: Rule, budget: Budget, figure: MetricChange) -> str | None:
    new = _exact(figure.new)
    if new is None:
        if figure.module:
            raise NotHeld("the module is gone" if figure.old is not None else "no figure")
        return gate_words.gone(figure)
    if isinstance(new, str):
        if not new and figure.module:
            raise NotHeld(f"no {figure.metric} of its own")
        if budget.operator != "==":
            raise UsageError(
                f"the rule '{rule.text}' cannot be held: {rule.metric} is a text, '{new}'",
                hint=f"say what it must be: {rule.metric}=={new}",
            )
        keeps = " ".join(new.split()) == budget.text
    elif budget.value is None:
        raise UsageError(
            f"the rule '{rule.text}' cannot be held: {rule.metric} is a number",
            hint=f"'{budget.text}' is none; for example {rule.metric}<=5000",
        )
    else:
        keeps = _COMPARE[budget.operator](new, budget.value)
    return None if keeps else gate_words.over(figure, budget)


def _changed(rule: Rule, limit: Change, figure: MetricChange) -> str | None:
    old, new = _exact(figure.old), _exact(figure.new)
    if old is None and new is None:
        raise NotHeld("no figure on either side")
    if not figure.module:
        if new is None:
            return gate_words.gone(figure)
        if old is None:
            raise NotHeld("new, with nothing to compare it with")
    if figure.verdict in ("inconclusive", "not compared"):
        told = figure.verdict
        raise NotHeld(f"{told}: {figure.reason}" if figure.reason else told)
    if isinstance(old, str) or isinstance(new, str):
        if not limit.forbids_any:
            raise UsageError(
                f"the rule '{rule.text}' cannot be held: {rule.metric} is a text",
                hint=f"{rule.metric}:0 forbids any change, {rule.metric}==TEXT says what it is",
            )
        return None if old == new else gate_words.moved(figure, limit, None)
    if figure.lane == "measured":
        if old is None or new is None:
            raise NotHeld("on one side only")
        share = _estimate(figure, old, new)
        breaks = _moved_beyond(limit, figure, share, new - old)
    else:
        old, new = (Fraction(0) if side is None else side for side in (old, new))
        share = _share(old, new)
        breaks = old != new and _beyond(limit, old, new)
    if not breaks:
        return None
    return gate_words.moved(figure, limit, share if math.isfinite(share) else None)


def _beyond(limit: Change, old: Number, new: Number) -> bool:
    """Whether a counted figure changed by more than is allowed; the two are not equal."""
    difference = new - old
    allowed: Number = limit.amount
    if limit.relative:
        allowed = limit.amount * _size(old) if math.isfinite(old) else Fraction(0)
    return (limit.direction != "-" and difference > allowed) or (
        limit.direction != "+" and -difference > allowed
    )


def _moved_beyond(limit: Change, figure: MetricChange, share: Number, difference: Number) -> bool:
    """The same of a measured figure."""
    moved = share if limit.relative else difference
    rises, falls = limit.direction != "-", limit.direction != "+"
    if figure.verdict == "increased":
        return rises and moved > limit.amount
    if figure.verdict == "decreased":
        return falls and -moved > limit.amount
    if not limit.relative or figure.low is None or figure.high is None:
        return False
    return (rises and figure.low > limit.amount) or (falls and -figure.high > limit.amount)


def _estimate(figure: MetricChange, old: Number, new: Number) -> Number:
    """The stated change of a measured figure, which need not be the ratio of its two medians."""
    stated = _exact(figure.change)
    return _share(old, new) if stated is None or isinstance(stated, str) else stated


def _share(old: Number, new: Number) -> Number:
    """The change as a share of the old figure; of nothing, and of infinity, infinite."""
    difference = new - old
    if not old or not math.isfinite(old):
        return math.copysign(math.inf, difference) if old != new else Fraction(0)
    return difference / _size(old)


def _size(number: Number) -> Number:
    return -number if number < 0 else number


def _exact(value: float | int | str | None) -> Number | str | None:
    """A figure without rounding; infinities stay, NaN is no figure, texts are themselves."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None if math.isnan(value) else value
        return Fraction(repr(value))  # as it is written: 0.05, not the nearest binary fraction
    return Fraction(value)
