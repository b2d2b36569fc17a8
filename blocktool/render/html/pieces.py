"""The pieces of a page, as plain data. Texts are plain texts: the page escapes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Tone = Literal["", "good", "bad", "warn", "muted"]
Figure = dict[str, Any]
"""``{"data": [...], "layout": {...}}`` as plotly takes it. A colour is a variable of the style
sheet (``"var(--c1)"``), so that it follows the theme; a text has gone through ``marks.label``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """``sort`` is what a column is ordered by, the text itself where it is None."""

    text: str
    sort: float | None = None
    tone: Tone = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; ``right`` for figures."""

    title: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a caption. The first cell of a row names it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    filtered_by: str = ""
    """What a filter box above it looks for (``"operations"``); no box without."""
    ordered: bool = True
    """Whether readers may order it by a column."""
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A module in a table that opens and closes: how deep it lies, whether others lie in it."""

    level: int
    parent: bool
    open: bool
    path: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TreeTable:
    """Modules as a tree: ``hidden`` rows lie in closed ones at first."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TreeRow, ...]
    filtered_by: str = "modules"
    kind: Literal["tree-table"] = "tree-table"


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the pictures that a chart can show: what is laid over its figure, and its words."""

    name: str
    told: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with a title, one or two sentences that say what it shows, and its data as a table.

    ``variants`` are chosen from by the reader; the first is shown at first. ``legend`` explains
    colours that the figure does not explain itself. ``starts`` are the parts (id and name) to which
    an icicle can be narrowed, ``levels`` how many levels it shows at first and has at most.
    """

    id: str
    title: str
    told: str
    figure: Figure
    data: Table | TreeTable | None = None
    height: int = 360
    choose: str = ""
    """What the variants are: ``"Figure"``, ``"Case"``."""
    variants: tuple[Variant, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    starts: tuple[tuple[str, str], ...] = ()
    levels: tuple[int, int] | None = None
    kind: Literal["chart"] = "chart"


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its label, and what there is to say of it."""

    label: str
    figure: str
    remark: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """The figures that matter, large."""

    facts: tuple[Fact, ...]
    kind: Literal["cards"] = "cards"


@dataclass(frozen=True, slots=True)
class Notes:
    """Remarks in a box; a remark is a text and a hint ("" for none)."""

    title: str
    items: tuple[tuple[str, str], ...]
    tone: Tone = ""
    kind: Literal["notes"] = "notes"


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs."""

    lines: tuple[str, ...]
    kind: Literal["prose"] = "prose"


@dataclass(frozen=True, slots=True)
class Item:
    """One finding: a label, a headline, facts about it, lines of code, a command to copy."""

    label: str
    text: str
    tone: Tone = ""
    facts: tuple[tuple[str, str], ...] = ()
    code: tuple[str, ...] = ()
    command: str | None = None
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """Findings, one below the other."""

    items: tuple[Item, ...]
    kind: Literal["items"] = "items"


@dataclass(frozen=True, slots=True)
class GridCell:
    """What came of the cases of one cell: a sign that is read without colour, and words."""

    sign: str
    told: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Grid:
    """Outcomes by two keys; an empty cell is None."""

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GridCell | None, ...]], ...]
    kind: Literal["grid"] = "grid"


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that are closed at first."""

    title: str
    blocks: tuple[Block, ...]
    kind: Literal["details"] = "details"


Block = Table | Chart | Cards | Notes | Prose | Items | Grid | Details | TreeTable


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; ``id`` is where links lead."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole: ``kind`` says what it is a report of, ``lines`` stand below the title."""

    title: str
    kind: str
    lines: tuple[str, ...]
    sections: tuple[Section, ...]
    versions: str
    """What made the report: versions and platform."""
    verdict: tuple[str, Tone] | None = None


def sections(*wanted: tuple[str, str, Sequence[Block | None]]) -> tuple[Section, ...]:
    """Those that have anything in them, of (id, title, blocks)."""
    found = []
    for name, title, blocks in wanted:
        if kept := tuple(block for block in blocks if block is not None):
            found.append(Section(name, title, kept))
    return tuple(found)
