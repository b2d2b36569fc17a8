"""How time and throughput grow with the batch, and the search for the largest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from blocktool.render import profile_figures as figures
from blocktool.render import profile_words, units
from blocktool.render.html.marks import (
    COLORS,
    DASHES,
    SYMBOLS,
    axis,
    byte_scale,
    label,
    level,
    log_axis,
    spans_decades,
    time_scale,
)
from blocktool.render.html.pieces import Cell, Chart, Column, Figure, Table, Variant
from blocktool.render.html.profile_series import (
    Series,
    interval_ms,
    series,
    throughput_interval,
)
from blocktool.results.profile import MaxBatch, Profile, ProfileCase

_MOST = len(COLORS)


def over_batch(profile: Profile) -> Chart | None:
    """Latency, latency of an item, and throughput over batch; None for fewer than two batches."""
    found = [each for each in series([c for c in profile.cases if c.batch], "Batch") if each.cases]
    if max((len({case.batch for case in each.cases}) for each in found), default=0) < 2:
        return None
    found.sort(key=lambda each: -len(each.cases))
    shown = found[:_MOST]
    variants = (
        Variant("throughput", _told_throughput(found), _figure(shown, _rates)),
        Variant("latency", _told_latency(found), _figure(shown, _times)),
    )
    rows = tuple(
        (
            Cell(each.name or "all"),
            Cell(str(case.batch), case.batch),
            Cell(units.duration(figures.time_ms(case) or 0), figures.time_ms(case)),
            Cell(_interval(case)),
            Cell(units.figure(figures.throughput(case) or 0), figures.throughput(case)),
        )
        for each in found
        for case in each.cases
    )
    columns = (
        Column("Series"), Column("Batch", right=True), Column("Median", right=True),
        Column("95% interval", right=True), Column("Items/s", right=True),
    )  # fmt: skip
    return Chart(
        "batch-chart",
        "Over batch",
        "",
        {"data": [], "layout": {}},
        Table("Latency and throughput of each batch", columns, rows),
        height=400,
        choose="Figure",
        variants=variants,
    )


Points = Callable[[Sequence[ProfileCase], float], tuple[list[float], ...]]
"""From cases and a divisor: their figures, and how far the intervals reach above and below."""


def _rates(cases: Sequence[ProfileCase], scale: float) -> tuple[list[float], ...]:
    values = [(figures.throughput(case) or 0.0) for case in cases]
    spread = [throughput_interval(case) for case in cases]
    return values, [up for up, _ in spread], [down for _, down in spread]


def _times(cases: Sequence[ProfileCase], scale: float) -> tuple[list[float], ...]:
    values = [(figures.time_ms(case) or 0.0) / scale for case in cases]
    spread = [interval_ms(case) for case in cases]
    return values, [up / scale for up, _ in spread], [down / scale for _, down in spread]


def _figure(shown: Sequence[Series], points: Points) -> Figure:
    timed = points is _times
    longest = max(figures.time_ms(case) or 0.0 for each in shown for case in each.cases)
    scale, unit = time_scale(longest) if timed else (1.0, "items/s")
    traces: list[dict[str, Any]] = []
    for i, each in enumerate(shown):
        cases = sorted(each.cases, key=lambda case: case.batch or 0)
        values, above, below = points(cases, scale)
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": label(each.name or "median"),
                "x": [case.batch for case in cases], "y": values,
                "error_y": {"type": "data", "symmetric": False, "array": above,
                            "arrayminus": below, "thickness": 1.5, "width": 5,
                            "color": COLORS[i]},
                "line": {"color": COLORS[i], "dash": DASHES[i], "width": 2},
                "marker": {"color": COLORS[i], "symbol": SYMBOLS[i], "size": 9},
                "hovertemplate": f"batch %{{x}}: %{{y:.4g}} {unit}",
            }
        )  # fmt: skip
    batches = sorted({case.batch for each in shown for case in each.cases if case.batch})
    heights = [value for trace in traces for value in trace["y"]]
    layout: dict[str, Any] = {
        "xaxis": axis("batch", tickvals=batches, ticktext=list(map(str, batches))),
        "yaxis": axis(unit, rangemode="tozero"),
    }
    if spans_decades(batches):
        layout["xaxis"]["type"] = "log"
    if timed and spans_decades(heights):
        layout["yaxis"] = log_axis(unit, min(heights) / 1.5, max(heights) * 1.5)
    return {"data": traces, "layout": layout}


def _told_latency(found: Sequence[Series]) -> str:
    told = []
    for each in found[:3]:
        cases = sorted(each.cases, key=lambda case: case.batch or 0)
        first, last = cases[0], cases[-1]
        told.append(
            f"{each.name + ': ' if each.name else ''}{units.duration(figures.time_ms(first) or 0)} "
            f"at batch {first.batch}, {units.duration(figures.time_ms(last) or 0)} "
            f"at batch {last.batch}"
        )
    return _closed("Median latency of a call, with its 95% interval. ", told, len(found))


def _told_throughput(found: Sequence[Series]) -> str:
    told = []
    for each in found[:3]:
        best = max(each.cases, key=lambda case: figures.throughput(case) or 0)
        told.append(
            f"{each.name + ': ' if each.name else ''}highest at batch {best.batch}, "
            f"{units.figure(figures.throughput(best) or 0)} items/s"
        )
    return _closed("Items per second, with the 95% interval. ", told, len(found))


def _closed(head: str, told: list[str], count: int) -> str:
    more = f"; {count - len(told)} more in the table" if count > len(told) else ""
    text = "; ".join(told)
    return f"{head}{text[:1].upper()}{text[1:]}{more}."


def _interval(case: ProfileCase) -> str:
    taken = case.latency_ms
    return units.durations(taken.low, taken.high) if taken else "predicted"


def largest_batch(profile: Profile) -> Chart | None:
    """The batches that were tried, against the limit."""
    found = profile.max_batch
    if found is None:
        return None
    told = profile_words.largest_batch(found)
    sizes = [t.peak_bytes or t.predicted_peak_bytes or 0 for t in found.tried]
    scale, unit = byte_scale(max([found.limit_bytes, *sizes]))
    rows = tuple(
        (
            Cell(f"{tried.batch:,}", tried.batch),
            Cell("fits" if tried.fits else "does not fit", tone="good" if tried.fits else "bad"),
            Cell(_size(tried.peak_bytes), tried.peak_bytes),
            Cell(_size(tried.predicted_peak_bytes), tried.predicted_peak_bytes),
            Cell(tried.reason or ""),
        )
        for tried in found.tried
    )
    columns = (
        Column("Batch", right=True), Column("Outcome"), Column("Peak", right=True),
        Column("Predicted", right=True), Column("Reason"),
    )  # fmt: skip
    return Chart(
        "max-batch-chart",
        "Batches that were tried",
        f"{told[:1].upper()}{told[1:]}.",
        _tried(found, scale, unit),
        Table("Batches that were tried, in order", columns, rows),
    )


def _tried(found: MaxBatch, scale: int, unit: str) -> Figure:
    traces = []
    for fits, name, color, symbol in (
        (True, "fits", COLORS[0], "circle"),
        (False, "does not fit (predicted peak)", COLORS[1], "x"),
    ):
        some = [t for t in found.tried if t.fits is fits]
        some = [t for t in some if (t.peak_bytes or t.predicted_peak_bytes) is not None]
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": name,
                "x": [t.batch for t in some],
                "y": [(t.peak_bytes or t.predicted_peak_bytes or 0) / scale for t in some],
                "marker": {"color": color, "symbol": symbol, "size": 11},
                "hovertemplate": f"batch %{{x}}: %{{y:.2f}} {unit}",
            }
        )  # fmt: skip
    layout = {
        "xaxis": axis("batch"), "yaxis": axis(unit),
        "shapes": [level(found.limit_bytes / scale, "var(--ink)", "dash")],
        "annotations": [{"x": 0, "xref": "paper", "xanchor": "left", "yanchor": "bottom",
                         "y": found.limit_bytes / scale, "showarrow": False,
                         "text": label(f"limit {units.size(found.limit_bytes)}")}],
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _size(nbytes: int | None) -> str:
    return "" if nbytes is None else units.size(nbytes)
