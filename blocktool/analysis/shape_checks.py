"""What one run shows of a module: pure functions of its record.

Each check gives the first thing that does not hold, with the submodule at fault where the record
tells it. ``judge`` asks them in the order in which a person would want to know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from blocktool.analysis.contracts import Contract, mismatch
from blocktool.analysis.liveness import unused_ops
from blocktool.results.shapes import Failed
from blocktool.results.trace import OpRecord, OpTrace

_FLOATS = ("float", "bfloat")
_SILENT = ("view", "bookkeeping")


def judge(
    trace: OpTrace,
    *,
    contracts: Sequence[Contract] | None,
    bindings: Mapping[str, int],
    dtype: str,
    channels_last: bool,
    skip: Collection[str] = (),
) -> Failed | None:
    """What does not hold in this run, None where all does.

    ``contracts`` are what the outputs are to be at ``bindings``; ``dtype`` is that of parameters
    and inputs; ``channels_last`` tells that the maps came in that layout; ``skip`` names kinds
    that are not asked.
    """
    checks: tuple[tuple[str, Callable[[], Failed | None]], ...] = (
        ("shape", lambda: check_contract(trace, contracts, bindings)),
        ("shape", lambda: check_something_returned(trace)),
        ("dtype", lambda: check_dtype(trace, dtype)),
        ("inplace", lambda: check_inputs_kept(trace)),
        ("grad", lambda: check_gradients(trace)),
        ("layout", lambda: check_layout(trace) if channels_last else None),
    )
    for kind, check in checks:
        if kind not in skip and (failed := check()):
            return failed
    return None


def check_contract(
    trace: OpTrace, contracts: Sequence[Contract] | None, bindings: Mapping[str, int]
) -> Failed | None:
    """The outputs against their contracts."""
    if not contracts:
        return None
    wrong = mismatch(contracts, trace.outputs, bindings)
    if wrong is None:
        return None
    return Failed("shape", wrong.message, wrong.expected, wrong.actual)


def check_something_returned(trace: OpTrace) -> Failed | None:
    """There is a tensor in what forward gives."""
    if trace.outputs:
        return None
    hint = "is a return missing?"
    return Failed("shape", "forward returns no tensor", "a tensor", "none", hint=hint)


def check_dtype(trace: OpTrace, dtype: str) -> Failed | None:
    """Floating outputs have the dtype of parameters and inputs, and no product mixes dtypes."""
    for op in trace.ops:
        if op.kind == "contraction" and op.phase == "forward" and (mixed := _mixed(op)):
            return Failed(
                "dtype",
                f"{op.op} is given {' and '.join(mixed)}, which a device refuses",
                dtype,
                ", ".join(mixed),
                _path(trace, op),
                "make tensors in forward with x.new_zeros(...) or dtype=x.dtype",
            )
    for spec in trace.outputs:
        if spec.dtype.startswith(_FLOATS) and spec.dtype != dtype:
            return Failed(
                "dtype",
                f"{dtype} in, {spec.dtype} out" + (f" ('{spec.name}')" if spec.name else ""),
                dtype,
                spec.dtype,
                _where_lost(trace, dtype, spec.dtype),
                "a float32 constant, buffer or cast in forward? use x.dtype, x.new_tensor(...)",
            )
    return None


def _mixed(op: OpRecord) -> list[str]:
    """The floating dtypes of a product's first two operands, where they differ."""
    floats = [ref.dtype for ref in op.inputs[:2] if ref.dtype.startswith(_FLOATS)]
    return sorted(set(floats)) if len(set(floats)) > 1 else []


def _where_lost(trace: OpTrace, kept: str, lost: str) -> str | None:
    """The innermost module that is given one dtype and returns the other."""
    for call in sorted(trace.calls, key=lambda call: (call.last_op, -call.index)):
        given = {spec.dtype for spec in call.inputs if spec.dtype.startswith(_FLOATS)}
        if given == {kept} and any(spec.dtype == lost for spec in call.outputs):
            return call.path
    return None


def check_inputs_kept(trace: OpTrace) -> Failed | None:
    """No operation writes into the caller's tensors."""
    if not trace.calls:
        return None
    given = set(trace.calls[0].input_storages) - {-1}
    for op in trace.ops:
        writes = op.op.endswith("_") and not op.op.endswith("__") and op.kind not in _SILENT
        if op.phase == "forward" and writes and op.inputs and op.inputs[0].storage in given:
            return Failed(
                "inplace",
                f"the input is changed in place by {op.op}",
                "an input that is left as it was",
                f"{op.op} writes into it",
                _path(trace, op),
                "the caller's tensor is damaged: not inplace=True, or x.clone() first",
            )
    return None


def check_gradients(trace: OpTrace) -> Failed | None:
    """In training mode a gradient reaches every trainable parameter, and the inputs."""
    if trace.mode != "training":
        return None
    trainable = [tensor for tensor in trace.tensors if tensor.trainable]
    missing = [tensor.path for tensor in trainable if not tensor.gradient]
    floating = any(spec.dtype.startswith(_FLOATS) for spec in trace.outputs)
    if not any(op.phase == "backward" for op in trace.ops):
        if not missing or not floating:
            return None
        return Failed(
            "grad",
            "the output depends on no parameter: it is detached from the graph",
            "an output that requires a gradient",
            "none does",
            hint="detach(), .data, no_grad() or a round trip through numbers in forward?",
        )
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        are = "parameters get" if len(missing) > 1 else "a parameter gets"
        return Failed(
            "grad",
            f"{are} no gradient: {shown}",
            f"{len(trainable)} gradients",
            f"{len(trainable) - len(missing)}",
            missing[0].rpartition(".")[0] or None,
            "is it unused in forward, or behind detach() or no_grad()?",
        )
    if trace.input_gradients and not any(trace.input_gradients):
        return Failed(
            "grad",
            "no gradient reaches the input: what stands before it would not learn",
            "a gradient of the input",
            "none",
            hint="detach(), .data or no_grad() at the start of forward?",
        )
    return None


def check_layout(trace: OpTrace) -> Failed | None:
    """A channels-last map in gives channels-last maps out."""
    maps = [spec.shape for spec in trace.inputs if len(spec.shape) == 4]
    if any(shape[1] == 1 or shape[2] * shape[3] == 1 for shape in maps):
        return None  # such a map lies in both layouts at once
    for spec, layout in zip(trace.outputs, trace.output_layouts, strict=True):
        if len(spec.shape) == 4 and layout == "contiguous" and min(spec.shape[1:]) > 1:
            return Failed(
                "layout",
                "channels-last in, contiguous out",
                "channels-last",
                layout,
                None,
                "a view, reshape or contiguous() of the map? the next convolution must convert",
            )
    return None


def random_in_eval(trace: OpTrace) -> tuple[OpRecord, str] | None:
    """The first operation of a forward in eval mode that draws random numbers which matter, and
    the path of the module that ran it."""
    if trace.mode == "training":
        return None
    unused = unused_ops(trace)
    for op in trace.ops:
        draws = op.kind == "random" or "dropout" in op.op or "rrelu" in op.op
        if draws and op.index not in unused:
            return op, trace.calls[op.call].path
    return None


def _path(trace: OpTrace, op: OpRecord) -> str:
    return trace.calls[op.call].path if op.call < len(trace.calls) else ""
