"""Formulas as a table for people: title, totals, modules, notes."""

from __future__ import annotations

from blocktool.analysis.expressions import to_text as expression_text
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.formula_rows import FormulaNode, shown_rows
from blocktool.render.formula_shorthand import FIGURES, TITLES, Shorthand, shorthand_of
from blocktool.render.formula_words import (
    NO_SHAPE,
    SCOPE,
    holds_for,
    output_of,
    peak_holds_for,
    remarks,
    signature,
    sizes,
)
from blocktool.render.styled import ASCII, UNICODE, Glyphs, Line, clean, to_text, wrap
from blocktool.render.view import View
from blocktool.results.formulas import Formulas

_SHORTEST = 22
_LABEL = 20
_NO_BREAK = "\N{NO-BREAK SPACE}"


def render(formulas: Formulas, view: View) -> str:
    """The formulas in at most ``view.width`` columns where that is possible; those of modules are
    cut where they do not fit, those of the whole are not."""
    glyphs = UNICODE if view.unicode else ASCII
    short = shorthand_of(formulas)
    nodes, shown, levels = shown_rows(formulas, view.depth, expand=view.expand)
    lines: list[Line] = [*_title(formulas, view, glyphs), []]
    for name in FIGURES:
        text = getattr(formulas.totals, name)
        lines += _labelled(TITLES[name], "no formula" if text is None else short.text(text), view)
    only = peak_holds_for(formulas)
    if only is not None:
        lines += [
            [(f"{'':<{_LABEL}}", ""), (line, "yellow")]
            for line in wrap(
                clean(f"where {only}", unicode=view.unicode), view.width - _LABEL, indent=6
            )
        ]
    named = [f"{name} = {expression_text(node)}" for name, node in short.definitions]
    if named:
        # A no-break space keeps a definition on one line.
        text = ", ".join(each.replace(" ", _NO_BREAK) for each in named)
        lines += _labelled("where", text, view)
    columns = _columns(nodes, short, view, glyphs)
    lines += [[], *layout(columns, view.width, glyphs), []]
    told = [("note: ", each, "") for each in remarks(formulas)]
    if shown < levels:
        told.append(("", f"{shown} of {levels} levels shown; --depth {levels} shows all.", "dim"))
    if any(node.count > 1 for node in nodes):
        folded = f"{glyphs.times}n: n equal modules in one row, with the figures of one"
        told.append(("", f"{folded}; --expand shows each.", "dim"))
    if any(column.shrink_to for column in columns[3:]) and _cut(lines, glyphs):
        told.append(("", "formulas cut here stand whole in -f json, markdown or python.", "dim"))
    told.append(("", SCOPE, "dim"))
    lines += [
        [(line, style)]
        for label, text, style in told
        for line in wrap(label + clean(text, unicode=view.unicode), view.width, indent=len(label))
    ]
    return to_text(lines, color=view.color)


def _cut(lines: list[Line], glyphs: Glyphs) -> bool:
    return any(glyphs.ellipsis in text for line in lines for text, _ in line)


def _title(formulas: Formulas, view: View, glyphs: Glyphs) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    told = f"{signature(formulas, glyphs.arrow)} {glyphs.dot} {formulas.mode}"
    lines: list[Line] = [
        [(plain(formulas.target), "bold"), (f"  {plain(formulas.root_type)}", "cyan")],
        *([(line, "")] for line in wrap(plain(told), view.width)),
    ]
    if formulas.symbols:
        lines += [[(line, "")] for line in wrap(plain(f"for {sizes(formulas)}"), view.width)]
    conditions = holds_for(formulas)
    if conditions is not None:
        lines += [
            [(line, "yellow")] for line in wrap(plain(f"where {conditions}"), view.width, indent=6)
        ]
    return lines


def _labelled(label: str, text: str, view: View) -> list[Line]:
    lines = wrap(text, view.width - _LABEL)
    return [
        [
            (f"{label if first else '':<{_LABEL}}", "bold" if label else ""),
            (line.replace(_NO_BREAK, " "), ""),
        ]
        for first, line in zip([True] + [False] * len(lines), lines, strict=False)
    ]


def _columns(
    nodes: list[FormulaNode], short: Shorthand, view: View, glyphs: Glyphs
) -> list[Column]:
    def figures(name: str) -> list[Cell]:
        cells = []
        for node in nodes:
            text = getattr(node.row, name)
            shown = "-" if text is None else short.text(text)
            cells.append(Cell(shown, "dim" if shown in ("0", "-") else ""))
        return cells

    names = []
    for node in nodes:
        text = clean(node.name, unicode=view.unicode)
        if node.count > 1:
            text = f"{text} {glyphs.times}{node.count}"
        names.append(Cell(text, "" if node.level else "bold", "  " * node.level))
    shapes = [output_of(node.row) for node in nodes]
    outputs = [Cell(NO_SHAPE, "dim") if s is None else Cell(clean(s)) for s in shapes]
    types = [Cell(clean(node.row.type, unicode=view.unicode), "cyan") for node in nodes]
    return [
        Column("Module", names, shrink_to=14),
        Column("Type", types, shrink_to=8, drop=3),
        Column("Output", outputs, drop=2, shrink_to=12),
        Column("Params", figures("params"), shrink_to=_SHORTEST),
        Column("MACs", figures("macs"), shrink_to=_SHORTEST),
        Column("Activation bytes", figures("activation_bytes"), drop=1, shrink_to=_SHORTEST),
    ]
