"""Where a run lies below the limits of a device: by operation, by phase, by module.

An operation takes at least the time of its arithmetic at the rate of a large matrix product, and
at least the time of its reads and writes at the rate of a large copy, and it has to be started.
See :mod:`blocktool.results.roofline`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import get_args

from blocktool.analysis.summary import ancestors
from blocktool.results.roofline import Bound, Ceilings, Roofline
from blocktool.results.trace import OpRecord, OpTrace

VIEW_SHARE = 0.15
"""What a view or a note of autograd costs of the start of an operation: it computes nothing and,
on a GPU, starts no kernel. On a CPU 0.3 to 0.9 µs were measured, most of it Python's, where small
modules took 2.4 to 10 µs."""

OPTIMIZER = "(optimizer)"
"""Its name beside the paths of modules."""

_ALMOST_FREE = frozenset({"view", "bookkeeping"})
_INTEGERS = frozenset({"int8", "uint8", "qint8", "quint8"})
_FLOAT32 = frozenset({"float32", "tf32"})
_INSTEAD = {"float16": "bfloat16", "bfloat16": "float16"}


class _Times:
    """Sums over operations, in ms."""

    __slots__ = ("compute", "memory", "overhead", "predicted")

    def __init__(self) -> None:
        self.compute = self.memory = self.overhead = self.predicted = 0.0

    def add(self, other: _Times) -> None:
        """All that another sum has, too."""
        self.compute += other.compute
        self.memory += other.memory
        self.overhead += other.overhead
        self.predicted += other.predicted

    def roofline(self, measured_ms: float | None) -> Roofline:
        """The sums against a measured time."""
        attainable = max(self.compute, self.memory)
        times = (self.compute, self.memory, self.overhead)
        bounds: tuple[Bound, ...] = get_args(Bound)
        return Roofline(
            compute_ms=self.compute,
            memory_ms=self.memory,
            overhead_ms=self.overhead,
            attainable_ms=attainable,
            predicted_ms=self.predicted,
            attained=attainable / measured_ms if measured_ms else None,
            bound=bounds[times.index(max(times))],
        )


def roofline(
    ops: Iterable[OpRecord],
    ceilings: Ceilings,
    measured_ms: float | None,
    dtype: str = "float32",
) -> Roofline:
    """The operations of a run, or of one phase of it, against the ceilings.

    ``measured_ms`` is the time that they took together; ``attained`` is None without it. ``dtype``
    is the dtype of a contraction whose tensors do not say one.
    """
    total = _Times()
    for op in ops:
        total.add(_times(op, ceilings, dtype))
    return total.roofline(measured_ms)


def module_rooflines(
    trace: OpTrace,
    ceilings: Ceilings,
    measured_ms: Mapping[str, float],
    dtype: str = "float32",
) -> dict[str, Roofline]:
    """A roofline for each module that runs an operation, by path.

    A module has the operations of its own calls and of the modules below it, in a training step
    those of their backward, too; the root has all. ``measured_ms`` has the time of one run by path,
    with the children's, where it is known. The optimizer's operations stand under
    ``"(optimizer)"``.
    """
    by_call: dict[int, _Times] = {}
    stepping = _Times()
    for op in trace.ops:
        times = stepping if op.phase == "optimizer" else by_call.setdefault(op.call, _Times())
        times.add(_times(op, ceilings, dtype))
    by_path: dict[str, _Times] = {}
    for call, times in by_call.items():
        for path in ancestors(trace.calls[call].path):
            by_path.setdefault(path, _Times()).add(times)
    if any(op.phase == "optimizer" for op in trace.ops):
        by_path[OPTIMIZER] = stepping
        by_path.setdefault("", _Times()).add(stepping)
    return {path: times.roofline(measured_ms.get(path)) for path, times in by_path.items()}


def under_autocast(ceilings: Ceilings, dtype: str) -> Ceilings:
    """The limits under autocast to ``dtype``: float32 contractions run at its rate, which a trace
    does not show. Where neither it nor the other half precision has one, they stay as they are.
    """
    name = _known(dtype, ceilings) if ceilings.gflops else ""
    if name not in (dtype, _INSTEAD.get(dtype)):
        return ceilings
    rate = ceilings.gflops[name]
    return replace(ceilings, gflops={**ceilings.gflops, "float32": rate, "tf32": rate})


def ceiling_notes(
    ops: Iterable[OpRecord],
    ceilings: Ceilings,
    dtype: str = "float32",
    *,
    autocast: str | None = None,
) -> tuple[str, ...]:
    """What must be said of the limits: for which dtypes that of another one was taken.

    ``ceilings`` are those of the device, also where they are changed for ``autocast``.
    """
    wanted = {_key(op, ceilings, dtype) for op in ops if op.macs}
    if autocast is not None and wanted & _FLOAT32:
        wanted = wanted - _FLOAT32 | {autocast}
    missing = sorted(wanted - ceilings.gflops.keys())
    if missing and not ceilings.gflops:
        return (f"no limit of arithmetic is known for {ceilings.device}: none is applied",)
    return tuple(
        f"no limit of {name} arithmetic is known for {ceilings.device}: "
        f"that of {_known(name, ceilings)} is used"
        for name in missing
    )


def _times(op: OpRecord, ceilings: Ceilings, dtype: str) -> _Times:
    times = _Times()
    if op.macs and ceilings.gflops:
        rate = ceilings.gflops[_known(_key(op, ceilings, dtype), ceilings)]
        times.compute = op.flops / (rate * 1e6)
    times.memory = (op.read_bytes + op.written_bytes) / (ceilings.gbps * 1e6)
    share = VIEW_SHARE if op.kind in _ALMOST_FREE else 1.0
    times.overhead = share * ceilings.overhead_us / 1e3
    reached = ceilings.efficiency or {}
    times.predicted = max(
        times.compute / reached.get("compute", 1.0),
        times.memory / reached.get("memory", 1.0),
        times.overhead,
    )
    return times


def _key(op: OpRecord, ceilings: Ceilings, dtype: str) -> str:
    """The limit that an operation comes under: its dtype, or ``"tf32"``.

    torch lets cuDNN, and so convolutions and recurrent layers, use TF32 for float32 tensors unless
    told otherwise, but not matrix products.
    """
    found = _dtype(op) or dtype
    library = "conv" in op.op or "rnn" in op.op
    return "tf32" if found == "float32" and library and "tf32" in ceilings.gflops else found


def _dtype(op: OpRecord) -> str | None:
    """The dtype that an operation computes in: the first floating one that it reads, and else the
    first of a quantized tensor. None where there is neither."""
    tensors = (*op.inputs, *op.outputs)
    floating = (ref.dtype for ref in tensors if ref.dtype.startswith(("float", "bfloat")))
    quantized = ("int8" for ref in tensors if ref.dtype in _INTEGERS)
    return next(floating, None) or next(quantized, None)


def _known(dtype: str, ceilings: Ceilings) -> str:
    """The dtype whose limit serves for ``dtype``: itself, the other half precision, float32, or
    the slowest that there is."""
    for name in (dtype, _INSTEAD.get(dtype), "float32"):
        if name in ceilings.gflops:
            return name
    return min(ceilings.gflops, key=ceilings.gflops.__getitem__)
