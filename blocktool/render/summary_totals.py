"""The block of totals below the table of modules: figures, peak memory, phases."""

from __future__ import annotations

from collections.abc import Callable

from blocktool.render import units
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.styled import Glyphs, Line, clean, pad, width_of, wrap
from blocktool.render.view import View
from blocktool.results.summary import PeakMemory, PhaseTotals, Summary

_LABEL = 18
_FIGURE = 12
# Category of live bytes, in the order in which they are stacked, and its colour.
_CATEGORIES = (
    ("parameters", "blue"),
    ("buffers", "cyan"),
    ("inputs", "magenta"),
    ("activations", "green"),
    ("gradients", "yellow"),
    ("optimizer", "red"),
    ("workspace", "white"),
)


def total_lines(summary: Summary, view: View, glyphs: Glyphs) -> list[Line]:
    """Parameters, MACs, FLOPs, activations, bytes, and the peak with its parts."""
    totals = summary.totals
    moved = totals.read_bytes + totals.written_bytes
    facts = [
        ("Parameters", units.count(totals.params), _state(summary)),
        ("MACs", units.count(totals.macs), _spanned(summary)),
        ("FLOPs", units.count(totals.flops), "two per MAC"),
        ("Elementwise FLOPs", units.count(totals.elementwise_flops), "apart from the above"),
        ("Activations", units.size(totals.activation_bytes), "allocated in the forward pass"),
        (
            "Bytes moved",
            units.size(moved),
            f"{units.size(totals.read_bytes)} read, {units.size(totals.written_bytes)} written; "
            f"{units.ratio(totals.arithmetic_intensity)} FLOPs per byte",
        ),
        ("Peak live bytes", units.size(totals.peak_live_bytes), _peak_place(summary)),
    ]
    lines: list[Line] = []
    for label, figure, remark in facts:
        room = view.width - _LABEL - _FIGURE - 2
        first, *rest = wrap(clean(remark, unicode=view.unicode), room) or [""]
        lines.append(
            [
                (pad(label, _LABEL), ""),
                (pad(figure, _FIGURE, right=True), "bold"),
                (f"  {first}", "dim"),
            ]
        )
        lines += [[(" " * (_LABEL + _FIGURE + 2) + line, "dim")] for line in rest]
    return lines + peak_bar(summary.memory, view, glyphs, indent=_LABEL + 2)


def phase_lines(summary: Summary, view: View, glyphs: Glyphs) -> list[Line]:
    """One row per phase of a training step."""
    phases = summary.phases

    def figures(show: Callable[[PhaseTotals], str]) -> list[Cell]:
        return [Cell(show(phase)) for phase in phases]

    columns = [
        Column("Phase", [Cell(phase.phase, "cyan") for phase in phases]),
        Column("Ops", figures(lambda phase: str(phase.ops)), right=True, drop=1),
        Column("MACs", figures(lambda phase: units.count(phase.macs)), right=True),
        Column("FLOPs", figures(lambda phase: units.count(phase.flops)), right=True),
        Column(
            "Elementwise", figures(lambda phase: units.count(phase.elementwise_flops)), right=True
        ),
        Column("Read", figures(lambda phase: units.size(phase.read_bytes)), right=True, drop=2),
        Column(
            "Written", figures(lambda phase: units.size(phase.written_bytes)), right=True, drop=2
        ),
    ]
    return layout(columns, view.width, glyphs)


def _spanned(summary: Summary) -> str:
    """The phases that the totals span."""
    names = [phase.phase for phase in summary.phases] or ["forward"]
    return "multiply-accumulates, " + " + ".join(names)


def _state(summary: Summary) -> str:
    totals = summary.totals
    if totals.trainable_params == totals.params:
        trainable = "all trainable" if totals.params else "none"
    else:
        trainable = f"{units.count(totals.trainable_params)} trainable"
    return (
        f"{units.size(totals.param_bytes)}, {trainable}; buffers {units.size(totals.buffer_bytes)}"
    )


def _peak_place(summary: Summary) -> str:
    memory = summary.memory
    if not memory.op:
        return "nothing ran"
    where = f"in {memory.module}" if memory.module else "in the module itself"
    phase = "" if len(summary.phases) < 2 else f", {memory.phase}"
    return f"predicted; reached {where} ({memory.op}{phase})"


def peak_bar(memory: PeakMemory, view: View, glyphs: Glyphs, *, indent: int) -> list[Line]:
    """The peak as a stacked bar, each part with its own filling, and a legend below."""
    parts = [
        (name, getattr(memory, name), color, shade)
        for (name, color), shade in zip(_CATEGORIES, _fillings(view, glyphs), strict=True)
    ]
    parts = [part for part in parts if part[1] > 0]
    if not parts:
        return []
    margin = " " * indent
    widths = _apportion([part[1] for part in parts], min(60, view.width - indent))
    bar: Line = [
        (margin, ""),
        *(
            (shade * width, color)
            for (_, _, color, shade), width in zip(parts, widths, strict=True)
        ),
    ]
    lines: list[Line] = [bar]
    line: list[tuple[str, str]] = [(margin, "")]
    used = indent
    for name, nbytes, color, shade in parts:
        text = f" {name} {units.size(nbytes)}"
        if used + width_of(text) + 1 > view.width and len(line) > 1:
            lines.append(line)
            line, used = [(margin, "")], indent
        line += [(shade, color), (f"{text}  ", "dim")]
        used += width_of(text) + 3
    return [*lines, line]


def _fillings(view: View, glyphs: Glyphs) -> str:
    """Shades tell the parts apart on their own; with colour, full blocks look calmer."""
    if view.color:
        return glyphs.blocks[-1] * len(_CATEGORIES)
    return glyphs.shades


def _apportion(amounts: list[int], cells: int) -> list[int]:
    """``cells`` shared out by largest remainder, at least one to each amount."""
    total = sum(amounts)
    exact = [amount * cells / total for amount in amounts]
    widths = [max(1, int(share)) for share in exact]
    while sum(widths) < cells:
        widths[max(range(len(exact)), key=lambda i: exact[i] - widths[i])] += 1
    while sum(widths) > cells:
        widths[
            max(range(len(exact)), key=lambda i: widths[i] - exact[i] if widths[i] > 1 else -2)
        ] -= 1
    return widths
