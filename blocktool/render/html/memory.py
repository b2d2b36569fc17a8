"""Memory over a run, its peak, and what it consists of; shared by summaries and profiles."""

from __future__ import annotations

from typing import Any

from blocktool.render import units
from blocktool.render.html.marks import (
    COLORS,
    PATTERNS,
    axis,
    byte_scale,
    counting_axis,
    label,
    short,
    upright,
)
from blocktool.render.html.pieces import Cell, Chart, Column, Figure, Table, Variant
from blocktool.results.summary import LiveBytes, PeakMemory

CATEGORIES = (
    "parameters", "buffers", "inputs", "optimizer", "gradients", "activations", "workspace",
)  # fmt: skip
"""In the order in which they are stacked: what stays at the bottom, what comes and goes on top."""

STYLES = {name: (COLORS[i], PATTERNS[i]) for i, name in enumerate(CATEGORIES)}


def peak_sentence(memory: PeakMemory, *, phases: int = 1) -> str:
    """Where the peak is reached, and what lives then."""
    whole = memory.peak_live_bytes
    if not whole:
        return "No byte is live."
    parts = sorted(
        ((name, getattr(memory, name)) for name in CATEGORIES), key=lambda part: -part[1]
    )
    told = ", ".join(
        f"{name} {units.size(size)} ({units.percent(size / whole)})" for name, size in parts if size
    )
    if not memory.op:
        return f"Nothing ran; {units.size(whole)} are held: {told}." if told else "Nothing ran."
    where = memory.module or "the module itself"
    phase = f" of the {memory.phase}" if phases > 1 else ""
    return (
        f"The peak of {units.size(whole)} is reached in {where}, while {memory.op}{phase} runs. "
        f"Then there live: {told}."
    )


HELD = frozenset({"parameters", "buffers", "optimizer"})
"""What lives before the run begins, and after it."""


def live_chart(line: LiveBytes, memory: PeakMemory) -> Chart:
    """Predicted live bytes over the operations of a run, stacked by category."""
    named = [name for name in CATEGORIES if name in line.categories]
    named += [name for name in line.categories if name not in CATEGORIES]
    told = peak_sentence(memory, phases=len(line.phases))
    everything = _stacked(line, named)
    variants = [Variant("everything", told, everything)]
    if (added := [name for name in named if name not in HELD]) and len(added) < len(named):
        most = max(_totals(line, added))
        variants.append(
            Variant(
                "what the run adds",
                f"Without {' and '.join(n for n in named if n in HELD)}, which live all the time, "
                f"at most {units.size(most)} live.",
                _stacked(line, added),
            )
        )
    totals = _totals(line, named)
    rows = tuple(
        (
            Cell(f"{op:,}", op),
            Cell(module or "(itself)", code=True),
            *(Cell(units.size(line.categories[n][i]), line.categories[n][i]) for n in named),
            Cell(units.size(totals[i]), totals[i]),
        )
        for i, (op, module) in enumerate(zip(line.ops, line.modules, strict=True))
    )
    columns = [Column("Operation", right=True), Column("Module")]
    columns += [Column(name.capitalize(), right=True) for name in [*named, "in all"]]
    return Chart(
        "live-bytes",
        "Predicted live bytes over the run",
        told,
        {"data": [], "layout": {}},
        Table("Predicted live bytes at operations of the run", tuple(columns), rows),
        height=400,
        choose="Shown",
        variants=tuple(variants),
    )


def _totals(line: LiveBytes, named: list[str]) -> list[int]:
    return [sum(sizes) for sizes in zip(*(line.categories[n] for n in named), strict=True)]


def _stacked(line: LiveBytes, named: list[str]) -> Figure:
    """The areas of these categories, one on the other, with their sum as a line."""
    totals = _totals(line, named)
    scale, unit = byte_scale(max(totals))
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": label(name), "stackgroup": "live",
            "x": list(line.ops), "y": [size / scale for size in line.categories[name]],
            "line": {"shape": "hv", "width": 0.5, "color": _style(name)[0]},
            "fillcolor": _style(name)[0],
            "fillpattern": {"shape": _style(name)[1], "fgcolor": "var(--paper)", "size": 6,
                            "solidity": 0.25, "fillmode": "overlay", "fgopacity": 0.5},
            "hovertemplate": f"%{{y:.2f}} {unit}",
        }
        for name in named
    ]  # fmt: skip
    traces.append(
        {
            "type": "scatter", "mode": "lines", "name": "in all", "showlegend": False,
            "x": list(line.ops), "y": [size / scale for size in totals],
            "line": {"shape": "hv", "width": 1, "color": "var(--ink)"},
            "customdata": [label(short(path or "(itself)", 60)) for path in line.modules],
            "hovertemplate": f"%{{y:.2f}} {unit}, in %{{customdata}}",
        }
    )  # fmt: skip
    layout: dict[str, Any] = {
        "xaxis": counting_axis("operation", line.ops[-1]),
        "yaxis": axis(unit, rangemode="tozero"),
        "hovermode": "x unified",
        "shapes": [upright(at) for at in line.phases.values() if at > 0],
        "annotations": [*_phase_names(line), _peak_mark(line, totals, scale)],
        "margin": {"t": 50},
    }
    return {"data": traces, "layout": layout}


def _style(name: str) -> tuple[str, str]:
    return STYLES.get(name, (COLORS[-1], PATTERNS[-1]))


def _phase_names(line: LiveBytes) -> list[dict[str, Any]]:
    if len(line.phases) < 2:
        return []
    names: list[dict[str, Any]] = []
    raised, before = False, float("-inf")
    for name, at in line.phases.items():
        # A name that would run into the one before it on a narrow screen stands higher.
        raised = not raised and at - before < 0.2 * line.ops[-1]
        before = at
        names.append({"x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "xanchor": "left",
                      "text": label(name), "showarrow": False, "yshift": 15 * raised})  # fmt: skip
    return names


def _peak_mark(line: LiveBytes, totals: list[int], scale: int) -> dict[str, Any]:
    at = max(range(len(totals)), key=totals.__getitem__)
    return peak_mark(
        line.ops[at],
        totals[at] / scale,
        f"peak {units.size(totals[at])}",
        left=line.ops[at] > (line.ops[0] + line.ops[-1]) / 2,
    )


def peak_mark(x: float, y: float, text: str, *, left: bool) -> dict[str, Any]:
    """An arrow at a peak; ``left`` says on which side of it there is room for the text."""
    return {
        "x": x, "y": y, "text": label(text), "showarrow": True, "arrowhead": 2, "arrowsize": 1,
        "arrowwidth": 1.5, "arrowcolor": "var(--ink)", "ax": -46 if left else 46, "ay": -14,
        "xanchor": "right" if left else "left", "bgcolor": "var(--paper)",
        "bordercolor": "var(--ink)", "borderpad": 3,
    }  # fmt: skip


def parts_chart(
    name: str, title: str, told: str, bars: list[tuple[str, PeakMemory]],
    measured: list[int | None] | None = None,
) -> Chart:  # fmt: skip
    """Predicted peaks as bars of their categories, beside them the measured ones as marks."""
    largest = max([memory.peak_live_bytes for _, memory in bars] + [m or 0 for m in measured or ()])
    scale, unit = byte_scale(largest)
    names = [label(short(text)) for text, _ in bars]
    shown = [c for c in CATEGORIES if any(getattr(memory, c) for _, memory in bars)]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar", "orientation": "h", "name": category, "y": names,
            "x": [getattr(memory, category) / scale for _, memory in bars],
            "marker": {"color": STYLES[category][0],
                       "pattern": {"shape": STYLES[category][1], "fgcolor": "var(--paper)",
                                   "fillmode": "overlay", "solidity": 0.25, "size": 6,
                                   "fgopacity": 0.5}},
            "hovertemplate": f"{category}: %{{x:.2f}} {unit}<extra></extra>",
        }
        for category in shown
    ]  # fmt: skip
    columns = [Column("Peak"), *(Column(c.capitalize(), right=True) for c in shown)]
    columns.append(Column("Predicted", right=True))
    if measured and any(measured):
        columns.append(Column("Measured", right=True))
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": "measured peak", "y": names,
                "x": [None if m is None else m / scale for m in measured],
                "marker": {"symbol": "line-ns-open", "size": 22, "color": "var(--ink)",
                           "line": {"width": 3}},
                "hovertemplate": f"measured: %{{x:.2f}} {unit}<extra></extra>",
            }
        )  # fmt: skip
    rows = []
    for i, (text, memory) in enumerate(bars):
        sizes = [*(getattr(memory, c) for c in shown), memory.peak_live_bytes]
        taken = measured[i] if measured else None
        if measured and any(measured):
            sizes.append(taken or 0)
        rows.append((Cell(text), *(Cell(units.size(size), size) for size in sizes)))
    layout = {
        "barmode": "stack", "xaxis": axis(unit, rangemode="tozero"),
        "yaxis": {"autorange": "reversed", "automargin": True, "showticklabels": len(bars) > 1},
    }  # fmt: skip
    return Chart(
        name, title, told, {"data": traces, "layout": layout},
        Table(title, tuple(columns), tuple(rows)), height=130 + 34 * len(bars),
    )  # fmt: skip
