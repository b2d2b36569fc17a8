"""A report as one page: HTML that needs no network, with charts by plotly.

A page is put together in two steps: the kind of report says what is on it (``summary.py``,
``profile.py``, ...) in the pieces of ``pieces.py``, plain data with figures as plotly reads them;
``page.py`` makes HTML of the pieces. plotly's own Python is not imported, it takes as long as the
rest of the command line: its script is read from its package and put into the page as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from blocktool.render.html.needs import check_needs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blocktool.render.html.pieces import Page
    from blocktool.render.view import View

check_needs()  # a command asks for its renderer before the work begins: better to hear it then

_KINDS = {
    "Summary": "summary",
    "Profile": "profile",
    "ShapeReport": "shapes",
    "Comparison": "comparison",
    "Formulas": "formulas",
    "Listing": "listing",
}
"""The module that says what is on the page, by result class."""


_TREES = ("Summary", "Profile")
"""Those with trees of modules, of which as many rows are left out as a page has no room for."""
LARGEST = 6_000_000
"""Bytes of a page, plotly's five millions among them."""
_FEWEST = 40


def render(result: Any, view: View) -> str:
    """The page of any kind of result.

    ``view.depth`` is how many levels of modules the charts show at first, ``view.expand`` draws
    repeated modules one by one.
    """
    return _fitting(lambda rows: _page(result, view, rows), 1)


def render_together(results: Sequence[Any], names: Sequence[str], view: View) -> str:
    """One page of several reports, each under its name."""
    from blocktool.render.html.together import joined

    return _fitting(
        lambda rows: joined([_page(each, view, rows) for each in results], names), len(results)
    )


def _page(result: Any, view: View, rows: int) -> Page:
    name = type(result).__name__
    kind = import_module(f"blocktool.render.html.{_KINDS[name]}")
    made: Page = kind.page(result, view, rows) if name in _TREES else kind.page(result, view)
    return made


def _fitting(page: Callable[[int], Page], reports: int) -> str:
    """The page with the most rows of modules for each of its reports with which it is small
    enough; rows of long names take more room than most."""
    from blocktool.render.html.page import to_html
    from blocktool.render.html.tree import MOST_ROWS

    rows = max(MOST_ROWS // reports, _FEWEST)
    while True:
        text = to_html(page(rows))
        if rows == _FEWEST or len(text.encode(errors="replace")) < LARGEST:
            return text
        rows = max(rows // 2, _FEWEST)
