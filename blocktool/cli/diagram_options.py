"""The options of ``blocktool diagram`` that no other command has."""

from __future__ import annotations

from typing import Annotated

from blocktool.cli.options import OUTPUT, SHOWN, option
from blocktool.render.diagram_view import COST_KEYS, DIRECTIONS

Depth = Annotated[
    int | None,
    option(
        "--depth",
        metavar="N",
        section=SHOWN,
        help="Open modules less than N levels below the root; 0 draws one box. Default: as many "
        "as leave the picture readable.",
    ),
]
Expand = Annotated[bool, option("--expand", section=SHOWN, help="Draw repeated blocks one by one.")]
Cost = Annotated[
    str,
    option(
        "--cost",
        choices=COST_KEYS,
        section=SHOWN,
        help="What nodes tell and are shaded by: macs (default), params, activations, bytes "
        "(read and written), none.",
    ),
]
Direction = Annotated[
    str,
    option(
        "--direction",
        choices=DIRECTIONS,
        section=SHOWN,
        help="TD, downwards (default), or LR, to the right.",
    ),
]
Symbolic = Annotated[
    bool,
    option(
        "--symbolic",
        section=SHOWN,
        help="Shapes with symbols for the sizes of the inputs (-i Bx3xHxW).",
    ),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=OUTPUT,
        choices=("mermaid", "svg", "png", "markdown", "json"),
        help="mermaid, svg, png, markdown or json. Default: as the suffix of --output implies, "
        "else mermaid.",
    ),
]
