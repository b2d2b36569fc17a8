"""The options of ``blocktool profile``, and the reading of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from blocktool.cli.options import OUTPUT, SHOWN, option
from blocktool.errors import UsageError
from blocktool.render.view import TIME_KEYS

if TYPE_CHECKING:
    from blocktool.results.profile import RunMode

VARIED = "What is varied"
MEASURED = "How it is measured"

# As in results.profile, which takes longer to import than all other options together.
MODES: tuple[RunMode, ...] = ("inference", "forward", "training")

Batch = Annotated[
    list[str] | None,
    option("--batch", metavar="N,N", section=VARIED, help="Batch sizes: 1,8,32."),
]
Size = Annotated[
    list[str] | None,
    option(
        "--size",
        metavar="SIZES",
        section=VARIED,
        help="224,256x320: height x width of maps, or the number of tokens.",
    ),
]
Dtype = Annotated[
    list[str] | None,
    option(
        "--dtype", metavar="DTYPES", section=VARIED, help="float32,bfloat16: module and inputs."
    ),
]
Amp = Annotated[
    bool,
    option(
        "--amp",
        section=VARIED,
        help="Low dtypes by autocast, the module as it is. Default dtype then: bfloat16.",
    ),
]
Mode = Annotated[
    list[str] | None,
    option(
        "--mode",
        metavar="MODES",
        section=VARIED,
        choices=MODES,
        help="inference (default), forward (of training), training (forward, backward and "
        "optimizer step timed apart).",
    ),
]
Variant = Annotated[
    list[str] | None,
    option(
        "--variant",
        metavar="VARIANTS",
        section=VARIED,
        help="eager,channels-last,fused,compile,bf16,int8-dynamic,... side by side, joined with +: "
        "fused+channels-last; all for the usual ones. Each is compared with eager.",
    ),
]
Optimizer = Annotated[
    str, option("--optimizer", metavar="NAME", section=VARIED, help="Of training. Default: sgd.")
]
Device = Annotated[
    str,
    option(
        *("-d", "--device"),
        metavar="DEVICE",
        section=MEASURED,
        help="auto (default: the accelerator, else the CPU), cpu, cuda, cuda:1, mps, xpu.",
    ),
]
Threads = Annotated[
    int | None,
    option("--threads", metavar="N", section=MEASURED, help="Of torch on CPU. Default: its own."),
]
MinTime = Annotated[
    str,
    option("--min-time", metavar="SECONDS", section=MEASURED, help="Of each case. Default: 1."),
]
MaxTime = Annotated[
    str,
    option(
        "--max-time",
        metavar="SECONDS",
        section=MEASURED,
        help="How long to go on for the precision asked for. Default: 5.",
    ),
]
Precision = Annotated[
    str,
    option(
        "--precision",
        metavar="PERCENT",
        section=MEASURED,
        help="Stop when the median is known to so much (95% interval). Default: 2%.",
    ),
]
Processes = Annotated[
    int,
    option(
        "--processes",
        metavar="N",
        section=MEASURED,
        help="New processes among which a case's time is parted, so that its interval covers what "
        "differs between them. Default: 1.",
    ),
]
ColdCache = Annotated[
    bool,
    option("--cold-cache", section=MEASURED, help="Clear the last-level cache before each sample."),
]
Timeout = Annotated[
    str,
    option(
        "--timeout",
        metavar="SECONDS",
        section=MEASURED,
        help="A case that takes longer has failed. Default: 600; 0 for never.",
    ),
]
Ceilings = Annotated[
    bool,
    option(
        "--no-ceilings", section=MEASURED, help="Do not measure what this machine can do at most."
    ),
]
PerModule = Annotated[
    bool,
    option("--per-module", section=SHOWN, help="Time, MACs, bytes and efficiency of each module."),
]
TraceFile = Annotated[
    str | None,
    option(
        "--trace-file",
        metavar="FILE",
        section=SHOWN,
        help="Also write a trace of the first case for Perfetto or chrome://tracing "
        "(.json, .json.gz).",
    ),
]
Depth = Annotated[
    int | None, option("--depth", metavar="N", section=SHOWN, help="Levels of modules to show.")
]
Sort = Annotated[
    str | None,
    option(
        "--sort",
        choices=TIME_KEYS,
        section=SHOWN,
        help="Order of modules: time (own and below), own, ... Default: as registered.",
    ),
]
Expand = Annotated[
    bool, option("--expand", section=SHOWN, help="Show repeated modules one by one.")
]
Assume = Annotated[
    str | None,
    option(
        "--assume",
        metavar="DEVICE",
        section=MEASURED,
        help="Run nothing: predict the times for a100, h100, l4, ..., a description in a YAML "
        "file, or the machine of a saved profile.",
    ),
]
FindMaxBatch = Annotated[
    bool,
    option(
        "--find-max-batch",
        section=VARIED,
        help="Find the largest batch that fits into memory, and measure it.",
    ),
]
MemoryLimit = Annotated[
    str | None,
    option(
        "--memory-limit",
        metavar="SIZE",
        section=MEASURED,
        help="For --find-max-batch: 8GiB, in place of the memory that is free.",
    ),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=OUTPUT,
        choices=("table", "json", "csv", "markdown", "html", "speedscope"),
        help="table, json, csv, markdown, html (a page with charts) or speedscope (with "
        "--per-module). Default: as the suffix of --output implies, else table.",
    ),
]


def check_assumed(given: Mapping[str, object]) -> None:
    """UsageError for an option, by its name, that ``--assume`` cannot serve and that was given."""
    for name, value in given.items():
        if value:
            raise UsageError(
                f"--assume runs nothing, and {name} needs a run",
                hint=f"leave out {name} or --assume",
            )


def seconds(name: str, text: str) -> float:
    """``"2"``, ``"0.5s"``, ``"200ms"``, ``"2min"`` in seconds. UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|sec|m|min|)", text.strip().lower())
    if match is None:
        raise UsageError(f"{name}: '{text}' is no time", hint="for example 2, 0.5s or 200ms")
    value = float(match[1]) * {"ms": 1e-3, "m": 60.0, "min": 60.0}.get(match[2], 1.0)
    if not math.isfinite(value):
        raise UsageError(f"{name}: '{text}' is too long")
    return value


def share(name: str, text: str) -> float:
    """``"1%"`` or ``"0.01"`` as a share of one. UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if match is None or not 0 < value < 1:
        raise UsageError(f"{name}: '{text}' is no share", hint="for example 1% or 0.01")
    return value


def listed(values: Sequence[str] | None) -> tuple[str, ...]:
    """The parts of options with commas, each once."""
    parts = [part.strip() for text in values or () for part in text.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))
