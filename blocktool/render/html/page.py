"""From the pieces of a page to HTML: one file, no network, nothing that a text could break."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from blocktool.render.html.needs import plotly_script
from blocktool.render.html.pieces import Chart, Details, Page
from blocktool.render.styled import clean

_SCRIPTS = ("theme.js", "tables.js", "charts.js")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'; script-src"
)
"""No address may be fetched; of scripts only those of this page run, by their digests. plotly sets
styles as it draws."""

# As they may stand in a script: what would end it, open a comment in it, or break a line of it.
_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def to_html(page: Page) -> str:
    """The page as one self-contained document."""
    own = "\n".join(_asset(name) for name in _SCRIPTS)
    scripts = [_unclosed(plotly_script()), own]
    policy = f"{_POLICY} {' '.join(map(_digest, scripts))}"
    charts = [chart for section in page.sections for chart in _charts(section.blocks)]
    # Markup is what is ours or plotly's; whatever else stands in a page is escaped.
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            policy=policy,
            style=Markup(_asset("style.css")),
            dark=Markup(_asset("dark.css")),
            plotly=Markup(scripts[0]),
            script=Markup(own),
            figures=in_script({chart.id: _drawn(chart) for chart in charts}),
            has_charts=bool(charts),
        )
    )


def in_script(value: Any) -> Markup:
    """JSON that can stand in a ``<script>``, whatever texts are in it."""
    text = json.dumps(_rounded(value), separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_IN_SCRIPT))


def _rounded(value: Any) -> Any:
    """Floats to six digits, which is more than is seen: half of a page's figures would be tails.
    What is no number, as sums of absurd figures are, is not drawn."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _drawn(chart: Chart) -> dict[str, Any]:
    variants = [{"told": clean(each.told), "figure": each.figure} for each in chart.variants]
    return {"figure": chart.figure, "variants": variants, "height": chart.height}


def _charts(blocks: tuple[Any, ...]) -> list[Chart]:
    found: list[Chart] = []
    for block in blocks:
        if isinstance(block, Chart):
            found.append(block)
        elif isinstance(block, Details):
            found += _charts(block.blocks)
    return found


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("blocktool.render.html"),
        autoescape=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> str:
    return (files("blocktool.render.html") / "assets" / name).read_text(encoding="utf-8")


def _unclosed(script: str) -> str:
    """A script of others, in which nothing ends the element that it stands in."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
