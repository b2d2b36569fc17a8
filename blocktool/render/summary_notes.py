"""What a summary must say beside its figures: where it was traced, what it could not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from blocktool.results.specs import TensorSpec
from blocktool.results.summary import Summary, UncoveredOp

_LISTED = 6

SCOPE = (
    "1 MAC = 2 FLOPs; MACs leave out bias, peak live bytes leave out allocator rounding and "
    "device context."
)
"""What the headline figures leave out."""


def warnings(summary: Summary) -> list[str]:
    """What puts the figures in doubt: operations that were not counted."""
    if not summary.uncovered_ops:
        return []
    return [f"not counted: {uncovered(summary.uncovered_ops)}"]


def notes(summary: Summary) -> list[str]:
    """How the figures were come by, where that was not the usual way."""
    lines = [
        f"traced on {summary.traced_on}, since {fallback.rung} does not serve: {fallback.reason}"
        for fallback in summary.fallbacks
    ]
    return [*lines, *summary.notes]


def uncovered(ops: Sequence[UncoveredOp]) -> str:
    """``aten.foo x3 (layer1.0), aten.bar x1``: each operation once, with where it first ran."""
    calls: Counter[str] = Counter()
    first: dict[str, str] = {}
    for op in ops:
        calls[op.op] += op.calls
        first.setdefault(op.op, op.module)
    named = [
        f"{op} x{count}" + (f" ({first[op]})" if first[op] else "")
        for op, count in calls.most_common(_LISTED)
    ]
    if len(calls) > _LISTED:
        named.append(f"and {len(calls) - _LISTED} more")
    return ", ".join(named)


def signature(summary: Summary, arrow: str) -> str:
    """``1x3x224x224 -> 1x1000``, with names, and dtypes where they are not float32."""
    return f"{_specs(summary.inputs)} {arrow} {_specs(summary.outputs)}"


def setting(summary: Summary) -> list[str]:
    """How it was run, in a few words each: mode, optimizer, attention kernels, rung."""
    words = ["forward" if summary.mode == "forward" else "forward and backward"]
    if summary.optimizer:
        words.append(summary.optimizer)
    if summary.attention != "cpu":
        words.append(f"attention as on {summary.attention}")
    words.append(f"traced on {summary.traced_on}")
    return words


def _specs(specs: Sequence[TensorSpec]) -> str:
    shown = [str(spec) for spec in specs[:4]]
    if len(specs) > 4:
        shown.append(f"and {len(specs) - 4} more")
    return ", ".join(shown) or "nothing"
