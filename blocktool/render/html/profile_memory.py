"""Memory of the cases of a profile: over the run, and what the peak consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blocktool.render import units
from blocktool.render.html.marks import COLORS, axis, byte_scale, time_scale
from blocktool.render.html.memory import parts_chart, peak_mark, peak_sentence
from blocktool.render.html.pieces import Block, Cell, Chart, Column, Figure, Table, Variant
from blocktool.render.profile_keys import keys_of, named
from blocktool.results.profile import MemoryUse, Profile, ProfileCase

_MOST = 16
"""Cases whose curves can be chosen, and whose peaks stand side by side."""


def memory_blocks(profile: Profile) -> list[Block | None]:
    """The measured curves, and the predicted peaks by category beside the measured ones."""
    return [_over_the_run(profile), _peaks(profile)]


def _over_the_run(profile: Profile) -> Chart | None:
    cases = [c for c in profile.cases if c.memory is not None and len(c.memory.timeline) > 1]
    if not cases:
        return None
    keys = keys_of(profile.cases)
    variants, rows = [], []
    several = len(cases) > 1
    for case in cases[:_MOST]:
        assert case.memory is not None  # filtered above
        name = named(case, keys) or "the only case"
        variants.append(Variant(name, _told(case, case.memory), _curve(case, case.memory)))
        rows += [
            (
                *((Cell(name),) if several else ()),
                Cell(units.duration(ms), ms),
                Cell(units.size(size), size),
            )
            for ms, size in case.memory.timeline
        ]
    columns = [Column("Since the start", right=True), Column("Live bytes", right=True)]
    if several:
        columns.insert(0, Column("Case"))
    return Chart(
        "memory-chart",
        "Measured live bytes over the run",
        variants[0].told,
        {"data": [], "layout": {}},
        Table("Measured live bytes", tuple(columns), tuple(rows)),
        height=380,
        choose="Case",
        variants=tuple(variants),
    )


def _curve(case: ProfileCase, used: MemoryUse) -> Figure:
    start, end = used.timeline[0][0], used.timeline[-1][0]
    step, unit = time_scale(end - start)
    scale, size_unit = byte_scale(max(used.peak_bytes, case.predicted_peak_bytes or 0))
    xs = [(ms - start) / step for ms, _ in used.timeline]
    ys = [size / scale for _, size in used.timeline]
    at = max(range(len(ys)), key=ys.__getitem__)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": "live bytes", "fill": "tozeroy",
            "x": xs, "y": ys, "line": {"shape": "hv", "color": COLORS[0], "width": 1.5},
            "hovertemplate": f"%{{y:.2f}} {size_unit} after %{{x:.4g}} {unit}",
        },
        _line("held before the run", xs, used.held_bytes / scale, COLORS[2], "dash"),
    ]  # fmt: skip
    if case.predicted_peak_bytes is not None:
        traces.append(
            _line("predicted peak", xs, case.predicted_peak_bytes / scale, COLORS[1], "dot")
        )
    layout = {
        "xaxis": axis(unit), "yaxis": axis(size_unit, rangemode="tozero"), "showlegend": True,
        "annotations": [peak_mark(xs[at], ys[at], f"peak {units.size(used.timeline[at][1])}",
                                  left=xs[at] > xs[-1] / 2)],
        "margin": {"t": 36},
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _line(name: str, xs: Sequence[float], y: float, color: str, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": [xs[0], xs[-1]], "y": [y, y],
        "line": {"color": color, "dash": dash, "width": 2}, "hovertemplate": "%{y:.2f}",
    }  # fmt: skip


def _told(case: ProfileCase, used: MemoryUse) -> str:
    run = used.peak_bytes - used.held_bytes
    told = (
        f"The measured peak is {units.size(used.peak_bytes)} ({used.source}): "
        f"{units.size(used.held_bytes)} held before the run, {units.size(run)} on top of it."
    )
    if case.predicted_peak_bytes is not None and used.peak_bytes:
        off = case.predicted_peak_bytes / used.peak_bytes - 1
        word = "more" if off > 0 else "less"
        told += f" Predicted were {units.size(case.predicted_peak_bytes)}"
        told += f", {units.percent(abs(off))} {word}." if off else ", the same."
    if case.predicted_memory is not None and case.predicted_memory.op:
        told += f" As predicted: {peak_sentence(case.predicted_memory, phases=2)}"
    return told


def _peaks(profile: Profile) -> Chart | None:
    keys = keys_of(profile.cases)
    cases = [case for case in profile.cases if case.predicted_memory is not None][:_MOST]
    bars = [
        (named(case, keys) or "at the peak", case.predicted_memory)
        for case in cases
        if case.predicted_memory is not None
    ]
    if not bars:
        return None
    measured = [case.peak_bytes for case in cases]
    low, high = bars[0][1], max((memory for _, memory in bars), key=lambda m: m.peak_live_bytes)
    told = "What the predicted peaks consist of."
    if len(bars) > 1:
        told += (
            f" They go from {units.size(min(m.peak_live_bytes for _, m in bars))} to "
            f"{units.size(high.peak_live_bytes)}."
        )
    else:
        told += f" {peak_sentence(low, phases=2)}"
    return parts_chart("peaks-chart", "Predicted peaks by category", told, bars, measured)
