"""From what was typed to a summary: resolve, trace, sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocktool.cli.options import chosen
from blocktool.cli.startup import imports_uncollected
from blocktool.cli.summary_options import ATTENTION

if TYPE_CHECKING:
    from blocktool.cli.summary_options import Mode
    from blocktool.results.specs import TensorSpec
    from blocktool.results.summary import Summary
    from blocktool.targets.target import Target


def summarize(
    name: str,
    arguments: list[str],
    shapes: list[str],
    *,
    batch: int | None,
    mode: Mode,
    device: str = "meta",
    dtype: str | None = None,
    attention: str = "cpu",
    optimizer: str | None = None,
    input_grad: bool = False,
    select: str | None = None,
    second_count: bool = False,
) -> Summary:
    """Resolve, trace, summarize."""
    target, inputs = resolved(name, arguments, shapes, batch)
    with imports_uncollected():
        from blocktool.analysis.summary import summarize_trace
        from blocktool.trace.target import trace_target

    trace = trace_target(
        target,
        inputs,
        mode=mode,
        device=device,
        dtype=dtype,
        attention=attention,
        optimizer=optimizer,
        input_grad=input_grad,
        select=select,
    )
    result = summarize_trace(trace)
    if not second_count:
        return result

    from dataclasses import replace

    from blocktool.analysis.cross_check import cross_check
    from blocktool.trace.second_opinion import second_opinion_of_target

    opinion = second_opinion_of_target(target, trace, inputs, dtype=dtype, select=select)
    return replace(result, cross_check=cross_check(trace, opinion))


def summarize_as(words: dict[str, Any]) -> Summary:
    """The same with its arguments in one, for workers."""
    return summarize(**words)


def resolved(
    name: str, arguments: list[str], shapes: list[str], batch: int | None
) -> tuple[Target, tuple[TensorSpec, ...] | None]:
    """The target and its inputs: those that were typed, else its own. They are read before torch
    is, so that a slip costs no second."""
    from blocktool.targets.inputs import parse_inputs, with_batch

    inputs = tuple(parse_inputs(shapes)) or None

    from blocktool.targets.resolve import resolve

    with imports_uncollected():
        target = resolve(name, arguments)
    inputs = inputs or target.inputs
    if inputs is not None and batch is not None:
        inputs = with_batch(inputs, batch)
    return target, inputs


def attention_of(asked: str | None, device: str | None) -> str:
    """Whose attention kernels: those asked for, else those of the device."""
    if asked is not None:
        return chosen("--attention", asked, ATTENTION)
    return "cuda" if (device or "").startswith("cuda") else "cpu"
