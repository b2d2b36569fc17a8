"""Tables that fit: columns are dropped or shortened by importance, figures never wrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blocktool.render.styled import Glyphs, Line, Span, pad, shorten, width_of

_SHORT = 15  # a text of this width is not shortened as long as there are columns to drop


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table. ``lead`` is text that is never shortened (a tree's guides)."""

    text: str
    style: str = ""
    lead: str = ""

    @property
    def width(self) -> int:
        """The columns that the cell takes when it is shown whole."""
        return width_of(self.lead) + width_of(self.text)


@dataclass(frozen=True, slots=True)
class Column:
    """A column and how it yields when the line is too long.

    ``shrink_to`` is the width down to which its cells may be shortened (None: not at all, as for
    figures); ``drop`` is the turn in which it is left out (0: never). ``gap`` is the space that
    sets it off from the column before.
    """

    title: str
    cells: Sequence[Cell]
    right: bool = False
    shrink_to: int | None = None
    drop: int = 0
    gap: int = 2

    @property
    def width(self) -> int:
        """The columns that its widest cell or its title takes."""
        return max(width_of(self.title), *(cell.width for cell in self.cells), 0)


def layout(columns: Sequence[Column], width: int, glyphs: Glyphs) -> list[Line]:
    """Heading, rule and rows of a table of at most ``width`` columns.

    While the table is too wide, long texts are first shortened to two thirds of their width, then
    columns dropped in the order of ``drop``, then texts shortened down to ``shrink_to``. What
    still does not fit stays too wide: a figure that cannot be read whole is not shown in part.
    """
    kept = [column for column in columns if column.cells]
    order = sorted({column.drop for column in kept if column.drop})
    while order and _least(kept, gentle=True) > width:
        turn = order.pop(0)
        kept = [column for column in kept if column.drop != turn]
    widths = _shrunk(kept, width)
    lines: list[Line] = [
        _row([Cell(column.title, "bold") for column in kept], kept, widths, glyphs),
        [(glyphs.rule * (sum(widths) + _gaps(kept)), "dim")],
    ]
    for cells in zip(*(column.cells for column in kept), strict=True):
        lines.append(_row(cells, kept, widths, glyphs))
    return lines


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether all of these columns can be shown in ``width`` with texts hardly shortened."""
    return least_width(columns) <= width


def least_width(columns: Sequence[Column]) -> int:
    """The width of a table of these columns, with texts at two thirds of theirs."""
    return _least([column for column in columns if column.cells], gentle=True)


def _gaps(columns: Sequence[Column]) -> int:
    return sum(column.gap for column in columns[1:])


def _least(columns: Sequence[Column], *, gentle: bool) -> int:
    return sum(_floor(column, gentle) for column in columns) + _gaps(columns)


def _floor(column: Column, gentle: bool) -> int:
    if column.shrink_to is None:
        return column.width
    leads = max(width_of(cell.lead) for cell in column.cells)
    least = max(column.shrink_to, width_of(column.title), leads + 4)
    if gentle:
        least = max(least, 2 * column.width // 3, _SHORT)
    return min(column.width, least)


def _shrunk(columns: Sequence[Column], width: int) -> list[int]:
    """The widths, the widest of the columns that can yield giving way first."""
    widths = [column.width for column in columns]
    for gentle in (True, False):
        floors = [_floor(column, gentle) for column in columns]
        excess = sum(widths) + _gaps(columns) - width
        while excess > 0:
            spare = [
                (widths[i], i) for i in range(len(columns)) if widths[i] > min(floors[i], widths[i])
            ]
            if not spare:
                break
            widths[max(spare)[1]] -= 1
            excess -= 1
    return widths


def _row(
    cells: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], glyphs: Glyphs
) -> Line:
    spans: list[Span] = []
    for position, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        if position:
            spans.append((" " * column.gap, ""))
        room = width - width_of(cell.lead)
        text = shorten(cell.text, room, glyphs) if column.shrink_to is not None else cell.text
        if cell.lead:
            spans.append((cell.lead, "dim"))
        spans.append((pad(text, room, right=column.right), cell.style))
    return spans
