"""Walks a trace and notes who reads whose result.

A tensor is known by its storage, and its maker is whoever wrote to that storage last: views share
it, so they need no node, and what is changed in place is from then on the changer's result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from blocktool.analysis.flow_pieces import Piece, RawShape
from blocktool.analysis.flow_reads import read_by, unique, written_by
from blocktool.results.diagram import NodeKind
from blocktool.results.trace import ModuleCall, OpRecord, OpTrace, TensorRef

_SILENT = frozenset(
    "clone _to_copy contiguous lift_fresh alias _unsafe_view _reshape_alias _mkldnn_transpose "
    "detach view_copy permute_copy expand_copy alias_copy _lazy_clone".split()
)
"""Operations that give their input again, in another layout, dtype or place."""
_STATE = {"parameters": "parameter", "buffers": "buffer"}


@dataclass(frozen=True, slots=True)
class _Version:
    """Who made the present content of a storage; where a module gave its input back in another
    shape, the one before for who still reads it in the old shape."""

    makers: tuple[int, ...]
    by_shape: Mapping[RawShape, tuple[int, ...]] = field(default_factory=dict)

    def seen_as(self, shape: RawShape) -> tuple[int, ...]:
        return self.by_shape.get(shape, self.makers)


_NOBODY = _Version(())


class Calls:
    """The forward calls of a trace as a tree."""

    def __init__(self, trace: OpTrace) -> None:
        self.trace = trace
        self.below: dict[int, list[ModuleCall]] = {}
        self.own_ops: dict[int, list[OpRecord]] = {}
        self.level: dict[int, int] = {}
        for call in trace.calls:
            if call.phase == "forward":
                self.below.setdefault(call.parent, []).append(call)
                self.level[call.index] = self.level.get(call.parent, -1) + 1
        for op in trace.ops:
            if op.phase == "forward":
                self.own_ops.setdefault(op.call, []).append(op)

    @property
    def levels(self) -> int:
        """How many levels can be opened: the root is one."""
        return max(1, *self.level.values()) if self.level else 1

    def is_open(self, call: ModuleCall, depth: int) -> bool:
        """Whether the inside of a call is drawn; that of a leaf only where it is the root."""
        level = self.level[call.index]
        return level < depth and (level == 0 or bool(self.below.get(call.index)))

    def inside(self, call: ModuleCall) -> Iterator[ModuleCall | OpRecord]:
        """The calls and the operations that a call makes itself, in the order of the run."""
        children = iter(self.below.get(call.index, ()))
        child = next(children, None)
        for op in self.own_ops.get(call.index, ()):
            while child is not None and child.first_op <= op.index:
                yield child
                child = next(children, None)
            yield op
        while child is not None:
            yield child
            child = next(children, None)

    def all_ops(self, call: ModuleCall) -> Iterator[OpRecord]:
        """Every forward operation that ran in a call."""
        for op in self.trace.ops[call.first_op : call.last_op]:
            if op.phase == "forward":
                yield op


class Walker:
    """One walk through a trace in which calls less than ``depth`` levels below the root are opened:
    ``pieces`` are what is found."""

    def __init__(self, calls: Calls, depth: int, names: Sequence[str] = ()) -> None:
        self.pieces: list[Piece] = []
        self._names = names
        self._calls = calls
        self._depth = depth
        self._trace = calls.trace
        self._now: dict[int, _Version] = {}
        self._state = {
            life.index: _STATE[life.category]
            for life in self._trace.storages
            if life.category in _STATE and life.born < 0
        }
        if self._trace.calls:
            self._walk()

    def _walk(self) -> None:
        root = self._trace.calls[0]
        names = _input_names([spec.name for spec in root.inputs], self._names)
        for spec, storage, name in zip(root.inputs, root.input_storages, names, strict=True):
            piece = self._piece("input", -1, shapes=(spec.shape,), dtype=spec.dtype)
            piece.name = name
            self._now[storage] = _Version((piece.index,))
            self._state.pop(storage, None)
        self._call(root, -1)
        for spec, storage in zip(root.outputs, root.output_storages, strict=True):
            piece = self._piece("output", -1, shapes=(spec.shape,), dtype=spec.dtype)
            piece.name = spec.name or ""
            self._read(piece, storage, spec.shape)

    def _piece(self, kind: NodeKind, owner: int, **fields: object) -> Piece:
        piece = Piece(len(self.pieces), kind, owner, **fields)  # type: ignore[arg-type]
        self.pieces.append(piece)
        return piece

    def _read(self, piece: Piece, storage: int, shape: RawShape) -> None:
        for maker in self._now.get(storage, _NOBODY).seen_as(shape):
            if maker != piece.index:
                piece.reads.setdefault(maker, {})[shape] = None

    def _call(self, call: ModuleCall, owner: int) -> None:
        if not self._calls.is_open(call, self._depth):
            self._closed(call, owner)
            return
        for each in self._calls.inside(call):
            if isinstance(each, ModuleCall):
                self._call(each, call.index)
            else:
                self._operation(each, call.index)

    def _closed(self, call: ModuleCall, owner: int) -> None:
        piece = self._piece("module", owner, call=call.index)
        piece.shapes = tuple(spec.shape for spec in call.outputs)
        piece.dtype = call.outputs[0].dtype if call.outputs else ""
        given = dict(zip(call.input_storages, (spec.shape for spec in call.inputs), strict=True))
        for spec, storage in zip(call.inputs, call.input_storages, strict=True):
            self._read(piece, storage, spec.shape)
        mine = _Version((piece.index,))
        written: set[int] = set()
        for op in self._calls.all_ops(call):
            for ref in read_by(op, self._trace.storages):
                # Arguments are read as a whole; what else is read comes from attributes.
                if not any(ref.storage in known for known in (given, written, self._state)):
                    self._read(piece, ref.storage, ref.shape)
            for storage in written_by(op):
                written.add(storage)
                self._now[storage] = mine
        for spec, storage in zip(call.outputs, call.output_storages, strict=True):
            before = given.get(storage)
            if storage in written or before is None or before == spec.shape:
                self._now[storage] = mine
            else:  # a view: who reads the old shape reads from before
                old = self._now.get(storage, _NOBODY)
                shapes = {**old.by_shape, before: old.seen_as(before), spec.shape: mine.makers}
                self._now[storage] = _Version(mine.makers, shapes)

    def _operation(self, op: OpRecord, owner: int) -> None:
        inputs = read_by(op, self._trace.storages)
        seen = unique(m for ref in inputs for m in self._makers(ref))
        written = written_by(op)
        if not self._is_shown(op, inputs, seen):
            for storage in written:
                self._now[storage] = _Version(seen)
            return
        piece = self._piece("operation", owner, call=owner, ops=[op])
        piece.shapes = tuple(ref.shape for ref in (op.outputs or op.inputs)[:1])
        piece.dtype = next((ref.dtype for ref in op.outputs), "")
        piece.state = frozenset(
            self._state[ref.storage] for ref in inputs if ref.storage in self._state
        )
        for ref in inputs:
            self._read(piece, ref.storage, ref.shape)
        for storage in written:
            self._now[storage] = _Version((piece.index,))

    def _makers(self, ref: TensorRef) -> tuple[int, ...]:
        return self._now.get(ref.storage, _NOBODY).seen_as(ref.shape)

    def _is_shown(
        self, op: OpRecord, inputs: tuple[TensorRef, ...], makers: tuple[int, ...]
    ) -> bool:
        """Views and copies are not; nor what does not depend on any input (a mask, a table of
        positions), unless it is drawn at random."""
        stem = op.op.rpartition(".")[2]
        if not makers:
            return op.kind == "random" and not inputs
        if stem == "copy_":
            return len(makers) > 1
        return op.kind not in ("view", "bookkeeping", "creation") and stem not in _SILENT


def _input_names(given: Sequence[str | None], names: Sequence[str]) -> list[str]:
    """Of each input: its keyword, else the forward's word for it, else its number; "" of an only
    one, which needs no name."""
    if len(given) == 1:
        return [given[0] or ""]
    unnamed = sum(name is None for name in given)
    words = iter(names if len(names) == unnamed else ())
    return [
        name or next(words, "") or f"input {number}" for number, name in enumerate(given, start=1)
    ]
