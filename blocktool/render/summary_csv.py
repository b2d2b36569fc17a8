"""A summary as CSV: one row per module, or per operation; plain numbers, for spreadsheets."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import Any

from blocktool.render import units
from blocktool.render.summary_view import shown_ops
from blocktool.render.view import View
from blocktool.results.summary import ModuleRow, OpRow, Summary


def render(summary: Summary, view: View) -> str:
    """Every module, unfolded, in the order of registration; the first row is the whole.

    With ``view.ops`` it is every operation instead, since a CSV file holds one table;
    ``view.depth`` leaves out the modules below. Shapes read ``1x3x224x224``, several are
    separated by a semicolon.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    rows: list[ModuleRow] | list[OpRow]
    if view.ops:
        names, rows = [field.name for field in fields(OpRow)], shown_ops(summary, view)
    else:
        deepest = view.depth
        names = [field.name for field in fields(ModuleRow)]
        rows = [row for row in summary.modules if deepest is None or _level(row) <= deepest]
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return out.getvalue()


def _level(row: ModuleRow) -> int:
    """Levels of the table's tree, where containers that only hold others count as well."""
    return row.path.count(".") + 1 if row.path else 0


def _cell(value: Any) -> Any:
    return ";".join(map(units.shape, value)) if isinstance(value, tuple) else value
