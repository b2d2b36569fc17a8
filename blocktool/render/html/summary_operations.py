"""The operations of a summary as bars."""

from __future__ import annotations

from collections.abc import Callable

from blocktool.render import units
from blocktool.render.html.marks import COLORS, axis, bars_height, label, short
from blocktool.render.html.pieces import Cell, Chart, Column, Table, Variant
from blocktool.render.summary_view import shown_ops
from blocktool.render.view import View
from blocktool.results.summary import OpRow, Summary

_BARS = 12
_OP_FIGURES: tuple[tuple[str, Callable[[OpRow], int], Callable[[int], str]], ...] = (
    ("MACs", lambda op: op.macs, units.count),
    ("Elementwise FLOPs", lambda op: op.elementwise_flops, units.count),
    ("Bytes moved", lambda op: op.read_bytes + op.written_bytes, units.size),
    ("Calls", lambda op: op.calls, units.count),
)


def operations_chart(summary: Summary, view: View) -> Chart | None:
    """The operations by each of their figures, and all of them as a table; None where none ran."""
    ops = shown_ops(summary, view)
    if not ops:
        return None
    rows = tuple(
        (
            Cell(op.op, code=True),
            Cell(op.kind),
            Cell(f"{op.calls:,}", op.calls),
            Cell(units.count(op.macs), op.macs),
            Cell(units.count(op.elementwise_flops), op.elementwise_flops),
            Cell(units.size(op.activation_bytes), op.activation_bytes),
            Cell(units.size(op.read_bytes), op.read_bytes),
            Cell(units.size(op.written_bytes), op.written_bytes),
        )
        for op in ops
    )
    titles = ("Calls", "MACs", "Elementwise FLOPs", "Activations", "Read", "Written")
    columns = (Column("Operation"), Column("Kind"), *(Column(t, right=True) for t in titles))
    variants = tuple(
        _operation_bars(ops, name, figure, show)
        for name, figure, show in _OP_FIGURES
        if any(map(figure, ops))
    )
    layout = {
        "xaxis": axis("", rangemode="tozero", exponentformat="SI"),
        "yaxis": {"autorange": "reversed", "automargin": True},
        "showlegend": False,
    }
    return Chart(
        "operations-chart",
        "Operations by cost",
        "",
        {"data": [{"type": "bar", "orientation": "h"}], "layout": layout},
        Table("All operations", columns, rows, filtered_by="operations"),
        height=bars_height(min(len(ops), _BARS)),
        choose="Figure",
        variants=variants,
    )


def _operation_bars(
    ops: list[OpRow], name: str, figure: Callable[[OpRow], int], show: Callable[[int], str]
) -> Variant:
    whole = sum(map(figure, ops))
    largest = sorted((op for op in ops if figure(op)), key=figure, reverse=True)
    shown = largest[:_BARS]
    trace = {
        "y": [label(short(op.op)) for op in shown],
        "x": [figure(op) for op in shown],
        "text": [show(figure(op)) for op in shown],
        "textposition": "auto",
        "insidetextfont": {"color": "var(--on)"},
        "outsidetextfont": {"color": "var(--ink)"},
        "marker": {"color": COLORS[0]},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    first = shown[0]
    told = (
        f"{name}: {show(whole)} in all; {units.percent(figure(first) / whole)} of them in "
        f"{first.op}, which is called {first.calls:,} times."
    )
    if (more := len(largest) - len(shown)) > 0:
        told += f" {more} more are in the table."
    layout = {"xaxis": {"title": {"text": name}}, "height": bars_height(len(shown))}
    return Variant(name, told, {"data": [trace], "layout": layout})
