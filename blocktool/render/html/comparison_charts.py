"""The charts of a comparison: figures before and after, measured changes, effects of modules."""

from __future__ import annotations

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
from blocktool.results.comparison import Comparison, MetricChange

_MOST = 24
_LOOKS = {
    "worse": ("for the worse", "var(--c2)", PATTERNS[1]),
    "better": ("for the better", "var(--c3)", PATTERNS[0]),
    "neutral": ("neither", "var(--c7)", PATTERNS[2]),
}
"""Words, colour and filling of a change by what it is worth."""
_VERDICTS = {
    "increased": ("higher", "var(--c2)", SYMBOLS[3]),
    "decreased": ("lower", "var(--c3)", "triangle-down"),
    "same": ("the same", "var(--c1)", SYMBOLS[0]),
    "inconclusive": ("inconclusive", "var(--c5)", SYMBOLS[2]),
    "not compared": ("not compared", "var(--c7)", SYMBOLS[4]),
}


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
    names = [_name(each) for each in shown]
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
        f"The largest changes: {told}.{f' {alike[:1].upper()}{alike[1:]}.' if alike else ''}",
        {"data": traces, "layout": layout},
        height=bars_height(len(shown)) + 40,
    )


def _sides(change: MetricChange) -> str:
    before, after = figures.before_and_after(change)
    return f"{before} → {after}"


def _name(change: MetricChange) -> str:
    text = figures.name(change.metric)
    return label(short(f"{text}, {change.case}" if change.case else text, 56))


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
    names = [_name(each) for each in shown]
    traces = []
    for verdict, (told, color, symbol) in _VERDICTS.items():
        some = [(names[i], each) for i, each in enumerate(shown) if each.verdict == verdict]
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
        _told(shown, comparison.threshold, len(changes) - len(shown)),
        {"data": traces, "layout": layout},
        height=bars_height(len(shown), 32) + 60,
    )


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


def _told(shown: Sequence[MetricChange], threshold: float, more: int) -> str:
    told = [
        f"{figures.name(each.metric)}{f' ({each.case})' if each.case else ''}: "
        f"{figures.verdict(each, threshold)}"
        for each in shown[:3]
    ]
    rest = f" The table of figures has {more} more." if more > 0 else ""
    return (
        f"The stripe is the threshold, ±{100 * threshold:g}%: a change counts where its whole "
        f"interval lies outside zero and it is larger than that. {'; '.join(told)}.{rest}"
    )


def effects_chart(comparison: Comparison) -> Chart | None:
    """The modules with the largest effects as bars; None for fewer than two with any."""
    changes = [each for each in comparison.modules if each.effect > 0]
    if len(changes) < 2:
        return None
    shown = sorted(changes, key=lambda each: -each.effect)[:_MOST]
    names = [label(short(words.where(each), 48)) for each in shown]
    looks = {
        "added": ("var(--c1)", PATTERNS[0]), "removed": ("var(--c2)", PATTERNS[1]),
        "changed": ("var(--c4)", PATTERNS[2]), "renamed": ("var(--c5)", PATTERNS[4]),
        "follows": ("var(--c7)", PATTERNS[5]),
    }  # fmt: skip
    traces = []
    for verdict, (color, pattern) in looks.items():
        some = [i for i, each in enumerate(shown) if each.verdict == verdict]
        if some:
            traces.append(
                {
                    "type": "bar", "orientation": "h", "name": verdict,
                    "y": [names[i] for i in some],
                    "x": [100 * shown[i].effect for i in some],
                    "marker": {"color": color,
                               "pattern": {"shape": pattern, "fgcolor": "var(--paper)", "size": 7,
                                           "fillmode": "overlay", "fgopacity": 0.35,
                                           "solidity": 0.2}},
                    "hovertemplate": f"%{{y}} ({verdict}): %{{x:.3g}}%<extra></extra>",
                }
            )  # fmt: skip
    layout = {
        "xaxis": axis("largest share of a total", ticksuffix="%", rangemode="tozero"),
        "yaxis": {"autorange": "reversed", "automargin": True, "categoryorder": "array",
                  "categoryarray": names},
        "barmode": "overlay", "showlegend": True,
    }  # fmt: skip
    first = shown[0]
    told = (
        f"{words.where(first)} matters most: its change makes up {figures.share(first.effect)} of "
        "a total."
    )
    if (more := len(changes) - len(shown)) > 0:
        told += f" The table has {more} more."
    return Chart(
        "effects-chart", "What each module's change makes up", told,
        {"data": traces, "layout": layout}, height=bars_height(len(shown), 24) + 40,
    )  # fmt: skip
