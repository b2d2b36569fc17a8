"""Formulas as Markdown, for pull requests and model cards (GitHub's table dialect)."""

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
from blocktool.render.markdown_text import code, table, text
from blocktool.render.view import View
from blocktool.results.formulas import FormulaRow, Formulas

_COLUMNS = ("params", "macs", "elementwise_flops", "activation_bytes")


def render(formulas: Formulas, view: View) -> str:
    """Heading, sizes and conditions, totals, modules (folded), notes."""
    short = shorthand_of(formulas)

    def figure(formula: str | None) -> str:
        return "no formula" if formula is None else f"`{code(short.text(formula))}`"

    def only(name: str) -> str:
        where = peak_holds_for(formulas) if name == "peak_live_bytes" else None
        return "" if where is None else f" where `{code(where)}`"

    def output(row: FormulaRow) -> str:
        shape = output_of(row)
        return NO_SHAPE if shape is None else f"`{code(shape)}`" if shape else ""

    blocks = [
        f"## {text(formulas.target)}",
        f"`{code(signature(formulas, '→'))}` · {formulas.mode}",
        f"For {text(sizes(formulas))}." if formulas.symbols else "",
    ]
    conditions = holds_for(formulas)
    if conditions is not None:
        blocks.append(f"Where `{code(conditions)}`.")
    blocks.append(
        table(
            ("Figure", "Formula"),
            [
                (TITLES[name], figure(getattr(formulas.totals, name)) + only(name))
                for name in FIGURES
            ],
            left=2,
        )
    )
    if short.definitions:
        named = ", ".join(f"`{name} = {to_text(node)}`" for name, node in short.definitions)
        blocks.append(f"Here {named}.")
    nodes, shown, levels = shown_rows(formulas, view.depth, expand=view.expand)
    rows = [
        (
            f"{'&nbsp;&nbsp;' * node.level}{text(node.name)}"
            f"{f' ×{node.count}' if node.count > 1 else ''}",
            text(node.row.type),
            output(node.row),
            *(figure(getattr(node.row, name)) for name in _COLUMNS),
        )
        for node in nodes
    ]
    blocks.append(
        table(("Module", "Type", "Output", *(TITLES[name] for name in _COLUMNS)), rows, left=7)
    )
    if shown < levels:
        blocks.append(f"{shown} of {levels} levels shown.")
    if any(node.count > 1 for node in nodes):
        blocks.append("×n: n equal modules in one row, with the figures of one.")
    blocks += [f"Note: {text(remark)}" for remark in remarks(formulas)]
    blocks.append(f"<sub>{SCOPE}</sub>")
    return "\n\n".join(block for block in blocks if block) + "\n"
