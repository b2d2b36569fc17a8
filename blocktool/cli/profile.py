"""``blocktool profile``: how it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from blocktool.cli import options
from blocktool.cli import profile_options as own
from blocktool.cli.errors import FAILED, INTERRUPTED, note, say_error, warn
from blocktool.cli.options import at_least, chosen, color_choice
from blocktool.cli.profile_request import case_line, read_request
from blocktool.cli.progress import Bar
from blocktool.cli.signals import ends_interrupt
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import UsageError
from blocktool.render.view import TIME_KEYS, View

if TYPE_CHECKING:
    from blocktool.measure.request import CaseSpec, Request, Rule
    from blocktool.measure.workers import Progress
    from blocktool.render.formats import Renderer
    from blocktool.render.output import Destination
    from blocktool.results.profile import Profile


def profile(
    target: options.Target,
    arguments: options.Arguments = None,
    input: options.Input = None,  # noqa: A002
    select: options.Select = None,
    batch: own.Batch = None,
    size: own.Size = None,
    dtype: own.Dtype = None,
    amp: own.Amp = False,
    mode: own.Mode = None,
    optimizer: own.Optimizer = "sgd",
    variant: own.Variant = None,
    find_max_batch: own.FindMaxBatch = False,
    device: own.Device = "auto",
    assume: own.Assume = None,
    threads: own.Threads = None,
    min_time: own.MinTime = "1",
    max_time: own.MaxTime = "5",
    precision: own.Precision = "2%",
    processes: own.Processes = 1,
    cold_cache: own.ColdCache = False,
    timeout: own.Timeout = "600",
    memory_limit: own.MemoryLimit = None,
    no_ceilings: own.Ceilings = False,
    per_module: own.PerModule = False,
    trace_file: own.TraceFile = None,
    depth: own.Depth = None,
    sort: own.Sort = None,
    expand: own.Expand = False,
    format: own.Format = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Tell how a module runs: latency, throughput, memory, and how far from the machine's limits.

    Every case runs in a worker process; what goes wrong in one is its outcome. Exit code 1 if a
    case failed, 2 if none could be measured or predicted.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination

    kind = choose_format("profile", format, output)
    if assume is not None:
        own.check_assumed(
            {
                "--find-max-batch": find_max_batch,
                "--per-module": per_module,
                "--trace-file": trace_file,
                "the format speedscope": kind == "speedscope",
            }
        )
    place = destination(output, force=force)
    view = View(
        depth=at_least("--depth", depth, 0),
        sort_times=None if sort is None else chosen("--sort", sort, TIME_KEYS),
        expand=expand,
    )
    from blocktool.measure.server import start_server

    start_server()  # it imports torch while the rest is read here
    rule = _rule(min_time, max_time, precision, cold_cache, at_least("--processes", processes, 1))
    limit = own.seconds("--timeout", timeout)
    request = read_request(
        target,
        arguments or [],
        input or [],
        select=select,
        batch=batch,
        size=size,
        dtype=own.listed(dtype),
        amp=amp,
        modes=own.listed(mode) or ("inference",),
        optimizer=optimizer,
        variant=variant or [],
        device=device,
        assume=assume,
        threads=at_least("--threads", threads, 1),
        ceilings=not no_ceilings,
        per_module=per_module or kind == "speedscope",
        trace_file=_trace_file(trace_file, force=force),
        find_max_batch=find_max_batch,
        memory_limit=memory_limit,
    )
    shown = _Shown(place, renderer("profile", kind), fitted(view, to_file=place.path is not None))
    with ends_interrupt() as ended:
        report = _measured(
            request, rule, limit or None, shown, quiet=quiet, verbose=verbose or debug
        )
    shown.write(report)
    _conclude(report, place, shown=kind == "table" and place.path is None, quiet=quiet)
    if request.trace_file is not None and not quiet and os.path.exists(request.trace_file):
        note(f"wrote {request.trace_file}")
    code = INTERRUPTED if ended.number is None else 128 + ended.number
    _exit(report, code, told=kind == "table" and place.path is None)


@dataclass(frozen=True)
class _Shown:
    """Where the report goes, and in which form."""

    place: Destination
    render: Renderer
    view: View

    def write(self, report: Profile) -> None:
        self.place.write(self.render(report, self.view))

    def save(self, report: Profile) -> None:
        """What there is so far: a file is written anew after each case."""
        if self.place.path is not None and self.place.path.suffix:
            self.write(report)


def _measured(
    request: Request,
    rule: Rule,
    timeout: float | None,
    shown: _Shown,
    *,
    quiet: bool,
    verbose: bool,
) -> Profile:
    from blocktool.measure.runner import Listener, run

    bar = Bar("cases", hidden=quiet)

    def progress(done: int, total: int, spec: CaseSpec | None, said: Progress) -> None:
        bar.tell(case_line(done, total, spec, said))

    try:
        return run(
            request,
            rule,
            timeout=timeout,
            listener=Listener(progress, shown.save),
            verbose=verbose,
        )
    finally:
        bar.clear()


def _rule(
    min_time: str, max_time: str, precision: str, cold_cache: bool, processes: int | None
) -> Rule:
    from blocktool.measure.request import Rule

    least, most = own.seconds("--min-time", min_time), own.seconds("--max-time", max_time)
    if least <= 0:
        raise UsageError("--min-time must be more than 0", hint="for example 0.5")
    return Rule(
        least, max(least, most), own.share("--precision", precision), cold_cache, processes or 1
    )


def _trace_file(path: str | None, *, force: bool) -> str | None:
    from blocktool.render.output import destination

    if path is None:
        return None
    place = destination(path, force=force)
    if place.path is None or not path.endswith((".json", ".json.gz")):
        raise UsageError(
            f"--trace-file: '{path}' is not a name for it", hint="end it in .json or .json.gz"
        )
    return str(place.path)


def _conclude(report: Profile, place: Destination, *, shown: bool, quiet: bool) -> None:
    """What is said beside the report."""
    from blocktool.render.profile_words import conclusion, warning

    if quiet:
        return
    if not shown:
        for notice in report.warnings:
            warn(warning(notice, report.cases))
        note(conclusion(report))
    if place.path is not None:
        note(f"wrote {place.path}")


def _exit(report: Profile, interrupted: int, *, told: bool) -> None:
    """``told``: the failures stand on the screen already."""
    if report.interrupted:
        raise typer.Exit(interrupted)
    failed = [case for case in report.cases if case.outcome == "failed"]
    done = [case for case in report.cases if case.outcome == "passed" or case.kind == "predicted"]
    if not done and report.max_batch is None:
        first = failed[0] if failed else report.cases[0]
        what = "measured" if report.assumed is None else "predicted"
        said = () if told else first.details
        say_error(f"nothing could be {what}: {first.reason}", None, said)
        raise typer.Exit(FAILED)
    if failed or (report.max_batch is not None and not report.max_batch.batch):
        raise typer.Exit(1)
