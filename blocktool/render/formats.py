"""Which formats a command has, and the renderer behind each, loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import PurePath
from typing import Any

from blocktool.errors import UsageError
from blocktool.render.view import View

Renderer = Callable[[Any, View], str]

DEFAULT = "table"
ENTRY_POINTS = "blocktool.formats"
"""Other packages' formats: an entry point's name is the format's, its object a mapping from the
kind of result (``"summary"``) to a renderer ``(result, view) -> str``."""

_RENDERERS: dict[str, dict[str, str]] = {
    "list": {
        "table": "blocktool.render.listing_table",
        "json": "blocktool.render.json",
        "html": "blocktool.render.html",
    },
    "summary": {
        "table": "blocktool.render.summary_table",
        "json": "blocktool.render.json",
        "csv": "blocktool.render.summary_csv",
        "markdown": "blocktool.render.summary_markdown",
        "speedscope": "blocktool.render.summary_speedscope",
        "bencher": "blocktool.render.bencher",
        "github-action-benchmark": "blocktool.render.github_benchmark",
        "html": "blocktool.render.html",
    },
    "formulas": {
        "table": "blocktool.render.formulas_table",
        "json": "blocktool.render.json",
        "markdown": "blocktool.render.formulas_markdown",
        "latex": "blocktool.render.formulas_latex",
        "python": "blocktool.render.formulas_python",
        "html": "blocktool.render.html",
    },
    "check-shapes": {
        "table": "blocktool.render.shapes_table",
        "json": "blocktool.render.json",
        "markdown": "blocktool.render.shapes_markdown",
        "junit": "blocktool.render.shapes_junit",
        "github": "blocktool.render.shapes_github",
        "csv": "blocktool.render.shapes_csv",
        "html": "blocktool.render.html",
    },
    "profile": {
        "table": "blocktool.render.profile_table",
        "json": "blocktool.render.json",
        "csv": "blocktool.render.profile_csv",
        "markdown": "blocktool.render.profile_markdown",
        "speedscope": "blocktool.render.profile_speedscope",
        "bencher": "blocktool.render.bencher",
        "github-action-benchmark": "blocktool.render.github_benchmark",
        "html": "blocktool.render.html",
    },
    "comparison": {
        "table": "blocktool.render.comparison_table",
        "json": "blocktool.render.json",
        "csv": "blocktool.render.comparison_csv",
        "markdown": "blocktool.render.comparison_markdown",
        "junit": "blocktool.render.comparison_junit",
        "github": "blocktool.render.comparison_github",
        "html": "blocktool.render.html",
    },
    "diagram": {
        "mermaid": "blocktool.render.diagram_mermaid",
        "svg": "blocktool.render.diagram_svg",
        "png": "blocktool.render.diagram_png",
        "markdown": "blocktool.render.diagram_markdown",
        "json": "blocktool.render.json",
    },
}
_SUFFIXES = {
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".xml": "junit",
    ".tex": "latex",
    ".py": "python",
    ".html": "html",
    ".htm": "html",
    ".txt": "table",
    "": "table",
    ".mmd": "mermaid",
    ".svg": "svg",
    ".png": "png",
}
_DEFAULTS = {"diagram": "mermaid"}
"""Where it is no table."""


def formats_of(kind: str) -> tuple[str, ...]:
    """The formats that blocktool itself has for a kind of result."""
    return tuple(_RENDERERS[kind])


def choose_format(kind: str, asked: str | None, output: str | None) -> str:
    """The format: the one asked for, else the one that the output's suffix implies, else a table
    (of a diagram Mermaid).

    Raises UsageError for a format that results of this kind do not have, listing those they do,
    and for a suffix that implies none.
    """
    if asked is not None:
        renderer(kind, asked)
        return asked
    if output is None or output == "-":
        return _DEFAULTS.get(kind, DEFAULT)
    suffix = PurePath(output).suffix.lower()
    name = _SUFFIXES.get(suffix)
    if name == DEFAULT:
        name = _DEFAULTS.get(kind, DEFAULT)
    if name is None:
        raise UsageError(
            f"the suffix of '{output}' implies no format",
            hint=f"say which with -f: {', '.join(formats_of(kind))}",
        )
    renderer(kind, name)
    return name


def renderer(kind: str, name: str) -> Renderer:
    """The function behind a format. Raises UsageError where there is none."""
    if module := _RENDERERS[kind].get(name):
        found: Renderer = import_module(module).render
        return found
    if foreign := _foreign(name):
        if kind in foreign:
            return foreign[kind]
        raise UsageError(
            f"format '{name}' is not for a {kind}",
            hint=f"{kind} has {', '.join(formats_of(kind))}",
        )
    raise UsageError(f"{kind} has no format '{name}'", hint=_suggestion(kind, name))


def _foreign(name: str) -> Mapping[str, Renderer] | None:
    from importlib.metadata import entry_points  # slow, and only for names that are not ours

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        loaded: Mapping[str, Renderer] = entry.load()
        return loaded
    return None


def _suggestion(kind: str, name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, formats_of(kind), 1)
    if near:
        return f"did you mean {near[0]}?"
    return f"it has {', '.join(formats_of(kind))}"
