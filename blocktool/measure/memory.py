"""The memory that one run needs: exact on a CPU, by the device's own counters elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from blocktool.analysis.thinning import Point, thinned
from blocktool.measure.allocator_events import Recording, recorded, running_sum
from blocktool.measure.devices import same_device
from blocktool.measure.step import Step
from blocktool.results.profile import MemoryUse


def memory_use(step: Step, held: Iterable[torch.Tensor], foreign: int = 0) -> MemoryUse | None:
    """What one run of ``step`` needs; it is run once, and not timed.

    ``held`` are the tensors that live all the while: parameters, buffers, inputs, optimizer state
    (so that a training step must have run before). On a CPU the peak is their bytes and the largest
    running sum of what the allocator gave to the run, to the byte. On other devices both are the
    device allocator's own counters, less ``foreign``, what they said before the module came; None
    where the device has no such counter. Raises what the step raises.
    """
    kept = held_bytes(held, step.device)
    if step.device.type == "cpu":
        return _of_events(recorded(step), kept)
    return _of_counters(step, foreign)


def held_bytes(tensors: Iterable[torch.Tensor], device: torch.device) -> int:
    """Bytes of the storages behind the tensors that are on ``device``, each storage once.

    Of a tensor that wraps others (int8 data and scales, say) those that it wraps count.
    """
    storages: dict[int, int] = {}
    for tensor in tensors:
        for plain in _plain(tensor):
            if same_device(plain.device, device):
                storage = plain.untyped_storage()
                storages[storage._cdata] = storage.nbytes()
    return sum(storages.values())


def _plain(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors with a storage that this one consists of."""
    wrapper: Any = tensor  # no type of torch's says of a tensor that it wraps others
    if is_traceable_wrapper_subclass(wrapper):
        names, _ = wrapper.__tensor_flatten__()
        for name in names:
            yield from _plain(getattr(wrapper, name))
    elif tensor.layout == torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout == torch.strided:
        yield tensor


def _of_events(recording: Recording, kept: int) -> MemoryUse:
    sums = [kept + live for live in running_sum(recording.changes)]
    return MemoryUse(
        peak_bytes=max(sums, default=kept),
        held_bytes=kept,
        reserved_bytes=None,
        source="allocator events",
        timeline=_timeline(recording, sums, kept),
    )


def _timeline(recording: Recording, sums: list[int], before: int) -> tuple[Point, ...]:
    """Points for the starts of the phases and for every change, thinned out."""
    starts = recording.starts
    zero = starts[0] if starts else 0
    points: list[tuple[int, int]] = []
    marks: list[int] = []
    live, rest = before, list(starts)
    for change, total in zip(recording.changes, sums, strict=True):
        while rest and rest[0] <= change.ns:
            marks.append(len(points))
            points.append((rest.pop(0), live))
        live = total
        points.append((change.ns, live))
    for start in rest:
        marks.append(len(points))
        points.append((start, live))
    in_ms = [(max(ns - zero, 0) / 1e6, live) for ns, live in points]
    return tuple(thinned(in_ms, marks))


def _of_counters(step: Step, foreign: int) -> MemoryUse | None:
    """By the counters of torch.accelerator, to which the allocators of CUDA, XPU and others report.

    The cache is emptied first: what earlier cases left in it would count as reserved.
    """
    device = step.device
    memory = torch.accelerator
    try:
        memory.synchronize(device)
        memory.empty_cache()
        memory.reset_peak_memory_stats(device)
    except (RuntimeError, NotImplementedError):
        return None
    held = memory.memory_allocated(device) - foreign
    recording = recorded(step)
    peak, reserved = memory.max_memory_allocated(device), memory.max_memory_reserved(device)
    totals = [change.total - foreign for change in recording.changes]
    return MemoryUse(
        peak_bytes=peak - foreign,
        held_bytes=held,
        reserved_bytes=reserved,
        source="device counters",
        timeline=_timeline(recording, totals, held) if totals else (),
    )


def allocated(device: torch.device) -> int:
    """Bytes that the device's allocator has given out; 0 on a CPU, whose does not count."""
    if device.type == "cpu":
        return 0
    try:
        return int(torch.accelerator.memory_allocated(device))
    except (RuntimeError, NotImplementedError):
        return 0
