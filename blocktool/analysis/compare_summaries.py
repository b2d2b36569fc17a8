"""What changed between two summaries: figures, modules, and in words what was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from blocktool.analysis import configured
from blocktool.analysis.alignment import Alignment, align
from blocktool.analysis.figures import exact, shapes, share
from blocktool.analysis.module_tree import FIGURES, Node, tree
from blocktool.results.comparison import MetricChange, ModuleChange, ModuleVerdict
from blocktool.results.summary import ModuleRow, Summary

_WEIGHED = ("params", "param_bytes", "macs", "elementwise_flops", "activation_bytes")
"""The figures by which the effect of a change is weighed."""
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
    found = align(tree(old.modules), tree(new.modules))
    wholes = {
        name: max(getattr(old.modules[0], name), getattr(new.modules[0], name)) for name in _WEIGHED
    }
    modules = sorted(
        [*_matched(found, wholes, own_work(old, new, found)), *_unmatched(found, wholes)],
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


def judged(
    old: Node, new: Node, work: Sequence[str]
) -> tuple[ModuleVerdict | None, tuple[str, ...]]:
    """What became of a module that was found again, None: nothing; and what is not as it was.

    ``work`` is that of :func:`own_work`.
    """
    before, after = old.row, new.row
    details = []
    if before.type != after.type:
        details.append(f"{before.type} -> {after.type}")
    else:
        told = configured.differences(before, after)
        details += [str(difference) for difference in told]
        if not told and holds_otherwise(old, new):
            details.append(own_parameters(old, new))
    if before.param_dtype and after.param_dtype and before.param_dtype != after.param_dtype:
        details.append(f"{before.param_dtype} -> {after.param_dtype}")
    if bool(before.calls) != bool(after.calls):
        details.append("called now" if after.calls else "no longer called")
    elif called_otherwise(old, new):
        details.append(f"calls {before.calls} -> {after.calls}")
    if runs_otherwise(old, new, work):
        details.append("other operations of its own")
    if details:
        return "changed", tuple(details)
    if is_renamed(old, new):
        return "renamed", ()
    differs = any(new.own[name] != old.own[name] for name in FIGURES)
    moved = (before.input_shapes, before.output_shapes) != (after.input_shapes, after.output_shapes)
    return ("follows", ()) if differs or moved or before.calls != after.calls else (None, ())


def is_renamed(old: Node, new: Node) -> bool:
    """Whether it was given another name; a number that moved on by one is none."""
    if old.name == new.name or (old.name.isdigit() and new.name.isdigit()):
        return False
    return old.parent is not None and new.parent is not None


def holds_otherwise(old: Node, new: Node) -> bool:
    """Whether its own parameters are more or fewer."""
    return old.own["params"] != new.own["params"]


def own_parameters(old: Node, new: Node) -> str:
    """That, in words."""
    return f"own parameters {old.own['params']:,} -> {new.own['params']:,}"


def runs_otherwise(old: Node, new: Node, work: Sequence[str]) -> bool:
    """Whether it does other work itself, and nothing else explains it: not its settings, nor what
    it gets, nor its children. ``work`` is that of :func:`own_work`."""
    before, after = old.row, new.row
    if not work or (
        before.type != after.type
        or before.calls != after.calls
        or before.input_shapes != after.input_shapes
        or before.param_dtype != after.param_dtype
        or holds_otherwise(old, new)
        or configured.differences(before, after)
    ):
        return False
    same_ops = "own_ops" not in work or before.own_ops == after.own_ops
    if same_ops and all(new.own[name] == old.own[name] for name in work if name in new.own):
        return False
    return old.size == new.size and all(
        first.row.output_shapes == second.row.output_shapes
        and bool(first.row.calls) == bool(second.row.calls)
        for first, second in zip(old.children, new.children, strict=True)
    )


def own_work(old: Summary, new: Summary, found: Alignment) -> tuple[str, ...]:
    """What tells that a module's own work differs; nothing where all of it differs for another
    reason: another mode, another dtype throughout, other parameters to train."""
    if (old.mode, old.optimizer, old.attention) != (new.mode, new.optimizer, new.attention):
        return ()
    dtypes = [[spec.dtype for spec in each.inputs] for each in (old, new)]
    if dtypes[0] != dtypes[1] or any(
        before.row.param_dtype != after.row.param_dtype
        or (old.mode == "training" and _is_frozen(before) != _is_frozen(after))
        for before, after in found.pairs
    ):
        return ()
    figures = ("macs", "elementwise_flops", "activation_bytes", "read_bytes", "written_bytes")
    # Reports of earlier releases do not say which operations a module runs itself.
    known = all(any(row.own_ops for row in each.modules) for each in (old, new))
    return (*figures, "own_ops") if known else figures


def _is_frozen(node: Node) -> bool:
    return bool(node.own["params"]) and not node.own["trainable_params"]


def called_otherwise(old: Node, new: Node) -> bool:
    """Whether the number of its calls changed otherwise than that of the module above."""
    before, after = old.row.calls, new.row.calls
    if old.parent is None or new.parent is None:
        return before != after
    return before * (new.parent.row.calls or 1) != after * (old.parent.row.calls or 1)


def _unmatched(found: Alignment, wholes: Mapping[str, int]) -> Iterator[ModuleChange]:
    again = {id(node) for pair in found.pairs for node in pair}
    for verdict, tops in (("removed", found.removed), ("added", found.added)):
        for top in tops:
            alone = [node for node in top.walk() if id(node) not in again]
            own = {name: sum(node.own[name] for node in alone) for name in _WEIGHED}
            row, gone = top.row, verdict == "removed"
            yield ModuleChange(
                verdict="removed" if gone else "added",
                old_path=row.path if gone else None,
                new_path=None if gone else row.path,
                old_type=row.type if gone else None,
                new_type=None if gone else row.type,
                details=(row.detail,) if row.detail else (),
                metrics=tuple(_one_sided(row, gone)),
                modules=len(alone),
                effect=share(own, wholes),
            )


def _every(found: Alignment) -> Iterator[MetricChange]:
    """Every figure of every module on either side."""
    again = {id(node) for pair in found.pairs for node in pair}
    for old, new in found.pairs:
        yield from _figures(old.row, new.row)
    for gone, tops in ((True, found.removed), (False, found.added)):
        for top in tops:
            for node in top.walk():
                if id(node) not in again:
                    yield from _one_sided(node.row, gone)


def _figures(old: ModuleRow, new: ModuleRow) -> Iterator[MetricChange]:
    for name in _SHOWN:
        yield exact(name, _plain(old, name), _plain(new, name), module=new.path)


def _one_sided(row: ModuleRow, gone: bool) -> Iterator[MetricChange]:
    for name in _SHOWN:
        value = _plain(row, name)
        yield exact(name, *((value, None) if gone else (None, value)), module=row.path)


def _plain(row: ModuleRow, name: str) -> int | str:
    value: int | str | Sequence[Sequence[int]] = getattr(row, name)
    return value if isinstance(value, int | str) else shapes(value)
