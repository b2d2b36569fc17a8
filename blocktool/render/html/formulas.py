"""What is on the page of formulas."""

from __future__ import annotations

from blocktool.analysis.expressions import to_text
from blocktool.render.formula_rows import shown_rows
from blocktool.render.formula_shorthand import FIGURES, TITLES, shorthand_of
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
from blocktool.render.html.pieces import Cell, Column, Notes, Page, Prose, Table, sections
from blocktool.render.html.words import versions
from blocktool.render.view import View
from blocktool.results.formulas import Formulas

_NONE = "no formula"
_INDENT = "\N{NO-BREAK SPACE}" * 4  # plain spaces would fall together
_FIGURES = ("params", "macs", "elementwise_flops", "activation_bytes")


def page(formulas: Formulas, view: View) -> Page:
    """Sizes and conditions, the totals, and the modules."""
    conditions = holds_for(formulas)
    lines = [signature(formulas, "→"), formulas.mode]
    about = [f"For {sizes(formulas)}." if formulas.symbols else ""]
    if conditions is not None:
        about.append(f"Where {conditions}.")
    notes = Notes("Notes", tuple((text, "") for text in remarks(formulas)))
    return Page(
        title=formulas.target,
        kind="Formulas",
        lines=tuple(lines),
        sections=sections(
            ("sizes", "Sizes", [Prose(tuple(filter(None, about))) if any(about) else None,
                                notes if notes.items else None]),
            ("totals", "Totals", _totals(formulas)),
            ("modules", "Modules", [_modules(formulas, view)]),
            ("scope", "What the figures mean", [Prose((SCOPE,))]),
        ),
        versions=versions(formulas.environment),
    )  # fmt: skip


def _totals(formulas: Formulas) -> list[Table | Prose | None]:
    short = shorthand_of(formulas)
    rows: list[tuple[Cell, ...]] = []
    for name in FIGURES:
        formula = getattr(formulas.totals, name)
        where = peak_holds_for(formulas) if name == "peak_live_bytes" else None
        text = _NONE if formula is None else short.text(formula)
        rows.append(
            (Cell(TITLES[name]), Cell(text, code=True), Cell(where or "", code=bool(where)))
        )
    columns = [Column("Figure"), Column("Formula"), Column("Where")]
    if not any(row[2].text for row in rows):
        columns, rows = columns[:2], [row[:2] for row in rows]
    found: list[Table | Prose | None] = [
        Table("Figures of the whole", tuple(columns), tuple(rows), ordered=False)
    ]
    if short.definitions:
        named = ", ".join(f"{name} = {to_text(node)}" for name, node in short.definitions)
        found.append(Prose((f"Here {named}.",)))
    return found


def _modules(formulas: Formulas, view: View) -> Table:
    short = shorthand_of(formulas)
    nodes, shown, levels = shown_rows(formulas, view.depth, expand=view.expand)
    rows = []
    for node in nodes:
        name = f"{node.name} ×{node.count}" if node.count > 1 else node.name
        shape = output_of(node.row)
        figures = [getattr(node.row, figure) for figure in _FIGURES]
        rows.append(
            (
                Cell(_INDENT * node.level + name),
                Cell(node.row.type),
                Cell(NO_SHAPE if shape is None else shape, code=bool(shape)),
                *(Cell(_NONE if f is None else short.text(f), code=f is not None) for f in figures),
            )
        )
    titles = ("Module", "Type", "Output", *(TITLES[figure] for figure in _FIGURES))
    caption = "Formulas of each module"
    if shown < levels:
        caption += f", {shown} of {levels} levels"
    if any(node.count > 1 for node in nodes):
        caption += "; ×n: n equal modules in one row, with the figures of one"
    return Table(caption, tuple(map(Column, titles)), tuple(rows), ordered=False)
