"""What changed between two summaries: figures, modules, and in words what was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from blocktool.analysis.alignment import Alignment, align
from blocktool.analysis.figures import exact, shapes, share
from blocktool.analysis.module_tree import FIGURES, borrowed, tree
from blocktool.analysis.module_verdicts import called_otherwise, judged, own_work
from blocktool.results.comparison import MetricChange, ModuleChange
from blocktool.results.summary import ModuleRow, Summary

_WEIGHED = ("params", "param_bytes", "macs", "elementwise_flops", "activation_bytes")
"""The figures by which the effect of a change is weighed."""
_NONE: Mapping[str, int] = MappingProxyType({})
_SHOWN = (*FIGURES, "calls", "input_shapes", "output_shapes", "param_dtype")


@dataclass(frozen=True)
class SummaryChanges:
    """``totals`` and ``modules`` as in a Comparison, ``changes`` every figure of the whole and of
    every module, and what the statements are made of."""

    totals: tuple[MetricChange, ...]
    modules: tuple[ModuleChange, ...]
    changes: tuple[MetricChange, ...]
    alignment: Alignment


def compare_summaries(old: Summary, new: Summary) -> SummaryChanges:
    """Lay two summaries side by side. The modules are found again by how they are built and what
    they are called; see :mod:`blocktool.analysis.alignment`."""
    found = align(tree(old.modules, old.shared), tree(new.modules, new.shared))
    wholes = {
        name: max(getattr(old.modules[0], name), getattr(new.modules[0], name)) for name in _WEIGHED
    }
    modules = sorted(
        [*_matched(found, wholes, own_work(old, new, found)), *_unmatched(old, new, found, wholes)],
        key=lambda change: (change.verdict == "follows", -change.effect),
    )
    figures = tuple(totals(old, new))
    return SummaryChanges(
        totals=tuple(change for change in figures if _is_of_interest(change)),
        modules=tuple(modules),
        changes=(*figures, *_every(found)),
        alignment=found,
    )


def totals(old: Summary, new: Summary) -> Iterator[MetricChange]:
    """Every figure of the whole, and how often each operation is called."""
    for field in fields(old.totals):
        yield exact(field.name, getattr(old.totals, field.name), getattr(new.totals, field.name))
    yield exact("operations", operations(old), operations(new))
    before, after = ({op.op: op.calls for op in each.ops} for each in (old, new))
    for name in sorted({*before, *after}):
        yield exact(f"operations.{name}", before.get(name, 0), after.get(name, 0))
    uncovered = [sum(op.calls for op in each.uncovered_ops) for each in (old, new)]
    yield exact("uncovered_operations", *uncovered)
    for name in ("inputs", "outputs"):
        texts = ["; ".join(map(str, getattr(each, name))) for each in (old, new)]
        yield exact(name, *texts)


def _is_of_interest(change: MetricChange) -> bool:
    """Whether a reader misses it: not so single operations that are called as often as before."""
    if change.metric.startswith("operations.") or change.metric == "uncovered_operations":
        return change.verdict != "same"
    return True


def operations(summary: Summary) -> int:
    """How many operations ran, in all phases."""
    return sum(phase.ops for phase in summary.phases)


def _matched(
    found: Alignment, wholes: Mapping[str, int], work: Sequence[str]
) -> Iterator[ModuleChange]:
    above = {id(new.parent) for _, new in found.pairs}
    for old, new in found.pairs:
        verdict, details = judged(old, new, work)
        if verdict is None:
            continue
        before, after = old.row, new.row
        replaced = before.type != after.type and id(new) not in above
        # What is replaced as a whole, or called more often, is so with its children.
        whole = replaced or called_otherwise(old, new)
        own = {
            name: (getattr(after, name) - getattr(before, name))
            if whole
            else new.own[name] - old.own[name]
            for name in _WEIGHED
        }
        yield ModuleChange(
            verdict=verdict,
            old_path=before.path,
            new_path=after.path,
            old_type=before.type,
            new_type=after.type,
            details=details,
            metrics=tuple(change for change in _figures(before, after) if change.verdict != "same"),
            effect=share(own, wholes),
        )


def _unmatched(
    old: Summary, new: Summary, found: Alignment, wholes: Mapping[str, int]
) -> Iterator[ModuleChange]:
    again = {id(node) for pair in found.pairs for node in pair}
    around = {id(node) for node in found.shell}
    in_new = {id(node) for node in found.new.walk()} if around else set()
    came = [node for node in found.shell if id(node) in in_new]
    went = [node for node in found.shell if id(node) not in in_new]
    for verdict, tops, side in (
        ("removed", [*went, *found.removed], old),
        ("added", [*came, *found.added], new),
    ):
        for top in tops:
            alone = [node for node in top.walk() if id(node) not in again]
            if id(top) in around:
                alone = [top]
            own = {name: sum(node.own[name] for node in alone) for name in FIGURES}
            for name, size in borrowed(side.shared, {node.path for node in alone}).items():
                own[name] = max(0, own[name] - size)
            row, gone = top.row, verdict == "removed"
            # Without what was found again elsewhere.
            figures = _one_sided(row, gone, own if len(alone) < top.size else _NONE)
            yield ModuleChange(
                verdict="removed" if gone else "added",
                old_path=row.path if gone else None,
                new_path=None if gone else row.path,
                old_type=row.type if gone else None,
                new_type=None if gone else row.type,
                details=(row.detail,) if row.detail else (),
                metrics=tuple(figures),
                modules=len(alone),
                effect=share({name: own[name] for name in _WEIGHED}, wholes),
            )


def _every(found: Alignment) -> Iterator[MetricChange]:
    """Every figure of every module on either side."""
    again = {id(node) for pair in found.pairs for node in pair}
    for old, new in found.pairs:
        yield from _figures(old.row, new.row)
    for gone, whole in ((True, found.old), (False, found.new)):
        for node in whole.walk():
            if id(node) not in again:
                yield from _one_sided(node.row, gone)


def _figures(old: ModuleRow, new: ModuleRow) -> Iterator[MetricChange]:
    for name in _SHOWN:
        values = _plain(old, name), _plain(new, name)
        yield exact(name, *values, module=new.path, old_module=old.path)


def _one_sided(
    row: ModuleRow, gone: bool, values: Mapping[str, int] = _NONE
) -> Iterator[MetricChange]:
    """The figures of a module that one side has; ``values`` are in place of the row's."""
    for name in _SHOWN:
        value = values.get(name, _plain(row, name))
        yield exact(name, *((value, None) if gone else (None, value)), module=row.path)


def _plain(row: ModuleRow, name: str) -> int | str:
    value: int | str | Sequence[Sequence[int]] = getattr(row, name)
    return value if isinstance(value, int | str) else shapes(value)
