"""What a page needs beside blocktool: the packages of its extra."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from blocktool.errors import UsageError

_EXTRA = "pip install 'blocktool[html]'"

# How the script's wrapper for other kinds of modules ends, and its own end.
_WRAPPED = re.compile(
    r"\A(/\*\*.*?\*/\n)?\(\n? ?function\(root, factory\).{0,300}?, \(\) => \{\n", re.DOTALL
)
_CLOSED = re.compile(r"return Plotly;\n\}\)\);\s*\Z")


def check_needs() -> None:
    """Raise UsageError where Jinja or plotly is not installed."""
    for name in ("jinja2", "plotly"):
        if find_spec(name) is None:
            raise UsageError(f"HTML needs {name}, which is not installed", hint=_EXTRA)


def plotly_script() -> str:
    """plotly's minified script, from its package, which is found but not imported, without the
    wrapper for other kinds of modules.

    Raises UsageError where the package has none.
    """
    spec = find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = Path(folder, "package_data", "plotly.min.js")
        if file.is_file():
            return unwrapped(file.read_text(encoding="utf-8"))
    raise UsageError("the installed plotly has no plotly.min.js", hint=_EXTRA)


def unwrapped(script: str) -> str:
    """plotly's script without the function around it, which makes a browser read all of it once
    more before it runs: without it a page is drawn a quarter sooner. The script as it is where it
    does not look as expected."""
    head, end = _WRAPPED.match(script), _CLOSED.search(script)
    if head is None or end is None:
        return script
    return f"{head[1] or ''}{script[head.end() : end.start()]}"
