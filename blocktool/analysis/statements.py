"""In words, what was done from one summary to another: the dearest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from blocktool.analysis import configured
from blocktool.analysis.alignment import Alignment
from blocktool.analysis.compare_summaries import SummaryChanges
from blocktool.analysis.figures import shapes
from blocktool.analysis.module_tree import Node
from blocktool.analysis.module_verdicts import (
    called_otherwise,
    holds_otherwise,
    is_renamed,
    own_parameters,
    own_work,
    runs_otherwise,
    trained_otherwise,
)
from blocktool.analysis.statement_groups import Deed, together
from blocktool.results.comparison import Statement
from blocktool.results.summary import Summary

_FIRST = ("settings", "inputs", "dtype")
"""What explains everything else comes before it."""
_NAMED = 4


def statements(old: Summary, new: Summary, changes: SummaryChanges) -> tuple[Statement, ...]:
    """What was done, in the order of effect, after what holds for the whole."""
    effect = {
        change.new_path if change.new_path is not None else change.old_path: change.effect
        for change in changes.modules
    }
    deeds = [
        *_came_and_went(changes),
        *_built_otherwise(changes.alignment, effect),
        *_renamed(changes.alignment),
        *_own_work(old, new, changes.alignment, effect),
        *_calls(changes.alignment, effect),
        *_reordered(changes.alignment),
    ]
    said = [
        *_settings(old, new),
        *_inputs(old, new),
        *_dtypes(changes.alignment),
        *_trainable(changes.alignment),
        *_shared(old, new, changes.alignment),
        *together(deeds),
    ]
    if not said:
        said += _unexplained(old, new, changes)
    place = {
        row.path: index for rows in (old.modules, new.modules) for index, row in enumerate(rows)
    }
    said = [
        replace(each, modules=tuple(sorted(each.modules, key=place.__getitem__))) for each in said
    ]
    return tuple(sorted(said, key=lambda each: (each.kind not in _FIRST, -each.effect)))


def _settings(old: Summary, new: Summary) -> Iterator[Statement]:
    for name in ("mode", "optimizer", "attention"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            text = f"{name} {before or 'none'} -> {after or 'none'}"
            yield Statement("settings", text, effect=1.0)


def _inputs(old: Summary, new: Summary) -> Iterator[Statement]:
    before, after = ("; ".join(map(str, each.inputs)) or "none" for each in (old, new))
    if before != after:
        yield Statement("inputs", f"inputs {before} -> {after}", effect=1.0)


def _dtypes(found: Alignment) -> Iterator[Statement]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    having = 0
    for old, new in found.pairs:
        before, after = old.row.param_dtype, new.row.param_dtype
        having += bool(before and after)
        if before and after and before != after:
            groups[before, after].append(new.path)
    for (before, after), paths in groups.items():
        text = f"parameters {before} -> {after}"
        yield Statement("dtype", text, () if len(paths) == having else tuple(paths), 1.0)


def _trainable(found: Alignment) -> Iterator[Statement]:
    """Which modules are trained no longer, or now, the topmost of each; and parts of others."""
    told: list[str] = []
    groups: dict[str, list[str]] = {}
    for old, new in found.pairs:
        if any(path == "" or new.path.startswith(f"{path}.") for path in told):
            continue
        before, after = old.row.trainable_params, new.row.trainable_params
        if old.row.params and old.row.params == new.row.params and bool(before) != bool(after):
            told.append(new.path)
            text = "trained now, no longer frozen" if after else "frozen: no gradient any more"
            groups.setdefault(text, []).append(new.path)
        elif text := trained_otherwise(old, new):
            groups.setdefault(text, []).append(new.path)
    for text, paths in groups.items():
        yield Statement("trainable", text, tuple(paths), 0.5)


def _shared(old: Summary, new: Summary, found: Alignment) -> Iterator[Statement]:
    """Which modules hold one parameter now, and which no longer do."""
    names = {before.path: after.path for before, after in found.pairs}
    there = {row.path for row in new.modules}
    before = [frozenset(names.get(path, path) for path in each.modules) for each in old.shared]
    after = [frozenset(each.modules) for each in new.shared]
    for each in new.shared:
        group = frozenset(each.modules)
        if not any(group <= other for other in before):
            text = f"weights tied: one {shapes([each.shape])} for {len(group)} modules"
            yield Statement("shared", text, tuple(group), 0.5)
    for each, group in zip(old.shared, before, strict=True):
        left = group & there
        if len(left) > 1 and not any(left <= other for other in after):
            text = f"weights no longer tied: it was one {shapes([each.shape])}"
            yield Statement("shared", text, tuple(left), 0.5)


def _came_and_went(changes: SummaryChanges) -> Iterator[Deed]:
    around = {node.path for node in changes.alignment.shell}
    for change in changes.modules:
        of = f" of {change.modules} modules" if change.modules > 1 else ""
        # A wrapper is told with what it is around.
        if (change.old_path if change.new_path is None else change.new_path) in around:
            continue
        if change.verdict == "removed" and change.old_path is not None:
            text = f"removed {_named(change.old_path, change.old_type)}{of}"
            yield Deed("removed", text, change.old_path, change.effect)
        elif change.verdict == "added" and change.new_path is not None:
            text = f"added {_named(change.new_path, change.new_type)}{of}"
            yield Deed("added", text, change.new_path, change.effect)


def _named(path: str, kind: str | None) -> str:
    """``"gate, Sequential"``; a name that ends in a number says nothing."""
    name = path.rpartition(".")[2]
    return str(kind) if not name or name[-1].isdigit() else f"{name}, {kind}"


def _built_otherwise(found: Alignment, effect: Mapping[str | None, float]) -> Iterator[Deed]:
    for old, new in found.pairs:
        size = effect.get(new.path, 0.0)
        if old.row.type != new.row.type:
            yield Deed("replaced", f"{old.row.type} -> {new.row.type}", new.path, size)
            continue
        told = configured.differences(old.row, new.row)
        for difference in told:
            yield Deed("configured", str(difference), new.path, size / len(told))
        if not told and holds_otherwise(old, new):
            yield Deed("configured", own_parameters(old, new), new.path, size)


def _renamed(found: Alignment) -> Iterator[Deed]:
    parents = {id(after): before for before, after in found.pairs}
    for old, new in found.pairs:
        if old.parent is None or new.parent is None:
            if new.parent is not None:
                text = f"wrapped in {found.new.row.type}: everything moved into {new.path}"
                yield Deed("moved", text, new.path)
            elif old.parent is not None:
                text = f"unwrapped from {found.old.row.type}: everything moved out of {old.path}"
                yield Deed("moved", text, new.path)
        elif parents.get(id(new.parent)) is not old.parent:
            places = [node.path or "the root" for node in (old.parent, new.parent)]
            yield Deed("moved", f"moved from {places[0]} into {places[1]}", new.path)
        elif is_renamed(old, new):
            yield Deed("renamed", f"{old.name} -> {new.name}", new.path)


def _own_work(
    old: Summary, new: Summary, found: Alignment, effect: Mapping[str | None, float]
) -> Iterator[Deed]:
    work = own_work(old, new, found)
    for before, after in found.pairs:
        if runs_otherwise(before, after, work):
            words = operation_words(before.row.own_ops, after.row.own_ops)
            where = "in forward" if new.mode == "forward" else "of its own"
            text = f"other operations {where}{f': {words}' if words else ''}"
            yield Deed("operations", text, after.path, effect.get(after.path, 0.0))


def operation_words(before: Mapping[str, int], after: Mapping[str, int], most: int = 4) -> str:
    """``"relu 1 -> 0, gelu 0 -> 1"``: the operations whose calls differ in number."""
    differing = [
        name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)
    ]
    shown = [
        f"{name.removeprefix('aten.')} {before.get(name, 0)} -> {after.get(name, 0)}"
        for name in differing[:most]
    ]
    more = len(differing) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _reordered(found: Alignment) -> Iterator[Deed]:
    """Children that stand in another order than they did."""
    again = {id(old): new for old, new in found.pairs}
    for old, new in found.pairs:
        kept = [again[id(child)] for child in old.children if id(child) in again]
        kept = [child for child in kept if child.parent is new]
        place = {id(child): index for index, child in enumerate(new.children)}
        if any(place[id(a)] > place[id(b)] for a, b in pairwise(kept)):
            before, after = (_in_order(each) for each in (old.children, new.children))
            yield Deed("moved", f"in another order: {before} -> {after}", new.path)


def _in_order(children: Sequence[Node]) -> str:
    """Names of children, or their classes where they are numbered; of many the first."""
    names = [c.row.type if c.name.isdigit() else c.name for c in children[:_NAMED]]
    return ", ".join(names) + (", ..." if len(children) > _NAMED else "")


def _calls(found: Alignment, effect: Mapping[str | None, float]) -> Iterator[Deed]:
    for old, new in found.pairs:
        before, after = old.row.calls, new.row.calls
        if old.children and not (before and after):
            continue  # a container, or a module whose children tell it
        if before and not after:
            yield Deed("calls", "no longer called", new.path, effect.get(new.path, 0.0))
        elif after and not before:
            yield Deed("calls", "called now", new.path, effect.get(new.path, 0.0))
        elif called_otherwise(old, new):
            text = f"called {before} -> {after} times"
            yield Deed("calls", text, new.path, effect.get(new.path, 0.0))


def _unexplained(old: Summary, new: Summary, changes: SummaryChanges) -> Iterator[Statement]:
    """Figures that differ although nothing was seen to be done."""
    differing = [change for change in changes.totals if change.verdict != "same"]
    if not differing:
        return
    before, after = ({op.op: op.calls for op in each.ops} for each in (old, new))
    if words := operation_words(before, after):
        yield Statement("operations", f"other operations: {words}", effect=1.0)
        return
    named = ", ".join(change.metric for change in differing[:_NAMED])
    effect = max(abs(change.change or 0.0) for change in differing)
    yield Statement("figures", f"figures differ: {named}", effect=min(1.0, effect))
