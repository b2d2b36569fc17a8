"""Two tables of times by module, laid side by side.

How a module's time varies from process to process is not in a report, so that no such time is said
to have changed; what can be said is which modules came, went or do other work. Modules are the same
where their paths are: what a table of times knows of a module is too little to find it again under
another name, as a comparison of summaries does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from blocktool.analysis.figures import exact, share
from blocktool.analysis.measured_figures import Judge, bare
from blocktool.analysis.module_times import PHASE_TYPE
from blocktool.analysis.summary import ancestors
from blocktool.results.comparison import MetricChange, ModuleChange
from blocktool.results.profile import ModuleTime, ProfileCase

_EXACT = ("macs", "moved_bytes")
_WEIGHED = (*_EXACT, "total_ms")

Rows = Mapping[str, ModuleTime]


@dataclass(frozen=True)
class ModuleChanges:
    """``modules`` has what is not as it was, by effect, ``changes`` every figure of every one."""

    modules: tuple[ModuleChange, ...]
    changes: tuple[MetricChange, ...]


def compared_modules(
    pairs: Sequence[tuple[str, ProfileCase, ProfileCase]], judge: Judge
) -> ModuleChanges:
    """Of cases, with their labels, of which both sides have times by module.

    What is not as it was is told once, as it is in the first of them.
    """
    tables = [
        (label, _rows(old), _rows(new))
        for label, old, new in pairs
        if old.modules is not None and new.modules is not None
    ]
    if not tables:
        return ModuleChanges((), ())
    return ModuleChanges(
        modules=tuple(sorted(_modules(*tables[0]), key=lambda each: -each.effect)),
        changes=tuple(change for table in tables for change in _figures(*table, judge)),
    )


def _rows(case: ProfileCase) -> Rows:
    rows = () if case.modules is None else case.modules.rows
    return {row.path: row for row in rows if row.type != PHASE_TYPE}


def _figures(label: str, old: Rows, new: Rows, judge: Judge) -> Iterator[MetricChange]:
    for path, row in new.items():
        before = old.get(path)
        if before is None:
            continue
        for name in _EXACT:
            ends = getattr(before, name), getattr(row, name)
            yield exact(name, *ends, module=path, case=label)
        for name in ("total_ms", "own_ms"):
            ends = getattr(before, name), getattr(row, name)
            told = bare(name, *ends, module=path, case=label)
            # Equal to the last digit: one measurement, and not two.
            same = row == before and judge.spoiled is None
            yield replace(told, verdict="same") if same else judge.information(told)


def _modules(label: str, old: Rows, new: Rows) -> Iterator[ModuleChange]:
    wholes = {
        name: max((getattr(row, name) for row in (*old.values(), *new.values())), default=0)
        for name in _WEIGHED
    }
    for path in _topmost(new.keys() - old.keys()):
        yield _alone("added", new[path], new, wholes, label)
    for path in _topmost(old.keys() - new.keys()):
        yield _alone("removed", old[path], old, wholes, label)
    above = {each for path in new for each in list(ancestors(path))[1:]}
    for path, after in new.items():
        before = old.get(path)
        if before is None:
            continue
        metrics = [
            exact(name, getattr(before, name), getattr(after, name), module=path, case=label)
            for name in _EXACT
        ]
        changed = tuple(change for change in metrics if change.verdict != "same")
        if before.type != after.type or (changed and path not in above):
            details = (f"{before.type} -> {after.type}",) if before.type != after.type else ()
            differences = {name: getattr(after, name) - getattr(before, name) for name in _WEIGHED}
            yield ModuleChange(
                "changed",
                path,
                path,
                before.type,
                after.type,
                details,
                changed,
                effect=min(1.0, share(differences, wholes)),
            )


def _topmost(paths: set[str]) -> list[str]:
    """Those of which no path above is among them, in order."""
    return sorted(path for path in paths if not paths.intersection(list(ancestors(path))[1:]))


def _alone(
    verdict: str, row: ModuleTime, rows: Rows, wholes: Mapping[str, float], label: str
) -> ModuleChange:
    added = verdict == "added"
    figures = {name: getattr(row, name) for name in _WEIGHED}
    metrics = tuple(
        exact(name, *((None, value) if added else (value, None)), module=row.path, case=label)
        for name, value in figures.items()
        if name in _EXACT
    )
    return ModuleChange(
        "added" if added else "removed",
        None if added else row.path,
        row.path if added else None,
        None if added else row.type,
        row.type if added else None,
        (),
        metrics,
        modules=sum(row.path in ancestors(path) for path in rows),
        effect=min(1.0, share(figures, wholes)),
    )
