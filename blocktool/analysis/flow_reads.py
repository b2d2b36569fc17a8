"""Which tensors an operation takes notice of, and which it changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from blocktool.results.trace import OpRecord, StorageLife, TensorRef

_REPLACING = frozenset(
    "copy_ zero_ fill_ uniform_ normal_ random_ exponential_ geometric_ cauchy_ log_normal_ "
    "bernoulli_".split()
)
"""Operations that take no notice of what they write over."""


def read_by(op: OpRecord, storages: Sequence[StorageLife]) -> tuple[TensorRef, ...]:
    """The tensors whose content an operation takes notice of: not one that only lends its
    shape, nor one of which nothing is left."""
    inputs = op.inputs
    if _has_template(op):
        return inputs[1:]
    stem = op.op.rpartition(".")[2]
    if stem in _REPLACING and _overwrites(op, inputs[:1], storages):
        return inputs[1:]
    given = len(op.outputs)
    written = inputs[len(inputs) - given :]
    if (
        op.overload.endswith("out")
        and [ref.storage for ref in written] == [ref.storage for ref in op.outputs]
        and _overwrites(op, written, storages)
    ):
        return inputs[: len(inputs) - given]
    return inputs


def _overwrites(op: OpRecord, refs: Sequence[TensorRef], lives: Sequence[StorageLife]) -> bool:
    """Whether nothing is left of what the storages held that are written to."""
    storages = unique(ref.storage for ref in refs)
    held = sum(lives[storage].nbytes for storage in storages if storage >= 0)
    return bool(storages) and min(storages) >= 0 and op.written_bytes == held


def _has_template(op: OpRecord) -> bool:
    """Whether the first tensor lends its shape only: ``zeros_like(x)``, ``x.new_zeros(3)``."""
    stem = op.op.rpartition(".")[2]
    if op.kind == "random":
        return stem.endswith("_like")
    if op.kind != "creation" or stem.endswith("_"):
        return False
    return stem.endswith("_like") or stem.startswith(("new_", "_new_")) or stem in ("fill", "zero")


def written_by(op: OpRecord) -> tuple[int, ...]:
    """The storages that have another content after an operation than before."""
    taken = {ref.storage for ref in op.inputs}
    given = unique(ref.storage for ref in op.outputs)
    if op.kind in ("view", "bookkeeping"):
        return tuple(storage for storage in given if storage not in taken)
    in_place = op.op.endswith("_") or op.overload.endswith("out")
    if in_place and not given:
        return unique(ref.storage for ref in op.inputs)
    return given if in_place else tuple(s for s in given if s not in taken)


def unique(items: Iterable[int]) -> tuple[int, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(items))
