"""From the record of a run to what the module is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from blocktool.analysis.memory import peak_memory, phase_of, timeline
from blocktool.results.summary import (
    ModuleRow,
    OpRow,
    PhaseTotals,
    SharedTensor,
    Summary,
    Totals,
    UncoveredOp,
)
from blocktool.results.trace import ModuleCall, ModuleInfo, OpKind, OpRecord, OpTrace, StateTensor


def summarize_trace(trace: OpTrace) -> Summary:
    """The summary of one trace.

    ``activation_bytes`` are the bytes that the forward allocates for its results, whether or not
    they live on; MACs, FLOPs and bytes moved are those of all phases that were traced.
    """
    work = work_by_path(trace)
    rows = tuple(module_rows(trace, work))
    root = work.get("", Work())
    memory = peak_memory(trace)
    parameters = [tensor for tensor in trace.tensors if not tensor.buffer]
    moved = root.read_bytes + root.written_bytes
    totals = Totals(
        params=sum(tensor.numel for tensor in parameters),
        trainable_params=sum(tensor.numel for tensor in parameters if tensor.trainable),
        param_bytes=sum(tensor.nbytes for tensor in parameters),
        buffer_bytes=sum(tensor.nbytes for tensor in trace.tensors if tensor.buffer),
        macs=root.macs,
        flops=2 * root.macs,
        elementwise_flops=root.elementwise_flops,
        activation_bytes=root.activation_bytes,
        read_bytes=root.read_bytes,
        written_bytes=root.written_bytes,
        peak_live_bytes=memory.peak_live_bytes,
        arithmetic_intensity=(2 * root.macs + root.elementwise_flops) / moved if moved else 0.0,
    )
    return Summary(
        target=trace.target,
        root_type=trace.root_type,
        mode=trace.mode,
        traced_on=trace.traced_on,
        fallbacks=trace.fallbacks,
        attention=trace.attention,
        optimizer=trace.optimizer,
        environment=trace.environment,
        inputs=trace.inputs,
        outputs=trace.outputs,
        totals=totals,
        phases=phase_totals(trace.ops),
        memory=memory,
        modules=rows,
        ops=op_rows(trace.ops),
        uncovered_ops=uncovered_ops(trace),
        notes=trace.notes,
        shared=shared_tensors(trace),
        timeline=timeline(trace),
    )


class Work:
    """Running sums over operations."""

    __slots__ = (
        "activation_bytes",
        "calls",
        "elementwise_flops",
        "macs",
        "read_bytes",
        "written_bytes",
    )

    def __init__(self) -> None:
        self.calls = self.macs = self.elementwise_flops = 0
        self.read_bytes = self.written_bytes = self.activation_bytes = 0

    def add(self, op: OpRecord) -> None:
        """One operation more."""
        self.calls += 1
        self.macs += op.macs
        self.elementwise_flops += op.elementwise_flops
        self.read_bytes += op.read_bytes
        self.written_bytes += op.written_bytes
        if op.phase == "forward":
            self.activation_bytes += op.new_bytes

    def merge(self, other: Work) -> None:
        """All that another sum has, too."""
        self.calls += other.calls
        self.macs += other.macs
        self.elementwise_flops += other.elementwise_flops
        self.read_bytes += other.read_bytes
        self.written_bytes += other.written_bytes
        self.activation_bytes += other.activation_bytes


def ancestors(path: str) -> Iterator[str]:
    """``"a.b.c"`` -> ``"a.b.c"``, ``"a.b"``, ``"a"``, ``""``."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def work_by_path(trace: OpTrace) -> dict[str, Work]:
    """Work of each module with that of its descendants, by path."""
    own: dict[int, Work] = {}
    for op in trace.ops:
        work = own.get(op.call)
        if work is None:
            work = own[op.call] = Work()
        work.add(op)
    by_path: dict[str, Work] = {}
    for call, work in own.items():
        for path in ancestors(trace.calls[call].path):
            total = by_path.get(path)
            if total is None:
                total = by_path[path] = Work()
            total.merge(work)
    return by_path


def module_rows(trace: OpTrace, work: dict[str, Work]) -> Iterator[ModuleRow]:
    """A row for each module; ``work`` is that of :func:`work_by_path`."""
    first: dict[str, ModuleCall] = {}
    calls: Counter[str] = Counter()
    for call in trace.calls:
        if call.phase == "forward":
            calls[call.path] += 1
            first.setdefault(call.path, call)
    parameters = _parameters_by_path(trace.modules, trace.tensors)
    ran = own_operations(trace)
    nothing = Work()
    for module in trace.modules:
        path = module.path
        done = work.get(path, nothing)
        shown = first.get(path)
        tensors = [trace.tensors[index] for index in parameters[path]]
        yield ModuleRow(
            path=path,
            type=module.type,
            calls=calls[path],
            depth=sum(1 for above in list(ancestors(path))[1:] if calls[above]),
            input_shapes=tuple(spec.shape for spec in shown.inputs) if shown else (),
            output_shapes=tuple(spec.shape for spec in shown.outputs) if shown else (),
            params=sum(tensor.numel for tensor in tensors),
            trainable_params=sum(tensor.numel for tensor in tensors if tensor.trainable),
            param_bytes=sum(tensor.nbytes for tensor in tensors),
            macs=done.macs,
            flops=2 * done.macs,
            elementwise_flops=done.elementwise_flops,
            activation_bytes=done.activation_bytes,
            read_bytes=done.read_bytes,
            written_bytes=done.written_bytes,
            detail=module.detail,
            param_dtype=", ".join(
                dict.fromkeys(trace.tensors[index].dtype for index in module.parameters)
            ),
            own_ops=dict(ran.get(path, {})),
            attributes=module.attributes,
        )


def own_operations(trace: OpTrace) -> dict[str, Counter[str]]:
    """By path, how often a module runs which operation itself; without views and bookkeeping."""
    found: dict[str, Counter[str]] = {}
    for op in trace.ops:
        if op.kind not in ("view", "bookkeeping"):
            found.setdefault(trace.calls[op.call].path, Counter())[op.op] += 1
    return found


def _parameters_by_path(
    modules: Sequence[ModuleInfo], tensors: Sequence[StateTensor]
) -> dict[str, set[int]]:
    """The parameters in each module's subtree, each once."""
    found: dict[str, set[int]] = {module.path: set() for module in modules}
    for module in modules:
        if module.parameters:
            for path in ancestors(module.path):
                if path in found:
                    found[path].update(module.parameters)
    return found


def shared_tensors(trace: OpTrace) -> tuple[SharedTensor, ...]:
    """The parameters that more than one module holds, in the order of registration."""
    holders: dict[int, list[str]] = {}
    for module in trace.modules:
        for index in dict.fromkeys(module.parameters):
            holders.setdefault(index, []).append(module.path)
    return tuple(
        SharedTensor(trace.tensors[index].shape, trace.tensors[index].dtype, tuple(paths))
        for index, paths in holders.items()
        if len(paths) > 1
    )


def phase_totals(ops: Iterable[OpRecord]) -> tuple[PhaseTotals, ...]:
    """Work by phase, in order; recomputation belongs to the backward that caused it."""
    sums: dict[str, Work] = {}
    for op in ops:
        sums.setdefault(phase_of(op), Work()).add(op)
    return tuple(
        PhaseTotals(
            phase=phase,
            ops=work.calls,
            macs=work.macs,
            flops=2 * work.macs,
            elementwise_flops=work.elementwise_flops,
            read_bytes=work.read_bytes,
            written_bytes=work.written_bytes,
        )
        for phase, work in sums.items()
    )


def op_rows(ops: Iterable[OpRecord]) -> tuple[OpRow, ...]:
    """Work by operation, the dearest first."""
    sums: dict[str, Work] = {}
    kinds: dict[str, OpKind] = {}
    for op in ops:
        sums.setdefault(op.op, Work()).add(op)
        kinds.setdefault(op.op, op.kind)
    rows = [
        OpRow(
            op=name,
            kind=kinds[name],
            calls=work.calls,
            macs=work.macs,
            flops=2 * work.macs,
            elementwise_flops=work.elementwise_flops,
            activation_bytes=work.activation_bytes,
            read_bytes=work.read_bytes,
            written_bytes=work.written_bytes,
        )
        for name, work in sums.items()
    ]
    rows.sort(key=lambda row: (-row.macs, -row.elementwise_flops, -row.read_bytes, row.op))
    return tuple(rows)


def uncovered_ops(trace: OpTrace) -> tuple[UncoveredOp, ...]:
    """Operations whose cost is not known, by name and module."""
    counts = Counter(
        (op.op, trace.calls[op.call].path) for op in trace.ops if op.kind == "uncovered"
    )
    return tuple(
        UncoveredOp(op=op, calls=calls, module=path) for (op, path), calls in counts.items()
    )
