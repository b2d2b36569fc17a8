"""Adds a result to the summary of a CI job, where GitHub has a file for it."""

from __future__ import annotations

import os
from typing import Any

from blocktool.cli.errors import warn
from blocktool.render.view import View


def add_to_step_summary(kind: str, result: Any) -> None:
    """Append the result as Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, if any."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from blocktool.render.formats import renderer

    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(renderer(kind, "markdown")(result, View()))
    except OSError as error:
        warn(f"cannot write the step summary {path}: {error.strerror or error}")
