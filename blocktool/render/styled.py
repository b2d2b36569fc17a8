"""Lines of styled text, and their plain or coloured form.

A line is a sequence of ``(text, style)`` spans. Styles are Rich's (``"bold"``, ``"dim cyan"``),
written with the sixteen colours of the terminal's own palette. Text is never parsed for markup,
so that a module called ``[red]`` stays one. Rich's Console and Table are not used: they are most
of Rich's import time, and a table that drops columns by importance lays itself out anyway.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
Line = Sequence[Span]

# What turns the direction of the text behind it (https://www.unicode.org/reports/tr9): marks,
# embeddings and overrides, isolates.
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# What a name must not smuggle onto a terminal: C0, DEL and C1 control characters, and what shows it
# in another order than it has; nor into a file: lone surrogates, which stand for bytes of a file
# name that are no text.
_CONTROLS = dict.fromkeys(
    (*range(0x20), *range(0x7F, 0xA0), *_TURNS, *range(0xD800, 0xE000)),
    "\N{REPLACEMENT CHARACTER}",
)
_FILLER = "\ue000"  # of the private use area
_ASCII_CONTROLS: dict[int, str] = {
    **dict.fromkeys(_CONTROLS, "?"),
    # Signs of our own that have a usual way of writing.
    **str.maketrans({"±": "+-", "µ": "u", "–": "-", "×": "x", "≈": "~", "·": "|", "→": "->"}),
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters beyond ASCII that tables use, and what stands for them without Unicode."""

    branch: str
    last: str
    bar: str
    gap: str
    rule: str
    times: str
    arrow: str
    ellipsis: str
    dot: str
    blocks: str
    """Fillings of one cell of a bar, from the thinnest to the full one."""
    shades: str
    """Fillings that tell the parts of a stacked bar apart without colour."""
    levels: str
    """Heights of a curve that takes one line, from the lowest to the highest."""


UNICODE = Glyphs(
    *("├─ ", "└─ ", "│  ", "   ", "─", "×", "→", "…", "·"), "▏▎▍▌▋▊▉█", "█▓▒░▚▞▤", "▁▂▃▄▅▆▇█"
)
ASCII = Glyphs("|- ", "`- ", "|  ", "   ", "-", "x", "->", "~", "|", "#", "#=+-:.*", ".:-=+*%@")


def clean(text: str, *, unicode: bool = True) -> str:
    """Text from outside, without control characters (and without anything but ASCII, if asked)."""
    if unicode:
        return text.translate(_CONTROLS)
    return text.translate(_ASCII_CONTROLS).encode("ascii", "replace").decode("ascii")


def width_of(text: str) -> int:
    """The columns that text takes; wide characters take two."""
    return len(text) if text.isascii() else cell_len(text)


def shorten(text: str, width: int, glyphs: Glyphs) -> str:
    """Text in at most ``width`` columns; what is too long loses its middle."""
    if width_of(text) <= width:
        return text
    if width <= 1:
        return glyphs.ellipsis[:width]
    head = width // 2
    tail = width - head - len(glyphs.ellipsis)
    start = set_cell_size(text, head)
    end = set_cell_size(text[::-1], tail)[::-1] if tail else ""
    return f"{start}{glyphs.ellipsis}{end}"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Text filled with spaces to ``width`` columns, aligned left or right."""
    spaces = " " * (width - width_of(text))
    return f"{spaces}{text}" if right else f"{text}{spaces}"


def wrap(text: str, width: int, *, indent: int = 0) -> list[str]:
    """Running text in lines of at most ``width`` columns, all but the first indented."""
    # textwrap counts characters: behind each wide one stands a filler while it does.
    wide = not text.isascii()
    if wide:
        text = "".join(char + _FILLER * (cell_len(char) - 1) for char in text)
    lines = textwrap.wrap(
        text,
        max(width, indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_FILLER, "") for line in lines] if wide else lines


def bar(share: float, cells: int, glyphs: Glyphs) -> str:
    """A bar of ``share`` (0 to 1) of ``cells``; anything above zero shows at least a trace."""
    steps = len(glyphs.blocks)
    filled = round(min(max(share, 0.0), 1.0) * cells * steps)
    if share > 0:
        filled = max(filled, 1)
    full, part = divmod(filled, steps)
    return glyphs.blocks[-1] * full + (glyphs.blocks[part - 1] if part else "")


def to_text(lines: Iterable[Line], *, color: bool) -> str:
    """The lines as one string, without spaces at their ends, with ANSI colours where asked."""
    return "".join(f"{_line(line, color)}\n" for line in lines)


def _line(line: Line, color: bool) -> str:
    spans = list(line)
    while spans:
        text, style = spans.pop()
        if text := text.rstrip():
            spans.append((text, style))
            break
    if not color:
        return "".join(text for text, _ in spans)
    return "".join(_paint(text, style) for text, style in spans)


def _paint(text: str, style: str) -> str:
    if not style or not text.strip():
        return text
    before, after = _codes(style)
    return f"{before}{text}{after}"


@cache
def _codes(style: str) -> tuple[str, str]:
    from rich.color import ColorSystem
    from rich.style import Style

    before, _, after = (
        Style.parse(style).render("\0", color_system=ColorSystem.STANDARD).partition("\0")
    )
    return before, after
