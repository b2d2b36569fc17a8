"""Reads what ``blocktool profile`` was asked, without torch, so that a slip costs no second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from blocktool.cli import profile_options as own
from blocktool.cli.options import chosen
from blocktool.errors import UsageError

if TYPE_CHECKING:
    from blocktool.measure.request import CaseSpec, Request
    from blocktool.measure.workers import Progress


def read_request(
    target: str,
    arguments: list[str],
    shapes: list[str],
    *,
    select: str | None,
    batch: list[str] | None,
    size: list[str] | None = None,
    dtype: tuple[str, ...],
    amp: bool = False,
    modes: tuple[str, ...],
    optimizer: str = "sgd",
    variant: Sequence[str] = (),
    device: str,
    assume: str | None = None,
    threads: int | None,
    ceilings: bool = True,
    per_module: bool = False,
    trace_file: str | None = None,
    find_max_batch: bool = False,
    memory_limit: str | None = None,
) -> Request:
    """Everything that can be read without torch is read here, so that a slip costs no second."""
    from blocktool.check.sizes import parse_batches, parse_extents
    from blocktool.measure.memory_size import parse_memory
    from blocktool.measure.request import Request
    from blocktool.measure.variant_names import parse_variants
    from blocktool.targets.inputs import parse_dtype, parse_inputs

    if memory_limit is not None and not find_max_batch:
        raise UsageError("--memory-limit is for --find-max-batch", hint="add it, or leave both out")
    for name in dtype:
        parse_dtype(name)
    return Request(
        target=target,
        arguments=tuple(arguments),
        inputs=parse_inputs(shapes),
        select=select,
        device=device,
        batches=parse_batches(batch) if batch else (),
        sizes=parse_extents(size) if size else (),
        dtypes=dtype,
        amp=amp,
        modes=tuple(chosen("--mode", mode, own.MODES) for mode in modes),
        variants=parse_variants(variant),
        optimizer=optimizer,
        threads=threads,
        per_module=per_module,
        trace_file=trace_file,
        ceilings=ceilings and assume is None,
        assume=assume,
        find_max_batch=find_max_batch,
        memory_limit=None if memory_limit is None else parse_memory(memory_limit),
    )


def case_line(done: int, total: int, spec: CaseSpec | None, said: Progress) -> str:
    """``case 3 of 12: batch 8, bfloat16, fused: measuring, 41 samples, 12.3 ms``."""
    if spec is None:
        return said.doing or "starting"
    words = [f"batch {spec.batch}" if spec.batch is not None else "", spec.dtype, spec.mode]
    words.append(spec.variant if spec.variant != "eager" else "")
    line = f"case {done + 1} of {total}: {', '.join(word for word in words if word)}"
    if said.doing:
        line += f": {said.doing}"
    if said.samples:
        from statistics import median

        from blocktool.render.units import duration

        line += f", {len(said.samples)} samples, {duration(median(said.samples))}"
    return line
