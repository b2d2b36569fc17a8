"""A diagram as a PNG image: its SVG, drawn by resvg (``pip install "blocktool[diagram]"``)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from blocktool.errors import OutputError
from blocktool.render.diagram_svg import svg
from blocktool.render.diagram_view import diagram_view
from blocktool.render.view import View
from blocktool.results.diagram import Diagram

SCALE = 2
"""Pixels of the image to one of the SVG."""
_MOST = 32_000
"""Pixels on a side: programs refuse larger images."""


def render(diagram: Diagram, view: View) -> bytes:
    """The image, at twice the size of the SVG where that can be, on white.

    Raises OutputError where resvg is not installed, or no font is.
    """
    return png(svg(diagram, diagram_view(view)))


def png(picture: str) -> bytes:
    """An SVG picture of ours as an image; errors as in ``render``."""
    resvg = _resvg()
    settings: dict[str, Any] = {"background": "#ffffff", "sans_serif_family": "DejaVu Sans"}
    if not _has_font(resvg, settings):
        raise OutputError(
            "no font is installed, so that the image would be without text",
            hint="install one (Debian: fonts-dejavu-core), or write an SVG: -f svg",
        )
    sides = [
        float(picture.split(f' {side}="', 1)[1].split('"', 1)[0]) for side in ("width", "height")
    ]
    zoom = min(SCALE, _MOST / max(sides))
    return bytes(resvg.svg_to_bytes(svg_string=picture, zoom=zoom, **settings))


def check_installed() -> None:
    """Raise OutputError unless images can be made; before the work that fills them."""
    _resvg()


def _resvg() -> ModuleType:
    try:
        import resvg_py
    except ImportError:
        raise OutputError(
            "PNG images need resvg-py, which is not installed",
            hint='pip install "blocktool[diagram]", or write an SVG: -f svg',
        ) from None
    return resvg_py


def _has_font(resvg: ModuleType, settings: dict[str, Any]) -> bool:
    """Whether a letter leaves a trace."""
    blank = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">{}</svg>'
    letter = '<text x="2" y="14" font-family="sans-serif" font-size="14">M</text>'
    images = [
        resvg.svg_to_bytes(svg_string=blank.format(text), **settings) for text in (letter, "")
    ]
    return bool(images[0] != images[1])
