"""Live bytes over a run, from the lives of its storages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from blocktool.analysis.thinning import thinned
from blocktool.results.summary import LiveBytes, PeakMemory
from blocktool.results.trace import OpRecord, OpTrace, StorageLife


def phase_of(op: OpRecord) -> str:
    """The phase that an operation counts in: recomputation is the backward's that caused it."""
    return "backward" if op.phase == "recompute" else op.phase


def live_bytes(trace: OpTrace) -> list[int]:
    """Bytes that are live while each operation runs: its inputs, outputs and workspace, and all
    that is kept.

    Optimizer state counts from the start, as it does from the second step on.
    """
    sizes = accumulate(_changes(trace.storages, len(trace.ops)))
    return [size + op.workspace_bytes for size, op in zip(sizes, trace.ops, strict=False)]


def _changes(storages: Iterable[StorageLife], count: int) -> list[int]:
    """By how many bytes the sum differs from one of ``count`` operations to the next."""
    change = [0] * (count + 1)
    for life in storages:
        start = 0 if life.category == "optimizer" else max(life.born, 0)
        if start >= count:
            continue
        change[start] += life.nbytes
        if life.died is not None:
            change[max(life.died, start, 0) + 1] -= life.nbytes
    return change


def forward_part(trace: OpTrace) -> OpTrace:
    """The same record up to the end of the forward: what only the backward would free, lives on."""
    count = sum(op.phase == "forward" for op in trace.ops)
    storages = tuple(
        replace(life, died=None) if life.died is not None and life.died >= count else life
        for life in trace.storages
        if life.born < count and life.category != "optimizer"
    )
    ops = tuple(op for op in trace.ops if op.phase == "forward")
    return replace(trace, ops=ops, storages=storages)


def _lives_at(life: StorageLife, moment: int) -> bool:
    if life.category == "optimizer":
        return life.died is None or moment <= life.died
    return life.born <= moment and (life.died is None or moment <= life.died)


def peak_memory(trace: OpTrace) -> PeakMemory:
    """The largest sum of live bytes, where it is reached, and what it consists of."""
    live = live_bytes(trace)
    if not live:
        held: Counter[str] = Counter()
        for life in trace.storages:
            held[life.category] += life.nbytes
        return _peak(sum(held.values()), "forward", "", "", held, 0)
    peak = max(live)
    moment = live.index(peak)
    held = Counter()
    for life in trace.storages:
        if _lives_at(life, moment):
            held[life.category] += life.nbytes
    op = trace.ops[moment]
    return _peak(peak, op.phase, op.op, trace.calls[op.call].path, held, op.workspace_bytes)


def timeline(trace: OpTrace) -> LiveBytes | None:
    """What lives at each operation, by category; None where nothing ran."""
    live = live_bytes(trace)
    if not live:
        return None
    starts: dict[str, int] = {}
    for i, op in enumerate(trace.ops):
        starts.setdefault(phase_of(op), i)
    points = thinned([(float(i), size) for i, size in enumerate(live)], starts.values())
    moments = [int(moment) for moment, _ in points]
    categories = {
        name: _sampled(
            [life for life in trace.storages if life.category == name], len(live), moments
        )
        for name in ("parameters", "buffers", "inputs", "activations", "gradients", "optimizer")
    }
    categories["workspace"] = tuple(trace.ops[moment].workspace_bytes for moment in moments)
    return LiveBytes(
        ops=tuple(moments),
        modules=tuple(trace.calls[trace.ops[moment].call].path for moment in moments),
        categories={name: sizes for name, sizes in categories.items() if any(sizes)},
        phases=starts,
    )


def _sampled(
    storages: Iterable[StorageLife], count: int, moments: Iterable[int]
) -> tuple[int, ...]:
    """Bytes of these storages that are live at the moments."""
    change = _changes(storages, count)
    running = list(accumulate(change))
    return tuple(running[moment] for moment in moments)


def _peak(
    total: int, phase: str, op: str, module: str, held: Counter[str], workspace: int
) -> PeakMemory:
    return PeakMemory(
        peak_live_bytes=total,
        phase=phase,
        op=op,
        module=module,
        parameters=held["parameters"],
        buffers=held["buffers"],
        inputs=held["inputs"],
        activations=held["activations"],
        gradients=held["gradients"],
        optimizer=held["optimizer"],
        workspace=workspace,
    )
