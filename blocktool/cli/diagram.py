"""``blocktool diagram``: the data flow of a module as a picture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from blocktool.cli import diagram_options as drawn
from blocktool.cli import options
from blocktool.cli import summary_options as own
from blocktool.cli.errors import note, warn
from blocktool.cli.options import at_least, chosen, color_choice
from blocktool.cli.startup import imports_uncollected
from blocktool.cli.streams import undisturbed
from blocktool.cli.summarizing import attention_of, resolved
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import OutputError, UsageError
from blocktool.render.diagram_view import COST_KEYS, DIRECTIONS, DiagramView

if TYPE_CHECKING:
    from blocktool.results.diagram import Diagram


def diagram(
    target: options.Target,
    arguments: options.Arguments = None,
    input: options.Input = None,  # noqa: A002
    batch: options.Batch = None,
    dtype: options.Dtype = None,
    select: options.Select = None,
    device: options.Device = None,
    mode: own.ModeName = "forward",
    attention: own.Attention = None,
    depth: drawn.Depth = None,
    expand: drawn.Expand = False,
    cost: drawn.Cost = "macs",
    direction: drawn.Direction = "TD",
    symbolic: drawn.Symbolic = False,
    format: drawn.Format = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """Draw the data flow of a module: which module reads whose result, with shapes and costs.

    It is run once without data; no weight is loaded and no device is needed. Mermaid is drawn by
    GitHub where it stands in Markdown.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination

    view = DiagramView(
        cost=chosen("--cost", cost, COST_KEYS),
        direction=chosen("--direction", direction, DIRECTIONS),
    )
    at_least("--depth", depth, 0)
    at_least("--batch", batch, 1)
    how = chosen("--mode", mode, own.MODES)
    kernels = attention_of(attention, device)
    kind = choose_format("diagram", format, output)
    place = destination(output, force=force)
    if kind == "png":
        _check_png(to_terminal=place.path is None)
    started = time.perf_counter()
    with undisturbed(verbose or debug):
        if symbolic:
            _refuse_beside(device=device not in (None, "meta"), select=select, attention=attention)
            result = _with_symbols(
                target, arguments or [], input or [], how, dtype, batch, depth, expand
            )
        else:
            result = _traced(
                target,
                arguments or [],
                input or [],
                batch=batch,
                mode=how,
                device=device or "meta",
                dtype=dtype,
                attention=kernels,
                select=select,
                depth=depth,
                expand=expand,
            )
    if verbose:
        seconds = time.perf_counter() - started
        note(f"traced on {result.traced_on}, {len(result.nodes)} nodes in {seconds:.2f} s")
    content = renderer("diagram", kind)(result, fitted(view, to_file=place.path is not None))
    place.write(content)
    if not quiet:
        _remark(result, kind, content)
        if place.path is not None:
            note(f"wrote {place.path}")


def _check_png(*, to_terminal: bool) -> None:
    import sys

    from blocktool.render.diagram_png import check_installed

    if to_terminal and sys.stdout.isatty():
        raise OutputError("a PNG image is no text for a terminal", hint="-o FILE.png")
    check_installed()


def _traced(
    name: str,
    arguments: list[str],
    shapes: list[str],
    *,
    batch: int | None,
    mode: Literal["forward", "training"],
    device: str,
    dtype: str | None,
    attention: str,
    select: str | None,
    depth: int | None,
    expand: bool,
) -> Diagram:
    """Resolve, trace, draw."""
    target, inputs = resolved(name, arguments, shapes, batch)
    with imports_uncollected():
        from blocktool.analysis.flow import flow
        from blocktool.trace.identities import told_apart
        from blocktool.trace.target import trace_target

    with told_apart(target) as (hooked, noted):
        trace = trace_target(
            hooked,
            inputs,
            mode=mode,
            device=device,
            dtype=dtype,
            attention=attention,
            select=select,
        )
    names, same = noted.input_names(select), noted.same_below(select)
    return flow(trace, depth, expand=expand, names=names, same=same)


def _with_symbols(
    name: str,
    arguments: list[str],
    shapes: list[str],
    mode: Literal["forward", "training"],
    dtype: str | None,
    batch: int | None,
    depth: int | None,
    expand: bool,
) -> Diagram:
    from blocktool.targets.symbolic_inputs import parse_symbolic_inputs

    parse_symbolic_inputs(shapes)  # before torch is imported, so that a slip costs no second
    with imports_uncollected():
        from blocktool.analysis.flow import flow
        from blocktool.targets.loading import user_code_running
        from blocktool.trace.derive import derive
        from blocktool.trace.derive_target import Request, other_conditions
        from blocktool.trace.identities import identities_told_apart

    request = Request(name, tuple(arguments), tuple(shapes), mode=mode, dtype=dtype, batch=batch)
    if request.free:
        raise UsageError(
            f"{next(iter(request.free))}: a diagram has no symbols for constructor arguments",
            hint="give them numbers; summary --symbolic takes symbols there as well",
        )
    with user_code_running():
        question = request.question({})
        with identities_told_apart(question.module) as noted:
            derived = derive(question, compare=0)
    return flow(
        derived.trace,
        depth,
        expand=expand,
        sizes=derived.question.hints,
        conditions=other_conditions(derived),
        names=noted.input_names(),
        same=noted.same,
    )


def _refuse_beside(*, device: bool, select: str | None, attention: str | None) -> None:
    from blocktool.cli.formulas import refuse_beside

    refuse_beside(
        device=device, select=select is not None, attention=attention not in (None, "cpu")
    )


def _remark(result: Diagram, kind: str, content: str | bytes) -> None:
    """What is not drawn, and whether GitHub would draw it."""
    from blocktool.render.diagram_mermaid import too_large

    is_chart = kind in ("mermaid", "markdown") and isinstance(content, str)
    if is_chart and (why := too_large(result, str(content))):
        warn(f"{why}; draw less with --depth {max(result.depth - 1, 0)} or --select PATH")
    if kind != "markdown":
        for line in result.notes:
            note(line)
        if result.conditions:
            note(f"for sizes with {' and '.join(result.conditions)}")
