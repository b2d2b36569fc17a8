"""Pieces of Markdown (GitHub's dialect) in which text from outside is never markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from blocktool.render.styled import clean


def text(plain: str) -> str:
    """Text in which nothing is markup."""
    plain = clean(plain)
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def code(plain: str) -> str:
    """Text between backticks in a table cell, where only these two marks matter."""
    return clean(plain).replace("`", "'").replace("|", "\\|")


def fenced(lines: Sequence[str], language: str = "") -> str:
    """A block of code, with a fence that is longer than any in it."""
    body = "\n".join(map(clean, lines))
    longest = max(map(len, re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, last: int = 0
) -> str:
    """A table whose first ``left`` and ``last`` columns are aligned left, the others right."""
    right = len(heading) - left - last
    rule = [":--"] * left + ["--:"] * right + [":--"] * last
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *rows))
