"""A shape report as CSV: one row per case, for spreadsheets."""

from __future__ import annotations

import csv
import io

from blocktool.render.shapes_json import flatten
from blocktool.render.shapes_words import arguments_text
from blocktool.render.view import View
from blocktool.results.shapes import ShapeReport

_COLUMNS = (
    *("target", "arguments", "inputs", "outputs", "dtype", "mode", "device", "outcome", "kind"),
    *("expected", "actual", "module", "message", "hint", "details", "reason", "seconds"),
    *("memory_format", "reproduce"),
)


def render(report: ShapeReport, view: View) -> str:
    """Every case in the order in which they were made.

    The columns are the fields of a case in JSON. Arguments read ``stride=2 groups=4``, inputs and
    outputs as after ``-i``, several separated by a semicolon.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for case in flatten(report).cases:
        texts = {
            "arguments": arguments_text(case.arguments),
            "inputs": ";".join(map(str, case.inputs)),
            "outputs": ";".join(map(str, case.outputs)),
            "details": "\n".join(case.details),
        }
        writer.writerow([texts.get(name, getattr(case, name)) for name in _COLUMNS])
    return out.getvalue().encode(errors="replace").decode()
