"""Facts one below the other: a label, a figure, and what there is to say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from blocktool.render.styled import Line, clean, pad, width_of, wrap
from blocktool.render.view import View

_NO_BREAK = "\N{NO-BREAK SPACE}"
_UNIT = re.compile(r"(?<=\d) (?=[A-Zµa-z])")


@dataclass(frozen=True, slots=True)
class Fact:
    """A label, a figure in bold or in another style, and a remark beside it."""

    label: str
    figure: str
    remark: str
    below: tuple[Line, ...] = ()
    """Lines that follow, to be indented as far as the remark."""
    style: str = "bold"


def fact_lines(rows: Sequence[Fact | None], view: View) -> list[Line]:
    """Labels and figures in columns of their own, remarks wrapped in what is left; None leaves a
    line blank."""

    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    def wrapped(remark: str, room: int) -> list[str]:
        # A figure and its unit stay together.
        whole = _UNIT.sub(_NO_BREAK, plain(remark))
        return [line.replace(_NO_BREAK, " ") for line in wrap(whole, room)] or [""]

    told = [row for row in rows if row is not None]
    labels = max((width_of(row.label) for row in told), default=0)
    figure_width = max((width_of(plain(row.figure)) for row in told), default=0)
    indent = labels + figure_width + 4
    lines: list[Line] = []
    for row in rows:
        if row is None:
            lines.append([])
            continue
        first, *rest = wrapped(row.remark, view.width - indent)
        lines.append(
            [
                (f"{pad(row.label, labels)}  ", ""),
                (pad(plain(row.figure), figure_width, right=True), row.style),
                (f"  {first}", "dim"),
            ]
        )
        lines += [[(" " * indent + line, "dim")] for line in rest]
        lines += [[(" " * indent, ""), *line] for line in row.below]
    return lines
