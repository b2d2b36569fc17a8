"""Pieces of which comparisons are made by hand."""

from __future__ import annotations

from typing import Any

from blocktool.results.comparison import (
    ComparedKind,
    Comparison,
    Lane,
    MetricChange,
    ModuleChange,
    Side,
    Verdict,
)
from blocktool.results.environment import Environment

_ENVIRONMENT = Environment("0.1.0", "2.13.0", "3.11.7", "Linux x86_64", {"timm": "1.0.31"})


def side(name: str, target: str = "net.py:Net") -> Side:
    """One of the two reports."""
    return Side(name, target, _ENVIRONMENT)


def change(
    metric: str, old: Any, new: Any, *, verdict: Verdict | None = None, **more: Any
) -> MetricChange:
    """A change of a figure; the share and an exact verdict follow from the values."""
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    share = (new - old) / old if numbers and old else None
    if verdict is None:
        if old is None or new is None:
            verdict = "added" if old is None else "removed"
        elif not numbers:
            verdict = "same" if old == new else "changed"
        else:
            verdict = "same" if old == new else "increased" if new > old else "decreased"
    return MetricChange(metric, old, new, share, verdict, **more)


def measured(
    metric: str, old: float, new: float, low: float | None, high: float | None, **more: Any
) -> MetricChange:
    """A measured change with the bounds of the share."""
    lane: Lane = "measured"
    return change(metric, old, new, low=low, high=high, lane=lane, **more)


def comparison(compares: ComparedKind = "summary", **fields: Any) -> Comparison:
    """A comparison of ``old.json`` and ``new.json``, in which nothing is changed by default."""
    given: dict[str, Any] = {
        "old": side("old.json"),
        "new": side("new.json"),
        "statements": (),
        "totals": (),
        "modules": (),
        **fields,
    }
    return Comparison(compares, **given)


def module(
    path: str, params: tuple[int | None, int | None], macs: tuple[int | None, int | None], **to: Any
) -> ModuleChange:
    """A changed module with its parameters, MACs and FLOPs on both sides."""
    given: dict[str, Any] = {
        "verdict": "changed",
        "old_path": path,
        "new_path": path,
        "old_type": "Conv2d",
        "new_type": "Conv2d",
        "details": (),
        **to,
    }
    flops = [None if value is None else 2 * value for value in macs]
    metrics = (
        change("params", *params, module=path),
        change("macs", *macs, module=path),
        change("flops", *flops, module=path),
    )
    return ModuleChange(metrics=metrics, **given)
