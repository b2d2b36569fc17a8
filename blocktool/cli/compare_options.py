"""The options of ``blocktool compare`` that no other command has."""

from __future__ import annotations

from typing import Annotated

import typer

from blocktool.cli import options
from blocktool.cli.options import option
from blocktool.cli.profile_options import share

GATE = "The gate"
TARGETS = "With --targets"
MEASURED = "With --measure"

Operands = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[OLD] NEW",
        show_default=False,
        help="Saved reports of one kind (summary, profile, check-shapes), or with --targets what "
        "they would be of. One alone is held to its budgets.",
    ),
]
Targets = Annotated[
    bool,
    option(
        "--targets",
        section=TARGETS,
        help='OLD and NEW are targets, with arguments in quotes: "conv stride=1" "conv stride=2". '
        "A saved report may stand for one of them.",
    ),
]
FailOn = Annotated[
    list[str] | None,
    option(
        "--fail-on",
        metavar="RULE",
        section=GATE,
        help='Exit code 1 where it is broken: "macs:+1%", "params:0", "latency_ms.p50:+5%", '
        '"macs<=5G", of modules "layer1.*:macs:+1%". Repeat for several.',
    ),
]
Update = Annotated[
    bool,
    option("--update", section=GATE, help="Accept: write NEW over OLD, the baseline, or make it."),
]
Threshold = Annotated[
    str,
    option(
        "--threshold",
        metavar="SHARE",
        section=GATE,
        help="Smaller changes of measured figures do not count. Default: 5%.",
    ),
]
AnyEnvironment = Annotated[
    bool,
    option(
        "--any-environment",
        section=GATE,
        help="Compare although the device or torch's version is another; then changes are shown, "
        "and not gated.",
    ),
]
All = Annotated[bool, option("--all", section=options.SHOWN, help="Show every module.")]
Measure = Annotated[
    bool,
    option(
        "--measure",
        section=MEASURED,
        help="Measure both targets side by side, process by process in turn, instead of counting.",
    ),
]
Batch = Annotated[
    list[str] | None,
    option("--batch", metavar="N", section=TARGETS, help="Batch size; to measure, several: 1,8."),
]
Dtype = Annotated[
    str | None,
    option("--dtype", metavar="DTYPE", section=TARGETS, help="Of parameters and inputs: bf16, ..."),
]
Mode = Annotated[
    str | None,
    option(
        "--mode",
        metavar="MODE",
        section=TARGETS,
        help="forward (default) or training; with --measure inference (default), forward or "
        "training.",
    ),
]
Threads = Annotated[
    int | None,
    option(
        "--threads",
        metavar="N",
        section=MEASURED,
        help="Of torch on CPU. Default: one less than the cores, which is quieter.",
    ),
]
Processes = Annotated[
    int | None,
    option(
        "--processes",
        metavar="N",
        section=MEASURED,
        help="New processes for each side, in turn. Default: enough to find 10%.",
    ),
]
MinTime = Annotated[
    str | None,
    option(
        "--min-time",
        metavar="SECONDS",
        section=MEASURED,
        help="Of each case and side, over all processes.",
    ),
]
Device = Annotated[
    str,
    option(
        *("-d", "--device"),
        metavar="DEVICE",
        section=MEASURED,
        help="cpu, cuda, cuda:1. Default: cuda where there is one, else cpu.",
    ),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=options.OUTPUT,
        choices=("table", "json", "csv", "markdown", "html", "junit", "github"),
        help="table, json, csv, markdown, html, junit or github. Default: as the suffix of "
        "--output implies, else table.",
    ),
]


def threshold_of(text: str) -> float:
    """The share that ``--threshold`` gives. Raises UsageError."""
    return share("--threshold", text)
