"""Modules that changed alike, as one row with the figures of all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blocktool.results.comparison import MetricChange, ModuleChange


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: ``all`` are its modules, ``shown`` is one with the figures of all."""

    shown: ModuleChange
    all: tuple[ModuleChange, ...]


def rows(modules: Sequence[ModuleChange], *, fold: bool) -> list[Row]:
    """A row for each module, or for those that are of one kind and were changed in one way, the
    largest effect first."""
    if not fold:
        return [Row(each, (each,)) for each in modules]
    groups: dict[object, list[ModuleChange]] = defaultdict(list)
    for each in modules:
        groups[_likeness(each)].append(each)
    made = [Row(_together(group), tuple(group)) for group in groups.values()]
    return sorted(made, key=lambda row: -row.shown.effect)


def _likeness(module: ModuleChange) -> object:
    return (
        module.verdict,
        module.old_type,
        module.new_type,
        module.details,
        module.modules,
        # Renamed alike, or moved on by a number: a name of its own is told.
        _name(module.old_path) if module.verdict == "renamed" else None,
        tuple((each.metric, _difference(each)) for each in module.metrics),
    )


def _name(path: str | None) -> str | None:
    return None if path is None else path.rpartition(".")[2]


def _difference(change: MetricChange) -> object:
    old, new = change.old or 0, change.new or 0
    if isinstance(old, str) or isinstance(new, str):
        return (change.verdict, change.case)
    return (new - old, change.verdict, change.case)


def _together(group: Sequence[ModuleChange]) -> ModuleChange:
    """The first of them, with the sums of all."""
    first = group[0]
    if len(group) == 1:
        return first
    metrics = tuple(_sum(each) for each in zip(*(one.metrics for one in group), strict=True))
    return replace(first, metrics=metrics, effect=min(1.0, sum(each.effect for each in group)))


def _sum(changes: Sequence[MetricChange]) -> MetricChange:
    first = changes[0]
    if isinstance(first.old, str) or isinstance(first.new, str):
        return first
    old = None if first.old is None else sum(_number(each.old) for each in changes)
    new = None if first.new is None else sum(_number(each.new) for each in changes)
    change = (new - old) / old if old and new is not None else None
    return replace(first, old=old, new=new, change=change)


def _number(value: float | int | str | None) -> float | int:
    return value if isinstance(value, int | float) else 0
