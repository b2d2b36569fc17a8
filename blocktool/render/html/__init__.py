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
    from collections.abc import Sequence

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


def render(result: Any, view: View) -> str:
    """The page of any kind of result.

    ``view.depth`` is how many levels of modules the charts show at first, ``view.expand`` draws
    repeated modules one by one.
    """
    from blocktool.render.html.page import to_html

    kind = import_module(f"blocktool.render.html.{_KINDS[type(result).__name__]}")
    return to_html(kind.page(result, view))


def render_together(results: Sequence[Any], names: Sequence[str], view: View) -> str:
    """One page of several reports, each under its name."""
    from blocktool.render.html.page import to_html
    from blocktool.render.html.together import joined

    pages = [
        import_module(f"blocktool.render.html.{_KINDS[type(each).__name__]}").page(each, view)
        for each in results
    ]
    return to_html(joined(pages, names))
