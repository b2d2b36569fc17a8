"""``blocktool check-shapes``: does it hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blocktool.cli import options
from blocktool.cli.errors import INTERRUPTED, note
from blocktool.cli.options import at_least, chosen, color_choice, option
from blocktool.cli.progress import Bar
from blocktool.cli.startup import imports_uncollected
from blocktool.cli.step_summary import add_to_step_summary
from blocktool.cli.streams import undisturbed
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import UsageError
from blocktool.render.view import View

if TYPE_CHECKING:
    from blocktool.check.group import Group
    from blocktool.results.shapes import ShapeReport

SWEEP = "What is tried"
HELD = "What must hold"
_ARGUMENT = re.compile(r"[A-Za-z_][\w.-]*=")
_FORMATS = ("contiguous", "channels-last")

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET ...] [KEY=VALUE ...]",
        show_default=False,
        help="Blocks, configurations (globs too), import paths, models of a zoo; without any, the "
        "whole catalog. KEY=1,2 tries several values of an argument.",
    ),
]
Batch = Annotated[
    list[str] | None,
    option("--batch", metavar="N,N", section=SWEEP, help="Batch sizes. Default: 1, and 2 or 3."),
]
Size = Annotated[
    list[str] | None,
    option(
        "--size",
        metavar="SIZES",
        section=SWEEP,
        help="32,33,64x48: square maps, height x width; numbers of tokens. Default: tiny, even, "
        "odd, prime, not square, and the target's own.",
    ),
]
Dtype = Annotated[
    list[str] | None,
    option("--dtype", metavar="DTYPES", section=SWEEP, help="Default: float32,bfloat16."),
]
Mode = Annotated[
    list[str] | None,
    option("--mode", metavar="eval,train", section=SWEEP, help="train runs the backward too."),
]
MemoryFormat = Annotated[
    str | None,
    option(
        "--memory-format",
        choices=_FORMATS,
        section=SWEEP,
        help="Of maps. Default: contiguous, and channels-last at one size.",
    ),
]
AsGiven = Annotated[
    bool, option("--as-given", section=SWEEP, help="The inputs as they are, no other size.")
]
Expect = Annotated[
    list[str] | None,
    option(
        "--expect",
        metavar="SHAPE",
        section=HELD,
        help='"B, 2*C, ceil(H/2), W//2", for outputs by name "p3: B,256,H/8,W/8"; repeat or part '
        "with ;. Default: a block's own contract, else the relation that the sweep finds.",
    ),
]
Where = Annotated[
    str | None,
    option(
        "--where",
        metavar="CONDITION",
        section=HELD,
        help='Only sizes for which it is meant: "H % 32 == 0 and W % 32 == 0".',
    ),
]
Skip = Annotated[
    list[str] | None,
    option(
        "--skip",
        metavar="KINDS",
        section=HELD,
        help="Checks to leave out: shape, dtype, layout, grad, repeat, batch, inplace.",
    ),
]
Prove = Annotated[
    bool,
    option(
        "--prove",
        section=HELD,
        help="Also prove, with symbols for batch and sizes, where it runs and what comes out.",
    ),
]
FailFast = Annotated[bool, option("--fail-fast", section=SWEEP, help="Stop at the first failure.")]
Jobs = Annotated[
    int | None,
    option("-j", "--jobs", metavar="N", section=SWEEP, help="Processes. Default: as it pays."),
]
Device = Annotated[
    str | None,
    option(
        *("-d", "--device"),
        metavar="DEVICE",
        section=SWEEP,
        help="cpu or cuda runs every case on real data, meta none. Default: every case without "
        "data, one small run of each module with it.",
    ),
]
Format = Annotated[
    str | None,
    option(
        *("-f", "--format"),
        metavar="FORMAT",
        section=options.OUTPUT,
        choices=("table", "json", "csv", "markdown", "junit", "github", "html"),
        help="table, json, csv, markdown, junit, github or html (a page with charts). Default: as "
        "the suffix of --output implies, else table.",
    ),
]


def check_shapes(
    ctx: typer.Context,
    words: Words = None,
    input: options.Input = None,  # noqa: A002
    select: options.Select = None,
    batch: Batch = None,
    size: Size = None,
    dtype: Dtype = None,
    mode: Mode = None,
    memory_format: MemoryFormat = None,
    as_given: AsGiven = False,
    device: Device = None,
    jobs: Jobs = None,
    fail_fast: FailFast = False,
    expect: Expect = None,
    where: Where = None,
    skip: Skip = None,
    prove: Prove = False,
    format: Format = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Tell whether modules hold: at which sizes, dtypes and modes they break, and why.

    Every case runs without data; a module runs once more on a little real data, to see whether it
    repeats itself and keeps the items of a batch apart. Exit code 1 if something does not hold.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination

    kind = choose_format("check-shapes", format, output)
    place = destination(output, force=force)
    targets, arguments = _parted(words or [])
    layout = None if memory_format is None else chosen("--memory-format", memory_format, _FORMATS)

    from blocktool.check.gather import gather, swept_arguments
    from blocktool.cli.settings import sweeps
    from blocktool.targets.sweep_words import SweepWords

    said = SweepWords(
        batch=_texts(ctx, "batch", batch),
        size=_texts(ctx, "size", size),
        dtype=_texts(ctx, "dtype", dtype),
        mode=_texts(ctx, "mode", mode),
        expect=_texts(ctx, "expect", expect),
        where=where,
        skip=_texts(ctx, "skip", skip),
        input=tuple(input or ()),
        arguments=swept_arguments(arguments),
    )
    groups = gather(
        targets,
        said,
        declared=sweeps(Path.cwd()),
        select=select,
        as_given=as_given,
        channels_last=None if layout is None else layout == "channels-last",
    )
    bar = Bar("cases", hidden=quiet or verbose)
    interrupted = False
    with undisturbed(verbose or debug):
        try:
            report = _checked(
                groups,
                device=device,
                jobs=at_least("--jobs", jobs, 1),
                fail_fast=fail_fast,
                prove=prove,
                bar=bar,
            )
        except KeyboardInterrupt as stop:
            if not stop.args:
                raise
            report, interrupted = stop.args[0], True
        finally:
            bar.clear()
    view = fitted(View(), to_file=place.path is not None)
    place.write(renderer("check-shapes", kind)(report, view))
    add_to_step_summary("check-shapes", report)
    _conclude(report, place.path, shown=kind == "table" and place.path is None, quiet=quiet)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not report.holds:
        raise typer.Exit(1)


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Targets and KEY=VALUE arguments."""
    arguments = [word for word in words if _ARGUMENT.match(word)]
    targets = [word for word in words if not _ARGUMENT.match(word)]
    if arguments and not targets:
        raise UsageError(
            f"'{arguments[0]}' is an argument of no target",
            hint="name the target first: blocktool check-shapes conv stride=1,2",
        )
    return targets, arguments


def _texts(ctx: typer.Context, name: str, values: Sequence[str] | None) -> tuple[str, ...]:
    """The texts of an option that may be repeated. A variable holds one text; the parser takes it
    apart at the spaces."""
    source = ctx.get_parameter_source(name)
    if values and source is not None and source.name == "ENVIRONMENT":
        return (" ".join(values),)
    return tuple(values or ())


def _checked(
    groups: Sequence[Group],
    *,
    device: str | None,
    jobs: int | None,
    fail_fast: bool,
    prove: bool,
    bar: Bar,
) -> ShapeReport:
    with imports_uncollected():
        from blocktool.check.sweep import Settings, run_sweeps
    from blocktool.targets.loading import user_code_running

    with user_code_running():
        settings = Settings(device, jobs, fail_fast, prove)
        return run_sweeps(groups, settings, bar.show, bar.tell)


def _conclude(report: ShapeReport, path: object, *, shown: bool, quiet: bool) -> None:
    if quiet:
        return
    if not shown:
        from blocktool.render.shapes_words import totals_line

        note(totals_line(report))
    if path is not None:
        note(f"wrote {path}")
