"""How wide text is at most, in whatever sans-serif font a reader has."""

from __future__ import annotations

from html import escape

from blocktool.render.styled import clean, width_of

FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_BOLD = 1.13
_ASCII = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 "
    "84 84 56 102 68 69 72 77 67 61 78 75 29 50 67 56 86 75 79 67 79 72 67 61 73 68 99 69 67 "
    "69 39 34 39 84 56 50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 "
    "82 59 59 52 64 34 64 84 "
)
# The widest of DejaVu Sans and Liberation Sans (as wide as Arial), in hundredths of the size.
_WIDTHS = {chr(code): int(width) for code, width in enumerate(_ASCII.split(), 32)}
_WIDTHS.update({"×": 84, "·": 32, "→": 100, "…": 100, "÷": 84})
_OTHER = 84


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of one line in the unit of ``size``, which is the font's; rather more than less."""
    hundredths = sum(_WIDTHS.get(char) or max(_OTHER, 100 * (width_of(char) - 1)) for char in text)
    return hundredths / 100 * size * (_BOLD if bold else 1.0)


def xml(text: str) -> str:
    """Text between tags or in an attribute; what XML cannot hold is replaced."""
    return escape(clean(text), quote=True)
