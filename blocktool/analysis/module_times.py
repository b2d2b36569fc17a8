"""From the intervals of instrumented runs to a table of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from blocktool.analysis.summary import ancestors
from blocktool.results.profile import ModuleTime, ModuleTimes
from blocktool.results.summary import Summary

PHASE_TYPE = "phase"
"""The type of a row that is no module: what a phase does outside all modules."""
_NEGLIGIBLE = 1e-3
"""The share of the whole below which it counts as the root's."""
_FEW = 3
"""Of so many runs only the one or two in the middle are used."""


@dataclass(frozen=True, slots=True)
class RunTimes:
    """One run, cut into intervals at every reading of the clock. An interval belongs to the path
    of the innermost module that is running, or whose backward is, and else to its phase
    (:func:`phase_path`).

    ``own_ms`` adds them up by owner, ``backward_ms`` those that lie in the backward. ``calls``
    counts the calls by path, recomputation included; ``callers`` are the paths that called another
    module. ``whole_ms`` is the sum before the cost of the clock was subtracted.
    """

    whole_ms: float
    own_ms: Mapping[str, float]
    backward_ms: Mapping[str, float]
    calls: Mapping[str, int]
    callers: frozenset[str]


def phase_path(phase: str) -> str:
    """The owner of what a phase does outside all modules; it counts as a child of the root."""
    return f"({phase})"


def times_by_module(
    runs: Sequence[RunTimes],
    types: Mapping[str, str],
    summary: Summary,
    whole_ms: float,
    notes: tuple[str, ...] = (),
) -> ModuleTimes:
    """The table of at least one run.

    ``types`` has the class of every module by path, in the order of registration. Own times are
    means over the half of the runs in the middle of their order by duration. A total is the sum of
    the own times of a module and of all below it by path, as the MACs and bytes of ``summary``
    are: the own times of all rows add up to the total of the root, and that to a usual run.
    """
    usual = _middle(runs)
    own = _means([run.own_ms for run in usual])
    backward = _with_children(_means([run.backward_ms for run in usual]))
    calls = _means([run.calls for run in usual])
    everything = sum(own.values())
    for path in [path for path in own if path not in types]:
        if own[path] <= _NEGLIGIBLE * everything:
            own[""] = own.get("", 0.0) + own.pop(path)
    total = _with_children(own)
    work = _work(summary)
    rows = []
    for path in _in_order((*types, *own), total):
        macs, moved_bytes = work.get(path, (0, 0))
        rows.append(
            ModuleTime(
                path=path,
                type=types.get(path, PHASE_TYPE),
                depth=sum(1 for above in list(ancestors(path))[1:] if calls.get(above)),
                calls=round(calls.get(path, 0)),
                total_ms=total[path],
                own_ms=own.get(path, 0.0),
                share=own.get(path, 0.0) / everything if everything else 0.0,
                macs=macs,
                moved_bytes=moved_bytes,
                gflops=2 * macs / total[path] / 1e6 if total[path] else 0.0,
                gbps=moved_bytes / total[path] / 1e6 if total[path] else 0.0,
                backward_ms=backward.get(path, 0.0),
            )
        )
    callers = frozenset[str]().union(*(run.callers for run in runs))
    leaves = sum(own.get(path, 0.0) for path in _leaves(calls, callers))
    return ModuleTimes(
        whole_ms=whole_ms,
        instrumented_ms=median(run.whole_ms for run in runs),
        runs=len(runs),
        attributed=leaves / everything if everything else 0.0,
        rows=tuple(rows),
        notes=notes,
    )


def _middle(runs: Sequence[RunTimes]) -> Sequence[RunTimes]:
    """The runs between the quartiles. Medians of each module would leave out what disturbs another
    module in every run, and add up to too little: to 87% of ResNet-50 on a busy machine."""
    ordered = sorted(runs, key=lambda run: run.whole_ms)
    cut = len(ordered) // 4 if len(ordered) > _FEW else (len(ordered) - 1) // 2
    return ordered[cut : len(ordered) - cut]


def _means(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By path; a run that does not have one counts as 0."""
    paths = dict.fromkeys(path for run in runs for path in run)
    return {path: sum(run.get(path, 0.0) for run in runs) / len(runs) for path in paths}


def _with_children(own: Mapping[str, float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for path, value in own.items():
        for above in ancestors(path):
            total[above] = total.get(above, 0.0) + value
    return total


def _work(summary: Summary) -> dict[str, tuple[int, int]]:
    """MACs and bytes moved, by path; of the optimizer, its phase."""
    work = {row.path: (row.macs, row.read_bytes + row.written_bytes) for row in summary.modules}
    for phase in summary.phases:
        if phase.phase == "optimizer":
            work[phase_path(phase.phase)] = (phase.macs, phase.read_bytes + phase.written_bytes)
    return work


def _in_order(paths: Iterable[str], timed: Mapping[str, float]) -> list[str]:
    """The paths that have a time, each with all below it behind it, and siblings in the order in
    which they come."""
    below: dict[str, dict[str, None]] = {}
    for path in paths:
        if path in timed:
            chain = list(ancestors(path))
            for child, parent in pairwise(chain):
                below.setdefault(parent, {})[child] = None

    def walk(path: str) -> Iterator[str]:
        yield path
        for child in below.get(path, ()):
            yield from walk(child)

    return list(walk("")) if "" in timed else []


def _leaves(calls: Mapping[str, float], callers: frozenset[str]) -> list[str]:
    """Called modules that called none, and below which none was called."""
    above = {a for path, n in calls.items() if n for a in list(ancestors(path))[1:]}
    return [path for path, n in calls.items() if n and path not in callers and path not in above]
