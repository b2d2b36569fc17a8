"""Running text in the table of a comparison, and the styles that its parts share."""

from __future__ import annotations

from blocktool.render.columns import Cell
from blocktool.render.comparison_figures import Tone, tone
from blocktool.render.styled import ASCII, UNICODE, Glyphs, Line, clean, shorten, wrap
from blocktool.render.view import View
from blocktool.results.comparison import MetricChange

MOST = 20
"""Rows of a table, and findings, that fit a screen; ``View.expand`` shows all."""

_TONES: dict[Tone, str] = {"better": "green", "worse": "red", "neutral": ""}
_UNSURE = {"inconclusive": "yellow", "not compared": "dim yellow", "same": "dim"}


def glyphs_of(view: View) -> Glyphs:
    """The characters that the output can carry."""
    return UNICODE if view.unicode else ASCII


def plain(text: str, view: View) -> str:
    """Text from outside, fit for the output."""
    return clean(text, unicode=view.unicode)


def cell(text: str, view: View, style: str = "") -> Cell:
    """A field with text from outside."""
    return Cell(plain(text, view), style)


def wrapped(text: str, view: View, style: str = "", *, head: str = "") -> list[Line]:
    """Running text in at most ``view.width`` columns, all lines but the first indented by two.

    ``head`` stands before it, in bold. A word that is longer than a line loses its middle.
    """
    glyphs = glyphs_of(view)
    head = plain(head, view)
    told = wrap(head + plain(text, view), view.width, indent=2) or [""]
    first, *rest = (shorten(line, view.width, glyphs) for line in told)
    strong = len(head) if first.startswith(head) else 0
    spans = [(first[:strong], f"bold {style}".strip()), (first[strong:], style)]
    return [[span for span in spans if span[0]], *([(line, style)] for line in rest)]


def style_of(change: MetricChange) -> str:
    """Red and green where it is for the worse or the better, yellow where it is not known."""
    return _UNSURE.get(change.verdict) or _TONES[tone(change)]


def more(left: int, what: str) -> list[Line]:
    """``12 more modules; --all shows them``; nothing where none is left out."""
    if left <= 0:
        return []
    noun, them = (what, "it") if left == 1 else (f"{what}s", "them")
    return [[(f"{left:,} more {noun}; --all shows {them}", "dim")]]
