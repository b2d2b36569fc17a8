"""Which operations of a forward lead to its output."""

from __future__ import annotations

from blocktool.results.trace import OpTrace


def unused_ops(trace: OpTrace) -> frozenset[int]:
    """Indices of forward operations whose results reach no output of the root module.

    Told by storages: an operation counts as used when any storage that it wrote is read later by
    a used operation, or is an output's. Views share a storage with their base, so that what is
    called unused here is unused indeed.
    """
    wanted = set(trace.calls[0].output_storages) if trace.calls else set()
    unused: set[int] = set()
    for op in reversed(trace.ops):
        if op.phase != "forward":
            continue
        if any(ref.storage in wanted for ref in op.outputs):
            wanted.update(ref.storage for ref in op.inputs)
        else:
            unused.add(op.index)
    return frozenset(unused)
