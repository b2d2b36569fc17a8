"""``blocktool summary``: what a module is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from blocktool.cli import options
from blocktool.cli import summary_options as own
from blocktool.cli.errors import note, warn
from blocktool.cli.options import at_least, chosen, color_choice
from blocktool.cli.streams import undisturbed
from blocktool.cli.summarizing import attention_of, summarize
from blocktool.cli.terminal import choose_color, fitted
from blocktool.render.view import SORT_KEYS, View

if TYPE_CHECKING:
    from blocktool.render.output import Destination
    from blocktool.results.summary import Summary


def summary(
    target: options.Target,
    arguments: options.Arguments = None,
    input: options.Input = None,  # noqa: A002
    batch: options.Batch = None,
    dtype: options.Dtype = None,
    select: options.Select = None,
    device: options.Device = None,
    mode: own.ModeName = "forward",
    optimizer: own.Optimizer = None,
    attention: own.Attention = None,
    input_grad: own.InputGrad = False,
    depth: own.Depth = None,
    sort: own.Sort = None,
    expand: own.Expand = False,
    ops: own.Ops = False,
    cross_check: own.CrossCheck = False,
    symbolic: own.Symbolic = False,
    strict: own.Strict = False,
    format: options.Format = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Tell what a module is: parameters, MACs, FLOPs, activations, bytes, peak memory.

    It is run once without data; no weight is loaded and no device is needed.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination

    view = View(
        depth=at_least("--depth", depth, 0),
        sort=None if sort is None else chosen("--sort", sort, SORT_KEYS),
        expand=expand,
        ops=ops,
    )
    if symbolic:
        from blocktool.cli.formulas import refuse_beside, write_formulas

        refuse_beside(
            cross_check=cross_check,
            ops=ops,
            sort=sort is not None,
            device=device not in (None, "meta"),
            optimizer=optimizer is not None,
            select=select is not None,
            attention=attention not in (None, "cpu"),
            input_grad=input_grad,
            strict=strict,
        )
        write_formulas(
            target,
            arguments or [],
            input or [],
            mode=chosen("--mode", mode, own.MODES),
            dtype=dtype,
            batch=at_least("--batch", batch, 1),
            view=view,
            format=format,
            output=output,
            force=force,
            quiet=quiet,
            verbose=verbose,
            tell=verbose or debug,
        )
        return
    kind = choose_format("summary", format, output)
    place = destination(output, force=force)
    started = time.perf_counter()
    with undisturbed(verbose or debug):
        result = summarize(
            target,
            arguments or [],
            input or [],
            batch=at_least("--batch", batch, 1),
            mode=chosen("--mode", mode, own.MODES),
            device=device or "meta",
            dtype=dtype,
            attention=attention_of(attention, device),
            optimizer=optimizer,
            input_grad=input_grad,
            select=select,
            second_count=cross_check,
        )
    if verbose:
        _tell(result, time.perf_counter() - started)
    place.write(renderer("summary", kind)(result, fitted(view, to_file=place.path is not None)))
    _conclude(result, place, shown=kind == "table" and place.path is None, quiet=quiet)
    if strict and result.uncovered_ops:
        raise typer.Exit(1)


def _tell(result: Summary, seconds: float) -> None:
    operations = sum(phase.ops for phase in result.phases)
    note(f"traced {operations} operations on {result.traced_on} in {seconds:.2f} s")


def _conclude(result: Summary, place: Destination, *, shown: bool, quiet: bool) -> None:
    """What must be said although the result does not say it to whoever is looking."""
    if quiet:
        return
    if not shown:
        from blocktool.render import summary_notes

        for line in summary_notes.warnings(result):
            warn(line)
        if result.cross_check is not None:
            from blocktool.render.summary_cross_check import verdict

            note(f"cross-check: {verdict(result.cross_check)}")
    if place.path is not None:
        note(f"wrote {place.path}")
