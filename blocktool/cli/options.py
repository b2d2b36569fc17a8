"""The options that commands share: their names, variables, help, and the checks of their values."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

import typer

from blocktool.cli.terminal import COLOR_CHOICES, ColorChoice
from blocktool.errors import UsageError

TextT = TypeVar("TextT", bound=str)

INPUTS = "Target and inputs"
SHOWN = "What is shown"
OUTPUT = "Output"


def option(
    *names: str,
    help: str,  # noqa: A002
    metavar: str | None = None,
    section: str | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """An option with its ``BLOCKTOOL_*`` variable; ``choices`` are for help and completion."""
    long = next(name for name in names if name.startswith("--"))
    return typer.Option(
        *names,
        help=help,
        metavar=metavar or ("|".join(choices) if choices else None),
        envvar="BLOCKTOOL_" + long.lstrip("-").replace("-", "_").upper(),
        show_envvar=False,
        show_default=False,
        rich_help_panel=section,
        autocompletion=(lambda incomplete: list(choices)) if choices else None,
    )


def _complete_target(incomplete: str) -> list[str]:
    """Blocks, configurations and Python files that begin like this."""
    from glob import escape, glob

    from blocktool.targets.catalog import CATALOG

    files = [path for end in ("yaml", "yml", "py") for path in glob(f"{escape(incomplete)}*.{end}")]
    folders = glob(f"{escape(incomplete)}*/")
    known = [*CATALOG, "timm:", "torchvision:"]
    return [*(name for name in known if name.startswith(incomplete)), *files, *folders]


Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        autocompletion=_complete_target,
        show_default=False,
        help="A block of the catalog, a YAML configuration, pkg.module:attr, path/to/file.py:attr, "
        "timm:NAME or torchvision:NAME.",
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE ...]",
        show_default=False,
        help="Constructor arguments, or dotted keys of a configuration; values as in YAML.",
    ),
]
Input = Annotated[
    list[str] | None,
    option(
        *("-i", "--input"),
        metavar="SHAPE",
        section=INPUTS,
        help="1x3x224x224, or name=2x77:int64 for keyword and dtype; repeat for several. "
        "Default: the target's own.",
    ),
]
Batch = Annotated[
    int | None,
    option("--batch", metavar="N", section=INPUTS, help="Batch size, in place of the inputs'."),
]
Dtype = Annotated[
    str | None,
    option("--dtype", metavar="DTYPE", section=INPUTS, help="Of parameters and inputs: bf16, ..."),
]
Select = Annotated[
    str | None,
    option(
        "--select",
        metavar="PATH",
        section=INPUTS,
        help="A submodule instead of the whole, with the input that it really receives.",
    ),
]
Device = Annotated[
    str | None,
    option("-d", "--device", metavar="DEVICE", section=INPUTS, help="meta (default), cpu, cuda."),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=OUTPUT,
        choices=("table", "json", "csv", "markdown", "html"),
        help="table, json, csv, markdown or html (a page with charts). Default: as the suffix of "
        "--output implies, else table.",
    ),
]
ListFormat = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=OUTPUT,
        choices=("table", "json", "html"),
        help="table, json or html. Default: as the suffix of --output implies, else table.",
    ),
]
Output = Annotated[
    str | None,
    option("-o", "--output", metavar="FILE", section=OUTPUT, help="Instead of stdout (-)."),
]
Force = Annotated[
    bool, option("--force", section=OUTPUT, help="Replace the output file if it exists.")
]
Quiet = Annotated[bool, option("-q", "--quiet", help="No warnings or notes on stderr.")]
Verbose = Annotated[bool, option("-v", "--verbose", help="Say how the work goes, on stderr.")]
Color = Annotated[str, option("--color", choices=COLOR_CHOICES, help="Default: auto.")]
Debug = Annotated[bool, option("--debug", help="Show the traceback of an error.")]


def chosen(name: str, value: str, choices: Sequence[TextT]) -> TextT:
    """``value`` as one of the choices of option ``name``; UsageError if it is none."""
    for choice in choices:
        if value == choice:
            return choice
    near = get_close_matches(value, choices, 1, cutoff=0.7)  # gpu is not cpu misspelt
    raise UsageError(
        f"{name}: no such choice: '{value}'",
        hint=f"did you mean {near[0]}?" if near else f"choose from {', '.join(choices)}",
    )


def at_least(name: str, value: int | None, least: int) -> int | None:
    """``value`` if it is not below ``least``; UsageError otherwise."""
    if value is not None and value < least:
        raise UsageError(f"{name}: {value} is too small", hint=f"the least is {least}")
    return value


def color_choice(value: str) -> ColorChoice:
    """The checked value of ``--color``."""
    return chosen("--color", value, COLOR_CHOICES)
