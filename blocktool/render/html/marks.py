"""Pieces of plotly's figures: texts, scales, axes, colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from blocktool.render.styled import clean

COLORS = tuple(f"var(--c{number})" for number in range(1, 8))
"""Of series, and of parts that are told apart; each goes with a sign of its own."""
PATTERNS = ("", "/", ".", "x", "\\", "-", "+")
"""Fillings that tell areas and bars apart without colour."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")

_BYTES = ((1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_SHORT = 40
_FEW = 8
_LEAST, _MOST = 1e-280, 1e280  # of a logarithmic axis, so that nothing on it is infinite


def label(text: str) -> str:
    """Text that plotly shows as it is: it reads some tags in its texts."""
    return escape(clean(text), quote=False)


def short(text: str, most: int = _SHORT) -> str:
    """Text that would be too long for an axis loses its middle."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def byte_scale(largest: float) -> tuple[int, str]:
    """The divisor and the unit in which bytes up to ``largest`` are drawn."""
    for scale, unit in _BYTES:
        if largest >= scale:
            return scale, unit
    return 1, "bytes"


def time_scale(largest_ms: float) -> tuple[float, str]:
    """The divisor and the unit in which times (ms) up to ``largest_ms`` are drawn."""
    if largest_ms >= 1e3:
        return 1e3, "s"
    if largest_ms >= 1:
        return 1.0, "ms"
    return 1e-3, "µs"


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title}, **more}


def counting_axis(title: str, last: int, **more: Any) -> dict[str, Any]:
    """An axis of whole numbers up to ``last``: between few of them plotly would mark halves."""
    whole = {"dtick": 1} if last <= _FEW else {}
    return axis(title, hoverformat=",d", tickformat=",d", **whole, **more)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows these values better."""
    return bool(values) and min(values) > 0 and max(values) >= 8 * min(values)


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis from ``low`` to ``high``, with figures at 1, 2 and 5, or where it spans
    many decades at powers of ten."""
    low, high = (min(max(end, _LEAST), _MOST) for end in (low, high))
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 4 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return axis(
        title,
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:,.10g}" for tick in ticks],
    )


def band(low: float, high: float, color: str, axis_name: str = "y") -> dict[str, Any]:
    """A stripe across the whole chart, between two values of one axis."""
    along = ("y", "x") if axis_name == "y" else ("x", "y")
    return {
        "type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": color, "opacity": 0.35,
        f"{along[0]}0": low, f"{along[0]}1": high,
        f"{along[1]}0": 0, f"{along[1]}1": 1, f"{along[1]}ref": "paper",
    }  # fmt: skip


def upright(x: float, color: str = "var(--muted)", dash: str = "dot") -> dict[str, Any]:
    """A vertical line across the whole chart."""
    line = {"color": color, "width": 1, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def level(y: float, color: str = "var(--muted)", dash: str = "dot") -> dict[str, Any]:
    """A horizontal line across the whole chart."""
    line = {"color": color, "width": 1.5, "dash": dash}
    return {"type": "line", "y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper", "line": line}


def bars_height(count: int, each: int = 28) -> int:
    """The height of a chart of horizontal bars, in pixels."""
    return 96 + each * max(count, 1)


def shares(parts: Sequence[tuple[str, float]], most: int = 3) -> list[tuple[str, float]]:
    """The largest parts and their shares of the sum."""
    whole = sum(value for _, value in parts)
    ordered = sorted(parts, key=lambda part: -part[1])[:most]
    return [(name, value / whole) for name, value in ordered if whole and value > 0]
