"""The charts of a comparison: figures before and after, and measured changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_words as words
from blocktool.render.html.marks import (
    PATTERNS,
    SYMBOLS,
    axis,
    band,
    bars_height,
    label,
    short,
    upright,
)
from blocktool.render.html.pieces import Chart
from blocktool.render.styled import clean, wrap
from blocktool.results.comparison import Comparison, MetricChange

_MOST = 24
_LOOKS = {
    "worse": ("for the worse", "var(--c2)", PATTERNS[1]),
    "better": ("for the better", "var(--c3)", PATTERNS[0]),
    "neutral": ("neither", "var(--c7)", PATTERNS[2]),
}
"""Words, colour and filling of a change by what it is worth."""
_MEASURED = {
    "worse": ("for the worse", "var(--c2)", SYMBOLS[1]),
    "better": ("for the better", "var(--c3)", SYMBOLS[5]),
    "neutral": ("neither better nor worse", "var(--c4)", SYMBOLS[6]),
    "same": ("the same", "var(--c1)", SYMBOLS[0]),
    "inconclusive": ("inconclusive", "var(--c5)", SYMBOLS[2]),
    "not compared": ("not compared", "var(--c7)", SYMBOLS[4]),
}
"""Words, colour and sign of a measured change: by what it is worth, or by its verdict."""
_ACROSS = 24
_LINES = 3
"""Letters of a line beside a chart, and lines: a narrow screen has no room for more."""


def exact_chart(comparison: Comparison) -> Chart | None:
    """The relative changes of counted figures as bars; None where nothing changed."""
    changes = [
        each
        for each in comparison.totals
        if each.lane == "exact" and each.change and each.verdict in ("increased", "decreased")
    ]
    changes = [each for each in changes if not figures.is_detail(each)] or changes
    if not changes:
        return None
    shown = sorted(changes, key=lambda each: -abs(each.change or 0))[:_MOST]
    names, common = _names(shown)
    traces = []
    for tone, (told, color, pattern) in _LOOKS.items():
        some = [i for i, each in enumerate(shown) if figures.tone(each) == tone]
        if not some:
            continue
        traces.append(
            {
                "type": "bar", "orientation": "h", "name": told, "y": [names[i] for i in some],
                "x": [100 * (shown[i].change or 0) for i in some],
                "text": [figures.signed(shown[i].change or 0) for i in some],
                "textposition": "outside", "cliponaxis": False,
                "customdata": [label(_sides(shown[i])) for i in some],
                "marker": {"color": color, "pattern": {"shape": pattern, "fillmode": "overlay",
                                                       "fgcolor": "var(--paper)", "size": 7,
                                                       "fgopacity": 0.35, "solidity": 0.2}},
                "hovertemplate": "%{y}: %{text}, %{customdata}<extra></extra>",
            }
        )  # fmt: skip
    ends = [100 * (each.change or 0) for each in shown]
    low, high = min(0, *ends), max(0, *ends)
    room = 0.24 * (high - low)  # for the text beside a bar
    layout: dict[str, Any] = {
        "xaxis": axis("change", ticksuffix="%", zeroline=True,
                      range=[low - (room if low else 0), high + (room if high else 0)]),
        "yaxis": {"autorange": "reversed", "automargin": True, "categoryorder": "array",
                  "categoryarray": names},
        "barmode": "overlay",
        "showlegend": True,
    }  # fmt: skip
    told = "; ".join(
        f"{figures.name(each.metric)} {figures.change_text(each)}" for each in shown[:3]
    )
    alike = words.same_line(comparison)
    return Chart(
        "totals-chart",
        "Counted figures, after against before",
        f"The largest changes{common}: {told}."
        f"{f' {alike[:1].upper()}{alike[1:]}.' if alike else ''}",
        {"data": traces, "layout": layout},
        height=bars_height(len(shown), _each(names, 28)) + 40,
    )


def _sides(change: MetricChange) -> str:
    before, after = figures.before_and_after(change)
    return f"{before} → {after}"


def _names(shown: Sequence[MetricChange]) -> tuple[list[str], str]:
    """The figures with what tells their cases apart, in lines; and what all cases have in common,
    in brackets."""
    cases = [each.case for each in shown if each.case]
    common, apart = words.cases_apart(cases) if cases else ("", {})
    names: list[str] = []
    seen: Counter[str] = Counter()
    for each in shown:
        text = figures.name(each.metric)
        case = apart[each.case] if each.case else ""
        name = _in_lines(text, case)
        # Two that read alike when they are shortened would be one place on the axis.
        seen[name] += 1
        names.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return names, f" ({common})" if common else ""


def _in_lines(text: str, case: str) -> str:
    lines = [*wrap(clean(text), _ACROSS), *(wrap(clean(case), _ACROSS) if case else ())]
    if len(lines) > _LINES:
        lines[_LINES - 1 :] = [" ".join(lines[_LINES - 1 :])]
    return "<br>".join(label(short(line, _ACROSS + 4)) for line in lines)


def _each(names: Sequence[str], least: int) -> int:
    """Pixels for each bar, so that the lines beside it have room."""
    return max(least, 16 * max(name.count("<br>") + 1 for name in names) + 6)


def measured_chart(comparison: Comparison) -> Chart | None:
    """The intervals of measured changes against the threshold; None where nothing was measured."""
    changes = [
        each
        for each in comparison.totals
        if each.lane == "measured" and each.change is not None and not figures.is_detail(each)
    ]
    if not changes:
        return None
    shown = changes[:_MOST]
    names, common = _names(shown)
    traces = []
    for kind, (told, color, symbol) in _MEASURED.items():
        some = [(names[i], each) for i, each in enumerate(shown) if _kind(each) == kind]
        if some:
            traces.append(_intervals(told, color, symbol, some, comparison.threshold))
    threshold = 100 * comparison.threshold
    layout: dict[str, Any] = {
        "xaxis": axis("change", ticksuffix="%", zeroline=False),
        "yaxis": {"autorange": "reversed", "automargin": True, "categoryorder": "array",
                  "categoryarray": names, "type": "category"},
        "shapes": [band(-threshold, threshold, "var(--band)", "x"), upright(0, "var(--ink)")],
        "showlegend": True,
    }  # fmt: skip
    return Chart(
        "measured-chart",
        "Measured figures, after against before, with the intervals of the changes",
        _told(shown, comparison.threshold, len(changes) - len(shown), common),
        {"data": traces, "layout": layout},
        height=bars_height(len(shown), _each(names, 32)) + 60,
    )


def _kind(change: MetricChange) -> str:
    """What its look goes by: a change of the time is worth the same, whichever way it is told."""
    return figures.tone(change) if change.verdict in ("increased", "decreased") else change.verdict


def _intervals(
    told: str, color: str, symbol: str, some: Sequence[tuple[str, MetricChange]], threshold: float
) -> dict[str, Any]:
    def reach(end: float | None, change: float | None, sign: int) -> float:
        return 0.0 if end is None or change is None else max(sign * 100 * (end - change), 0.0)

    return {
        "type": "scatter", "mode": "markers", "name": told, "y": [name for name, _ in some],
        "x": [100 * (each.change or 0) for _, each in some],
        "error_x": {
            "type": "data", "symmetric": False, "color": color, "thickness": 2, "width": 6,
            "array": [reach(each.high, each.change, 1) for _, each in some],
            "arrayminus": [reach(each.low, each.change, -1) for _, each in some],
        },
        "marker": {"color": color, "symbol": symbol, "size": 12},
        "text": [label(f"{_sides(each)}; {figures.verdict(each, threshold)}") for _, each in some],
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
    }  # fmt: skip


def _told(shown: Sequence[MetricChange], threshold: float, more: int, common: str) -> str:
    told = [
        f"{figures.name(each.metric)}{f' ({each.case})' if each.case else ''}: "
        f"{figures.verdict(each, threshold)}"
        for each in shown[:3]
    ]
    rest = f" The table of figures has {more} more." if more > 0 else ""
    return (
        f"The stripe is the threshold, ±{100 * threshold:g}%: a change counts where its whole "
        "interval lies outside the stripe; of targets that were measured side by side, where the "
        f"interval leaves out zero and the change lies outside the stripe. Changes{common}: "
        f"{'; '.join(told)}.{rest}"
    )
