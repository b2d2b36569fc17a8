"""A figure on both sides, where any difference is a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocktool.results.comparison import MetricChange, Verdict

Value = float | int | str | None


def exact(
    metric: str,
    old: Value,
    new: Value,
    *,
    module: str | None = None,
    case: str | None = None,
    old_module: str | None = None,
) -> MetricChange:
    """The change of a figure that was counted or predicted; None: it is not there."""
    change = None
    if isinstance(old, int | float) and isinstance(new, int | float):
        change = (new - old) / old if old else None if new else 0.0
    return MetricChange(
        metric,
        old,
        new,
        change,
        _verdict(old, new),
        module=module,
        case=case,
        old_module=old_module if old_module != module else None,
    )


def _verdict(old: Value, new: Value) -> Verdict:
    if old == new:
        return "same"
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if isinstance(old, str) or isinstance(new, str):
        return "changed"
    return "increased" if new > old else "decreased"


def shapes(sizes: Sequence[Sequence[int]]) -> str:
    """``"1x64x56x56, 1x64x28x28"``."""
    return ", ".join("x".join(map(str, each)) or "scalar" for each in sizes)


def share(differences: Mapping[str, float], wholes: Mapping[str, float]) -> float:
    """The largest share that any of the differences has of its whole, by absolute value."""
    return max(
        (abs(size) / wholes[name] for name, size in differences.items() if wholes.get(name)),
        default=0.0,
    )
