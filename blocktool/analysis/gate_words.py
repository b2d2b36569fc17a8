"""What the gate says of a figure that breaks a rule, in one sentence.

Figures stand with all their digits: of 4,089,184,256 and 4,089,184,258 nothing else would show
what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from blocktool.analysis.gate_rules import Budget, Change, is_ms
from blocktool.results.comparison import MetricChange

Figure = float | int | str


def moved(figure: MetricChange, limit: Change, share: Fraction | float | None) -> str:
    """Of a figure that changed more than it may; ``share`` is by how much, None: infinitely."""
    old = 0 if figure.old is None else figure.old
    new = 0 if figure.new is None else figure.new
    allowed = "no change is allowed" if limit.forbids_any else f"allowed is {limit.text}"
    if isinstance(old, str) or isinstance(new, str):
        return f"{_name(figure)} changed from {_side(figure.old)} to {_side(figure.new)}, {allowed}"
    before, after, unit = *_pair(old, new), _unit(figure.metric)
    verb = "rose" if new > old else "fell"
    if share is None or figure.old is None or figure.new is None:
        return f"{_name(figure)} {verb} from {before} to {after}{unit}{_why(figure)}, {allowed}"
    if limit.relative:
        size = _percent(share if share > 0 else -share, limit.amount)
    else:
        size = _number(abs(new - old), 4) + unit
    sides = f"{_bounds(figure)}{before} -> {after}{unit}"
    return f"{_name(figure)} {verb} by {size} ({sides}), {allowed}"


def gone(figure: MetricChange) -> str:
    """Of a figure that the new report lacks."""
    why = f": {figure.reason}" if figure.reason else ""
    was = "" if figure.old is None else f" (it was {_side(figure.old)}{_unit(figure.metric)})"
    return f"{_name(figure)} is not in the new report{was}{why}"


def over(figure: MetricChange, budget: Budget) -> str:
    """Of a figure that does not keep to a budget."""
    new, unit, limit = figure.new, _unit(figure.metric), budget.text
    if budget.value is None or new is None or isinstance(new, str):
        shown = _side(new)
    else:
        least = float(budget.value)
        shown = _pair(new, least)[0] + unit
        if figure.metric.endswith("_bytes") and not limit.isdigit():
            limit += f" ({_number(least, 17)}{unit})"
    must = "it must be" if budget.operator == "==" else f"the budget is {budget.operator}"
    return f"{_name(figure)} is {shown}, {must} {limit}"


def _name(figure: MetricChange) -> str:
    """``macs of layer1.0 (batch 8 · float32)``; of one that moved ``... (formerly stage1.0)``."""
    if figure.module:
        former = f"formerly {figure.old_module}" if figure.old_module else None
        remarks = ", ".join(filter(None, (former, figure.case)))
        return f"{figure.metric} of {figure.module}{f' ({remarks})' if remarks else ''}"
    return f"{figure.metric} of {figure.case or 'the whole'}"


def _why(figure: MetricChange) -> str:
    if figure.old is None:
        return " (the module is new)"
    return " (the module is gone)" if figure.new is None else ""


def _side(value: Figure | None) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else _number(value, 6)


def _bounds(figure: MetricChange) -> str:
    """The interval of a measured change."""
    if figure.low is None or figure.high is None:
        return ""
    return f"between {100 * figure.low:+.1f}% and {100 * figure.high:+.1f}%; "


def _unit(metric: str) -> str:
    return " ms" if is_ms(metric) else " bytes" if metric.endswith("_bytes") else ""


def _pair(first: float, second: float) -> tuple[str, str]:
    """Two figures with as many digits as it takes to tell them apart."""
    shown = ("", "")
    for digits in (4, 6, 9, 17):
        shown = (_number(first, digits), _number(second, digits))
        if first == second or shown[0] != shown[1]:
            break
    return shown


def _number(value: float, digits: int) -> str:
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    if 1000 <= abs(value) < 10**digits:
        whole = len(str(int(abs(value))))
        return f"{value:,.{max(digits - whole, 0)}f}"
    return f"{value:.{digits}g}"


def _percent(share: Fraction | float, limit: Fraction | None) -> str:
    """A share, with as many digits as it takes to see that it is beyond the limit."""
    said = None if limit is None else f"{float(100 * limit):g}%"
    return next(
        shown for shown, last in _percents(float(100 * share)) if last or shown not in ("0%", said)
    )


def _percents(percent: float) -> Iterator[tuple[str, bool]]:
    for digits in (3, 4, 5, 6, 8, 12):
        if percent >= 10 ** (digits - 1):
            yield f"{percent:,.0f}%", False
        else:
            yield f"{percent:.{digits}g}%", False
    yield f"{percent!r}%", True
