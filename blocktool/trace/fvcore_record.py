"""Reads out of fvcore's analysis what it counted and what it skipped, operation by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from blocktool.results.cross_check import CountedOp, SkippedOp
from blocktool.results.specs import TensorSpec
from blocktool.trace.limits import one_line

WRAPPED = "module"
"""The name under which the wrapper that is counted holds the user's module."""


class HandlerError(Exception):
    """One of fvcore's handlers raised."""


def note_each_op(analysis: Any) -> list[CountedOp]:
    """Have every handler of fvcore's note what it counted, where, and on which shapes."""
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS

    counted: list[CountedOp] = []

    def noting(kind: str, handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def handler(inputs: list[Any], outputs: list[Any]) -> Any:
            path = inside(outputs[0].node().scopeName().rpartition("/")[2])
            shapes = tuple(_shapes(inputs))
            try:
                count = handle(inputs, outputs)
            except Exception as error:
                spec = ", ".join(str(TensorSpec(shape)) for shape in shapes)
                raise HandlerError(
                    f"its handler of {kind} fails on {spec} in '{path}' ({one_line(error)})"
                ) from error
            found = count if isinstance(count, Counter) else {kind.partition("::")[2]: count}
            for op, macs in found.items():
                counted.append(CountedOp(path, op, whole(macs), shapes))
            return count

        return handler

    analysis.set_op_handle(
        **{kind: noting(kind, handle) for kind, handle in _DEFAULT_SUPPORTED_OPS.items()}
    )
    return counted


def _shapes(values: list[Any]) -> Iterator[tuple[int, ...]]:
    for value in values:
        if value.isCompleteTensor():
            yield tuple(value.type().sizes())
        elif value.node().kind() == "prim::ListConstruct":
            yield from _shapes(list(value.node().inputs()))


def skipped_ops(analysis: Any, paths: list[str]) -> Iterator[SkippedOp]:
    """Unsupported operations of each module itself: fvcore gives them with the children's."""
    inclusive = {path: analysis.unsupported_ops(path) for path in paths}
    own = {path: Counter(found) for path, found in inclusive.items()}
    for path, found in inclusive.items():
        if path:
            own[path.rpartition(".")[0]].subtract(found)
    for path, found in own.items():
        for op, calls in found.items():
            if calls > 0:
                yield SkippedOp(inside(path), op, calls)


def inside(path: str) -> str:
    """A path below the wrapper as a path of the user's module."""
    return path.removeprefix(WRAPPED).removeprefix(".")


def whole(count: Any) -> int:
    """A count as int: some of fvcore's are numpy's numbers, or whole floats."""
    return int(count)
