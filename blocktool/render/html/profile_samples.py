"""The samples of the cases in their order with their distribution, and the phases of a step."""

from __future__ import annotations

from typing import Any

from blocktool.render import units
from blocktool.render.html.marks import (
    COLORS,
    PATTERNS,
    axis,
    band,
    counting_axis,
    label,
    level,
    short,
    time_scale,
)
from blocktool.render.html.pieces import Cell, Chart, Column, Figure, Table, Variant
from blocktool.render.profile_keys import keys_of, named
from blocktool.results.profile import Latency, Profile, ProfileCase

_MOST_CASES = 60
_MOST_POINTS = 20_000
"""Samples that are drawn one by one, over all cases; of more, each n-th of a case."""
_BINS = 40


def samples_chart(profile: Profile) -> Chart | None:
    """The samples of a case over their number, and how often each time occurs."""
    cases = [c for c in profile.cases if c.latency_ms is not None and c.latency_ms.samples]
    if not cases:
        return None
    keys = keys_of(profile.cases)
    variants: list[Variant] = []
    rows = []
    for case in cases:
        taken = case.latency_ms
        assert taken is not None  # filtered above
        name = named(case, keys) or "the only case"
        if len(variants) < _MOST_CASES:
            most = max(_MOST_POINTS // len(cases), 100)
            variants.append(Variant(name, _told(case, taken), _figure(taken, most)))
        rows.append(_row(name, taken))
    titles = ("Samples", "Calls each", "Least", "p5", "Median", "p95", "Most", "Quartile distance")
    columns = (Column("Case"), *(Column(title, right=True) for title in titles))
    return Chart(
        "samples-chart",
        "Samples in the order taken, and their distribution",
        variants[0].told,
        {"data": [], "layout": {}},
        Table("Samples of each case", columns, tuple(rows)),
        height=340,
        choose="Case",
        variants=tuple(variants),
    )


def _figure(taken: Latency, most: int) -> Figure:
    scale, unit = time_scale(taken.p50)
    every = -(-len(taken.samples) // most)
    drawn = taken.samples[::every]
    points: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "name": "samples",
        "x": list(range(1, len(taken.samples) + 1, every)), "y": [ms / scale for ms in drawn],
        "marker": {"color": COLORS[0], "size": 5},
        "hovertemplate": f"sample %{{x}}: %{{y:.4g}} {unit}<extra></extra>",
    }  # fmt: skip
    middles, width, counted = _bins([ms / scale for ms in taken.samples])
    counts: dict[str, Any] = {
        "type": "bar", "orientation": "h", "name": "distribution", "y": middles, "x": counted,
        "width": width, "xaxis": "x2", "marker": {"color": COLORS[0]},
        "hovertemplate": f"%{{x}} samples at about %{{y:.4g}} {unit}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": counting_axis("sample", len(taken.samples), domain=[0, 0.78]),
        "xaxis2": counting_axis("count", max(counted), domain=[0.81, 1]),
        "yaxis": axis(unit),
        "showlegend": False,
        "shapes": [
            band(taken.low / scale, taken.high / scale, "var(--c2)"),
            level(taken.p50 / scale, "var(--c2)", "solid"),
        ],
        "bargap": 0.05,
    }
    return {"data": [points, counts], "layout": layout}


def _bins(values: list[float]) -> tuple[list[float], float, list[int]]:
    """The middles of equally wide bins, their width, and how many values lie in each."""
    low, high = min(values), max(values)
    width = (high - low) / _BINS or 1e-9
    counted = [0] * _BINS
    for value in values:
        counted[min(int((value - low) / width), _BINS - 1)] += 1
    return [low + (i + 0.5) * width for i in range(_BINS)], width, counted


def _told(case: ProfileCase, taken: Latency) -> str:
    calls = taken.calls_per_sample
    each = f", each the mean of {calls:,} calls" if calls > 1 else ""
    told = (
        f"{len(taken.samples):,} samples{each}, from {units.duration(min(taken.samples))} to "
        f"{units.duration(max(taken.samples))}. The line is the median, "
        f"{units.duration(taken.p50)}, the stripe its 95% interval, "
        f"{units.durations(taken.low, taken.high)}."
    )
    if case.process_medians_ms:
        medians = ", ".join(map(units.duration, case.process_medians_ms[:8]))
        more = len(case.process_medians_ms) - 8
        told += f" Medians of the processes: {medians}{f' and {more} more' if more > 0 else ''}."
    if case.warmup is not None and not case.warmup.stable:
        told += " The times had not settled in the warm-up."
    return told


def _row(name: str, taken: Latency) -> tuple[Cell, ...]:
    times = (min(taken.samples), taken.p5, taken.p50, taken.p95, max(taken.samples), taken.iqr)
    return (
        Cell(name),
        Cell(f"{len(taken.samples):,}", len(taken.samples)),
        Cell(f"{taken.calls_per_sample:,}", taken.calls_per_sample),
        *(Cell(units.duration(ms), ms) for ms in times),
    )


def phases_chart(profile: Profile) -> Chart | None:
    """The phases of training steps as stacked bars; None where no case has several."""
    cases = [case for case in profile.cases if len(case.phases_ms) > 1]
    if not cases:
        return None
    keys = keys_of(profile.cases)
    names = [named(case, keys) or "the only case" for case in cases]
    phases = list(dict.fromkeys(each.phase for case in cases for each in case.phases_ms))
    scale, unit = time_scale(max(sum(p.p50 for p in case.phases_ms) for case in cases))
    times = [{each.phase: each.p50 for each in case.phases_ms} for case in cases]
    traces = [
        {
            "type": "bar", "orientation": "h", "name": label(phase),
            "y": [label(short(name)) for name in names],
            "x": [by_phase.get(phase, 0.0) / scale for by_phase in times],
            "marker": {"color": COLORS[i % len(COLORS)],
                       "pattern": {"shape": PATTERNS[i % len(PATTERNS)], "fillmode": "overlay",
                                   "fgcolor": "var(--paper)", "solidity": 0.2, "size": 7,
                                   "fgopacity": 0.35}},
            "hovertemplate": f"{label(phase)}: %{{x:.4g}} {unit}<extra></extra>",
        }
        for i, phase in enumerate(phases)
    ]  # fmt: skip
    layout = {
        "barmode": "stack", "xaxis": axis(unit, rangemode="tozero"),
        "yaxis": {"autorange": "reversed", "automargin": True, "showticklabels": len(names) > 1},
    }  # fmt: skip
    rows = tuple(
        (Cell(name), *(Cell(units.duration(by_phase.get(phase, 0.0)), by_phase.get(phase, 0.0))
                       for phase in phases))
        for name, by_phase in zip(names, times, strict=True)
    )  # fmt: skip
    first = times[0]
    whole = sum(first.values())
    shares = ", ".join(
        f"{phase} {units.percent(ms / whole)}" for phase, ms in first.items() if whole
    )
    where = f" at {names[0]}" if len(names) > 1 else ""
    return Chart(
        "phases-chart",
        "Phases of a training step",
        f"Medians of the phases{where}: {shares}.",
        {"data": traces, "layout": layout},
        Table("Medians of the phases", (Column("Case"), *(Column(p.capitalize(), right=True)
                                                          for p in phases)), rows),
        height=130 + 34 * len(names),
    )  # fmt: skip
