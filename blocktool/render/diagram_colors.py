"""The colours of a diagram's pictures, for light and for dark pages."""

from __future__ import annotations

from blocktool.render.svg_text import FONTS

FILLS = ("#f6f8fa", "#fdf0d5", "#fbd9a5", "#f6b26b", "#ea8a3c")
"""Of nodes by their share of the cost, from the least to the largest."""
_DARK_FILLS = ("#21262d", "#3d2f16", "#5c4215", "#82560f", "#a8660a")
INPUT, INPUT_LINE = "#dbeafe", "#3b82f6"
OPERATION, OPERATION_LINE = "#ede9fe", "#8b5cf6"
LINE, TEXT, SKIP = "#8b949e", "#111827", "#d97706"


def _rules(
    *,
    page: str,
    text: str,
    faint: str,
    line: str,
    edge: str,
    skip: str,
    ends: str,
    operations: str,
    fills: tuple[str, ...],
) -> str:
    return "".join(
        (
            f".page,.under{{fill:{page}}}",
            f".t,.h{{fill:{text}}}.d,.g,.k{{fill:{faint}}}",
            f".group{{fill:none;stroke:{line}}}",
            f".tip-line{{stroke:{edge}}}.tip{{fill:{edge}}}",
            f".skip-line{{stroke:{skip}}}.skip{{fill:{skip}}}",
            f".end{{fill:{ends};stroke:{INPUT_LINE}}}",
            f".op{{fill:{operations};stroke:{OPERATION_LINE}}}",
            *(f".s{n}{{fill:{fill};stroke:{line}}}" for n, fill in enumerate(fills)),
        )
    )


STYLE = "".join(
    (
        f"text{{font-family:{FONTS};text-anchor:middle}}",
        ".l{text-anchor:start}.h{font-size:14px;font-weight:bold}.t{font-size:13px;font-weight:bold}",
        ".d{font-size:11.5px}.g{font-size:12px}.k{font-size:11px}",
        ".e{fill:none;stroke-width:1.3px}.skip-line{stroke-width:2px}.group{stroke-dasharray:4 3}",
        _rules(
            page="#ffffff",
            text=TEXT,
            faint="#4b5563",
            line=LINE,
            edge="#57606a",
            skip=SKIP,
            ends=INPUT,
            operations=OPERATION,
            fills=FILLS,
        ),
        "@media screen and (prefers-color-scheme:dark){",
        _rules(
            page="#0d1117",
            text="#f0f6fc",
            faint="#c9d1d9",
            line="#6e7681",
            edge="#9ea7b3",
            skip="#f0a33c",
            ends="#15294b",
            operations="#2b2145",
            fills=_DARK_FILLS,
        ),
        "}",
    )
)
"""The style sheet of a picture."""
