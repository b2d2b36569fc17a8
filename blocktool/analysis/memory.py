"""Live bytes over a run, from the lives of its storages."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from blocktool.results.summary import PeakMemory
from blocktool.results.trace import OpTrace, StorageLife


def live_bytes(trace: OpTrace) -> list[int]:
    """Bytes that are live while each operation runs: its inputs, outputs and workspace, and all
    that is kept.

    Optimizer state counts from the start, as it does from the second step on.
    """
    count = len(trace.ops)
    change = [0] * (count + 1)
    for life in trace.storages:
        start = 0 if life.category == "optimizer" else max(life.born, 0)
        if start >= count:
            continue
        change[start] += life.nbytes
        if life.died is not None:
            change[max(life.died, start, 0) + 1] -= life.nbytes
    live: list[int] = []
    total = 0
    for difference, op in zip(change, trace.ops, strict=False):
        total += difference
        live.append(total + op.workspace_bytes)
    return live


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
