"""A record with symbols for sizes, made one of counts that need torch no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sympy
import torch

from blocktool.analysis.count_reading import Reader
from blocktool.analysis.growth import Growth
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpRecord, OpTrace, TensorRef
from blocktool.trace.symbolic_text import Writer


def counted(trace: OpTrace, names: Mapping[sympy.Symbol, str], least: Mapping[str, int]) -> OpTrace:
    """The same record, with a :class:`~blocktool.analysis.counts.Count` wherever a size or a
    figure depends on a symbol. ``least`` are the least sizes of the symbols.

    Raises Unexpressed where the language of sizes lacks what torch computed with.
    """
    count = _Counter(names, least).count

    def spec(each: TensorSpec) -> TensorSpec:
        return TensorSpec(_all(count, each.shape), each.dtype, each.name)

    def specs(many: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(map(spec, many))

    return replace(
        trace,
        inputs=specs(trace.inputs),
        outputs=specs(trace.outputs),
        calls=tuple(
            replace(call, inputs=specs(call.inputs), outputs=specs(call.outputs))
            for call in trace.calls
        ),
        ops=tuple(_operation(op, count) for op in trace.ops),
        storages=tuple(replace(life, nbytes=count(life.nbytes)) for life in trace.storages),
    )


def _operation(op: OpRecord, count: Callable[[Any], Any]) -> OpRecord:
    def refs(many: tuple[TensorRef, ...]) -> tuple[TensorRef, ...]:
        return tuple(TensorRef(_all(count, r.shape), r.dtype, r.storage) for r in many)

    return replace(
        op,
        inputs=refs(op.inputs),
        outputs=refs(op.outputs),
        macs=count(op.macs),
        elementwise_flops=count(op.elementwise_flops),
        read_bytes=count(op.read_bytes),
        written_bytes=count(op.written_bytes),
        new_bytes=count(op.new_bytes),
        workspace_bytes=count(op.workspace_bytes),
    )


def _all(count: Callable[[Any], Any], sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(count, sizes))


class _Counter:
    """Turns torch's symbols into counts; the same expression only once."""

    def __init__(self, names: Mapping[sympy.Symbol, str], least: Mapping[str, int]) -> None:
        self._writer = Writer(names, short=False)
        self._reader = Reader(Growth(least).choose)
        self._known: dict[sympy.Expr, Any] = {}

    def count(self, value: Any) -> Any:
        """A count, or a number as it is."""
        if not isinstance(value, torch.SymInt):
            return value
        expression = value.node.expr
        found = self._known.get(expression)
        if found is None:
            found = self._reader.read(self._writer.node(expression))
            number = found.number
            self._known[expression] = found = found if number is None else number
        return found
