"""A summary as a table for people: title, tree of modules, totals, notes."""

from __future__ import annotations

from collections.abc import Callable

from blocktool.analysis.fold import ModuleNode, height, walk
from blocktool.render import units
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.guides import guided
from blocktool.render.styled import ASCII, UNICODE, Glyphs, Line, bar, clean, to_text, wrap
from blocktool.render.summary_cross_check import cross_check_lines
from blocktool.render.summary_notes import SCOPE, notes, setting, signature, warnings
from blocktool.render.summary_totals import phase_lines, total_lines
from blocktool.render.summary_view import shown_ops, shown_tree
from blocktool.render.view import View
from blocktool.results.summary import ModuleRow, OpRow, Summary

_NO_BREAK = "\N{NO-BREAK SPACE}"


def render(summary: Summary, view: View) -> str:
    """The summary in at most ``view.width`` columns where that is possible.

    Columns are dropped from the least important on; a name that is too long loses its middle; a
    figure is never shortened nor wrapped.
    """
    glyphs = UNICODE if view.unicode else ASCII
    tree, levels = shown_tree(summary, view)
    lines: list[Line] = _title(summary, view, glyphs)
    lines += [[], *layout(_module_columns(summary, tree, view, glyphs), view.width, glyphs)]
    lines += [[], *total_lines(summary, view, glyphs)]
    if len(summary.phases) > 1:
        lines += [[], *phase_lines(summary, view, glyphs)]
    if view.ops:
        lines += [[], *layout(_op_columns(summary, view, glyphs), view.width, glyphs)]
    if summary.cross_check is not None:
        lines += [[], *cross_check_lines(summary.cross_check, view, glyphs)]
    lines += [[], *_notes(summary, tree, levels, view, glyphs)]
    return to_text(lines, color=view.color)


def _title(summary: Summary, view: View, glyphs: Glyphs) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    # A no-break space keeps the words of a fact on one line.
    facts = [plain(fact).replace(" ", _NO_BREAK) for fact in setting(summary)]
    told = f" {glyphs.dot} ".join([plain(signature(summary, glyphs.arrow)), *facts])
    return [
        [(plain(summary.target), "bold"), (f"  {plain(summary.root_type)}", "cyan")],
        *([(line.replace(_NO_BREAK, " "), "")] for line in wrap(told, view.width)),
    ]


def _module_columns(summary: Summary, tree: ModuleNode, view: View, glyphs: Glyphs) -> list[Column]:
    named = guided(
        tree, glyphs, unicode=view.unicode, style=lambda node: "dim" if _idle(node) else ""
    )
    named[0] = Cell(clean(summary.root_type, unicode=view.unicode), "bold")
    nodes = list(walk(tree))
    whole = summary.totals
    work: Callable[[ModuleRow], int] = lambda row: row.macs  # noqa: E731
    total, of = whole.macs, "MACs"
    if not total:  # nothing but elementwise work: show where that is
        work, total, of = (lambda row: row.elementwise_flops), whole.elementwise_flops, "FLOPs"
    cells = min(max(4, (view.width - 60) // 5), 16)

    def figures(show: Callable[[ModuleRow], str]) -> list[Cell]:
        return [
            Cell(show(node.row), _figure_style(node, index, show(node.row)))
            if node.called
            else Cell("-", "dim")
            for index, node in enumerate(nodes)
        ]

    shares = [work(node.row) / total if total else 0.0 for node in nodes]
    return [
        Column("Module", named, shrink_to=14),
        Column("Type", [Cell(""), *(_type(node, view) for node in nodes[1:])], shrink_to=8, drop=7),
        Column("Output", [_output(node) for node in nodes], drop=6),
        Column("Params", [_params(node, index) for index, node in enumerate(nodes)], right=True),
        Column("MACs", figures(lambda row: units.count(row.macs)), right=True),
        Column(
            "%",
            figures(lambda row: units.percent(work(row) / total if total else 0.0)),
            right=True,
            drop=5,
        ),
        Column(of, [Cell(bar(share, cells, glyphs), "green") for share in shares], drop=4, gap=1),
        Column(
            "Elementwise",
            figures(lambda row: units.count(row.elementwise_flops)),
            right=True,
            drop=1,
        ),
        Column(
            "Activations", figures(lambda row: units.size(row.activation_bytes)), right=True, drop=3
        ),
        Column(
            "Read+written",
            figures(lambda row: units.size(row.read_bytes + row.written_bytes)),
            right=True,
            drop=2,
        ),
    ]


def _idle(node: ModuleNode) -> bool:
    row = node.row
    work = (row.params, row.macs, row.elementwise_flops, row.activation_bytes, row.written_bytes)
    return not node.called or not any(work)


def _figure_style(node: ModuleNode, index: int, text: str) -> str:
    if text.split(" ")[0] in ("0", "0%") or _idle(node):
        return "dim"
    return "bold" if index == 0 else ""


def _params(node: ModuleNode, index: int) -> Cell:
    text = units.count(node.row.params)
    return Cell(text, "dim" if not node.row.params else "bold" if index == 0 else "")


def _type(node: ModuleNode, view: View) -> Cell:
    text = clean(node.row.type, unicode=view.unicode)
    if node.row.calls > 1:
        text = f"{text} ({node.row.calls} calls)"
    return Cell(text, "dim" if _idle(node) else "cyan")


def _output(node: ModuleNode) -> Cell:
    if not node.called:
        return Cell("not called", "dim")
    shapes = node.row.output_shapes
    if not shapes:
        return Cell("", "dim")
    more = f" +{len(shapes) - 1}" if len(shapes) > 1 else ""
    return Cell(f"{units.shape(shapes[0])}{more}", "dim" if _idle(node) else "")


def _op_columns(summary: Summary, view: View, glyphs: Glyphs) -> list[Column]:
    rows = shown_ops(summary, view)
    total = summary.totals.macs
    cells = 8 if view.width < 100 else 12

    def figures(show: Callable[[OpRow], str]) -> list[Cell]:
        return [
            Cell(show(row), "dim" if show(row).split(" ")[0] in ("0", "0%") else "") for row in rows
        ]

    shares = [row.macs / total if total else 0.0 for row in rows]
    names = [clean(row.op, unicode=view.unicode) for row in rows]
    return [
        Column("Operation", [Cell(name) for name in names], shrink_to=14),
        Column("Kind", [_kind(row) for row in rows], drop=5),
        Column("Calls", figures(lambda row: str(row.calls)), right=True),
        Column("MACs", figures(lambda row: units.count(row.macs)), right=True),
        Column("%", figures(lambda row: units.percent(row.macs / (total or 1))), True, drop=4),
        Column(
            "MACs", [Cell(bar(share, cells, glyphs), "green") for share in shares], drop=1, gap=1
        ),
        Column("Elementwise", figures(lambda row: units.count(row.elementwise_flops)), right=True),
        Column("Activations", figures(lambda row: units.size(row.activation_bytes)), True, drop=3),
        Column("Read", figures(lambda row: units.size(row.read_bytes)), right=True, drop=2),
        Column("Written", figures(lambda row: units.size(row.written_bytes)), right=True, drop=2),
    ]


def _kind(row: OpRow) -> Cell:
    return Cell(row.kind, "yellow" if row.kind == "uncovered" else "cyan")


def _notes(
    summary: Summary, tree: ModuleNode, levels: int, view: View, glyphs: Glyphs
) -> list[Line]:
    told: list[tuple[str, str, str]] = [("warning: ", w, "yellow") for w in warnings(summary)]
    told += [("note: ", note, "") for note in notes(summary)]
    shown = height(tree)
    if shown < levels:
        told.append(("", f"{shown} of {levels} levels shown; --depth {levels} shows all.", "dim"))
    if any(node.count > 1 for node in walk(tree)):
        folded = f"{glyphs.times}n: n equal modules in one row, with the figures of all n"
        told.append(("", f"{folded}; --expand shows each.", "dim"))
    told.append(("", SCOPE, "dim"))
    return [
        [(line, style)]
        for label, text, style in told
        for line in wrap(label + clean(text, unicode=view.unicode), view.width, indent=len(label))
    ]
