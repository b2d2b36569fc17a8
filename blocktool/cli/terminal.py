"""What the streams can show: colour, width, characters beyond ASCII."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Literal, TextIO, get_args

from blocktool.render.view import View

ColorChoice = Literal["auto", "always", "never"]
COLOR_CHOICES: tuple[ColorChoice, ...] = get_args(ColorChoice)

PLAIN_WIDTH = 120
"""Columns where nothing says how wide the output may be: in a pipe, in a file."""

_CODES = {"error": "1;31", "warning": "33", "hint": "36"}

_choice: ColorChoice = "auto"


def choose_color(choice: ColorChoice) -> None:
    """Remember what ``--color`` says, for everything that is printed from here on."""
    global _choice
    _choice = choice


def wants_color(stream: TextIO) -> bool:
    """Whether to colour what goes to ``stream``.

    ``--color`` decides; else NO_COLOR (https://no-color.org), else FORCE_COLOR; else colour is
    for terminals that are not dumb and not those of a CI job.
    """
    if _choice != "auto":
        return _choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return _is_terminal(stream)


def width_of(stream: TextIO) -> int:
    """COLUMNS, else the width of the terminal, else ``PLAIN_WIDTH``."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if _is_terminal(stream):
        try:
            return os.get_terminal_size(stream.fileno()).columns or PLAIN_WIDTH
        except (OSError, ValueError):
            pass
    return PLAIN_WIDTH


def has_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding can carry the characters that tables are drawn with."""
    try:
        "├─│└█▓▒░▏▁▇×→…·µ±–≈".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def fitted(view: View, *, to_file: bool) -> View:
    """The view, told what the place that the result goes to can show."""
    if to_file:
        return replace(view, width=PLAIN_WIDTH, color=_choice == "always")
    stream = sys.stdout
    return replace(
        view, width=width_of(stream), color=wants_color(stream), unicode=has_unicode(stream)
    )


def paint(text: str, style: str, stream: TextIO) -> str:
    """``text`` in one of the few styles of messages, where the stream takes colour."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if wants_color(stream) else text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False
