"""The options of ``blocktool summary`` that no other command has."""

from __future__ import annotations

from typing import Annotated, Literal

from blocktool.cli import options
from blocktool.cli.options import SHOWN, option
from blocktool.render.view import SORT_KEYS

Mode = Literal["forward", "training"]
MODES: tuple[Mode, ...] = ("forward", "training")
ATTENTION = ("cpu", "cuda", "math")

ModeName = Annotated[
    str,
    option(
        "--mode",
        choices=MODES,
        section=options.INPUTS,
        help="forward (default), or a training step with its backward.",
    ),
]
Optimizer = Annotated[
    str | None,
    option(
        "--optimizer",
        metavar="NAME",
        section=options.INPUTS,
        help="Add the optimizer's step and state: sgd, adam, adamw, ... (training).",
    ),
]
Attention = Annotated[
    str | None,
    option(
        "--attention",
        choices=ATTENTION,
        section=options.INPUTS,
        help="Whose attention kernels to assume. Default: the device's.",
    ),
]
InputGrad = Annotated[
    bool,
    option(
        "--input-grad",
        section=options.INPUTS,
        help="The inputs need a gradient too (training).",
    ),
]
Depth = Annotated[
    int | None,
    option("--depth", metavar="N", section=SHOWN, help="Levels. Default: as fit a screen."),
]
Sort = Annotated[
    str | None,
    option(
        "--sort",
        metavar="KEY",
        choices=SORT_KEYS,
        section=SHOWN,
        help=f"Order siblings and --ops by {', '.join(SORT_KEYS)}.",
    ),
]
Expand = Annotated[bool, option("--expand", section=SHOWN, help="Show repeated blocks one by one.")]
Ops = Annotated[bool, option("--ops", section=SHOWN, help="Add the table of operations.")]
CrossCheck = Annotated[
    bool,
    option(
        "--cross-check",
        section=SHOWN,
        help="Count with fvcore too, on CPU, and explain every difference.",
    ),
]
Symbolic = Annotated[
    bool,
    option(
        "--symbolic",
        section=SHOWN,
        help="Formulas in the sizes, and in arguments given as capitals (groups=G). Formats: "
        "table, json, markdown, latex, python, html.",
    ),
]
Strict = Annotated[
    bool,
    option("--strict", section=SHOWN, help="Exit code 1 if an operation could not be counted."),
]
