"""Workflow commands of GitHub Actions: annotations of a pull request.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from blocktool.render.styled import clean

Level = Literal["error", "warning", "notice"]


def workflow_command(level: Level, lines: Sequence[str], **properties: str | int | None) -> str:
    """One command on one line; the lines of its message are joined as GitHub wants it."""
    given = [(key, clean(str(value))) for key, value in properties.items() if value is not None]
    # GitHub takes a title of any length, but shows one line.
    options = ",".join(f"{key}={_escape_property(value)}" for key, value in given)
    return f"::{level} {options}::" + _escape("\n".join(map(clean, lines)))


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
