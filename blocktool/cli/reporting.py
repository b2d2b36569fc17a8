"""``blocktool report``: a saved report as a page with pictures, or in any format of its kind."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blocktool.cli import options
from blocktool.cli.errors import note
from blocktool.cli.options import SHOWN, at_least, chosen, color_choice, option
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import OutputError, UsageError
from blocktool.render.view import SORT_KEYS, TIME_KEYS, View

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = "html"

Reports = Annotated[
    list[str],
    typer.Argument(
        metavar="REPORT ...",
        show_default=False,
        help="Files that were written with -f json or -o FILE.json, - for stdin. Several make one "
        "page.",
    ),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=options.OUTPUT,
        choices=("html", "table", "json", "csv", "markdown"),
        help="html, or any format that the command has that made the report: table, csv, markdown, "
        "... Default: as the suffix of --output implies, else html.",
    ),
]
Output = Annotated[
    str | None,
    option(
        *("-o", "--output"),
        metavar="FILE",
        section=options.OUTPUT,
        help="Default: of html the report's name with .html (stdout for stdin), of another format "
        "stdout (-).",
    ),
]
Depth = Annotated[
    int | None,
    option("--depth", metavar="N", section=SHOWN, help="Levels of modules that are shown."),
]
Sort = Annotated[
    str | None,
    option(
        "--sort",
        metavar="KEY",
        section=SHOWN,
        help="Order of modules, as the command has it that made the report. Not of html, which is "
        "ordered by its reader.",
    ),
]
Expand = Annotated[
    bool, option("--expand", section=SHOWN, help="Show repeated modules one by one.")
]
Ops = Annotated[
    bool, option("--ops", section=SHOWN, help="Of a summary: add the table of operations.")
]


def report(
    reports: Reports,
    depth: Depth = None,
    sort: Sort = None,
    expand: Expand = False,
    ops: Ops = False,
    format: Format = None,  # noqa: A002
    output: Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Show a saved report: as one page with pictures, which needs no network, or as text.

    Reports are those of every command: summaries, formulas, profiles, shape checks, comparisons.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, formats_of, renderer
    from blocktool.render.json import KINDS
    from blocktool.render.output import destination
    from blocktool.render.reading import load_report

    at_least("--depth", depth, 0)
    if len(reports) > 1 and "-" in reports:
        raise UsageError("stdin cannot be one of several reports", hint="name files")
    found = [load_report(name) for name in reports]
    kinds = [next(kind for kind, cls in KINDS.items() if type(each) is cls) for each in found]
    if format is None and output in (None, "-") and all(PAGE in formats_of(k) for k in kinds):
        format = PAGE  # noqa: A001  (a diagram is a picture already)
    formats = [choose_format(kind, format, output) for kind in kinds]
    name = formats[0]
    if len(found) > 1 and set(formats) != {PAGE}:
        raise UsageError(f"several reports go on one page, but not into {name}", hint="-f html")
    if name == PAGE and output is None:
        output = _page_name(reports)
    _refuse_input(output, reports)
    place = destination(output, force=force)
    view = fitted(_view(kinds, depth, sort, expand, ops), to_file=place.path is not None)
    if len(found) > 1:
        from blocktool.render.html import render_together

        text = render_together(found, reports, view)
    else:
        text = renderer(kinds[0], name)(found[0], view)
    place.write(text)
    if place.path is not None and not quiet:
        note(f"wrote {place.path}")


def _refuse_input(output: str | None, reports: Sequence[str]) -> None:
    """A report is not written over, also not with --force."""
    for name in reports:
        if output in (None, "-") or name == "-":
            continue
        assert output is not None
        known = os.path.exists(output)  # load_report has read the other
        if known and os.path.samefile(output, name):
            raise OutputError(
                f"{output} is the report itself, and would be written over",
                hint="name another file with -o",
            )


def _page_name(reports: Sequence[str]) -> str:
    """Beside the report, with its name; stdout for stdin."""
    first = reports[0]
    return "-" if first == "-" else str(PurePath(first).with_suffix(".html"))


def _view(
    kinds: Sequence[str], depth: int | None, sort: str | None, expand: bool, ops: bool
) -> View:
    """The view, with the order of modules that the kind of report knows."""
    given: dict[str, Any] = {"depth": depth, "expand": expand, "ops": ops}
    if sort is None:
        return View(**given)
    if set(kinds) == {"profile"}:
        return View(sort_times=chosen("--sort", sort, TIME_KEYS), **given)
    if set(kinds) == {"summary"}:
        return View(sort=chosen("--sort", sort, SORT_KEYS), **given)
    raise UsageError(f"--sort: a {kinds[0]} has no order to choose", hint="leave it out")
