"""Measures two targets in one run, process by process in turn. Needs no torch.

What the machine does meanwhile (other work, heat, the clock) hits both alike, so that their ratio
in each pair of processes is that of the targets.
"""

from __future__ import annotations

import os
from dataclasses import replace
from uuid import uuid4

from blocktool.analysis.matched_cases import matched
from blocktool.analysis.measured_figures import Judge, bare
from blocktool.analysis.significance import FALSE_ALARM, LOOKS
from blocktool.measure.request import CaseSpec, Request, Rule
from blocktool.measure.runner import WORKER, Listener, Runner
from blocktool.measure.workers import Progress, Workers
from blocktool.results.profile import Profile

PAIRS = 20
"""So many pairs of processes find a slowdown of 10% where a time varies by 5% from process to
process, in one minute and out of it; what else happens on a machine is simulated in
``tests/analysis/test_measured_figures.py`` and tried in ``tests/benchmarks/gate_trials.py``."""

DEFAULT_RULE = Rule(min_seconds=1.0, max_seconds=3.0, precision=0.02, processes=PAIRS)
"""How long each case of each target is timed, in all of its processes together."""

_TRIES = 3
"""Pairs that may go wrong before no more are begun."""

Row = tuple[CaseSpec | None, CaseSpec | None]


def spare_threads() -> int:
    """One less than the cores: where a module waits for its slowest thread, whatever else runs on
    one of them is in every time."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores - 1)


def run_both(
    old: Request,
    new: Request,
    rule: Rule = DEFAULT_RULE,
    *,
    timeout: float | None = 600.0,
    listener: Listener | None = None,
    verbose: bool = False,
    until: float | None = None,
) -> tuple[Profile, Profile]:
    """The profiles of two targets, measured side by side.

    Each case that both have is timed in ``rule.processes`` pairs of new processes, old and new,
    new and old, old and new, ...; the k-th of ``process_medians_ms`` of both are of one pair, and
    ``protocol.paired`` of both is the same name. Cases that only one has are measured in one
    process. Outcomes, ``timeout`` and interrupts are as in :func:`blocktool.measure.runner.run`;
    of a pair of which one process failed nothing is kept. The machine's limits are not measured.

    With ``until``, a share, a case of which that many pairs cannot tell whether its time changed by
    more than this gets as many again, and once more (:data:`LOOKS`), as on a machine that has other
    work to do. :func:`blocktool.analysis.compare_profiles.compare_profiles` allows for it.

    Raises BlocktoolError where a target, its inputs or the device are not what they should be.
    """
    told = listener or Listener()
    with Workers(WORKER, verbose=verbose) as first, Workers(WORKER, verbose=verbose) as second:
        both = _Both(
            _Side("old", first, old, rule, timeout, told),
            _Side("new", second, new, rule, timeout, told),
            rule.processes,
            until,
        )
        both.prepare()
        try:
            both.measure()
        except KeyboardInterrupt:
            both.interrupt()
        return both.profiles


class _Side(Runner):
    """One of the two; ``process`` is the number of the one that runs, of so many ``processes``, for
    those who watch."""

    def __init__(
        self,
        name: str,
        workers: Workers,
        request: Request,
        rule: Rule,
        timeout: float | None,
        listener: Listener,
    ) -> None:
        def progress(done: int, total: int, spec: CaseSpec | None, said: Progress) -> None:
            where = name if spec is None else f"{name}, pair {self.process} of {self.processes}"
            words = f"{where}: {said.doing}" if said.doing else where
            listener.progress(done, total, spec, replace(said, doing=words))

        request = replace(request, ceilings=False, find_max_batch=False)
        hears = Listener(progress, listener.case_done)
        super().__init__(workers, request, rule, timeout, hears)
        self.workers = workers
        self.process = 1
        self.processes = rule.processes


class _Both:
    """Two profiles in the making."""

    def __init__(self, old: _Side, new: _Side, pairs: int, until: float | None) -> None:
        self._sides = (old, new)
        self._pairs = pairs
        self._until = until
        self._rows: list[Row] = []

    @property
    def profiles(self) -> tuple[Profile, Profile]:
        """Both, as they are now."""
        old, new = self._sides
        return old.profile, new.profile

    def prepare(self) -> None:
        """Resolve both targets, and find which cases both have."""
        name = uuid4().hex
        for side in self._sides:
            side.prepare()
            side.workers.stop()
            paired = replace(side.profile.protocol, paired=name)
            side.profile = replace(side.profile, protocol=paired)
        self._rows = matched(*(side.specs for side in self._sides))
        for side, column in zip(self._sides, zip(*self._rows, strict=True), strict=True):
            side.specs = tuple(spec for spec in column if spec is not None)

    def measure(self) -> None:
        """All cases, one after another."""
        for row in self._rows:
            running = [
                self._turn(side, spec, begins=True)
                for side, spec in zip(self._sides, row, strict=True)
                if spec is not None
            ]
            if None not in row and all(running):
                self._in_pairs(row)
            for side, spec in zip(self._sides, row, strict=True):
                if spec is not None:
                    side.finish()

    def interrupt(self) -> None:
        """Kill what runs, and keep what was measured."""
        self._even()
        for side in self._sides:
            side.interrupt()

    def _in_pairs(self, row: Row) -> None:
        """More processes, each pair in the other order than the one before."""
        both = list(zip(self._sides, row, strict=True))
        failed = 0
        for pair in range(1, self._pairs * LOOKS):
            if pair % self._pairs == 0 and self._decided():
                return
            for side in self._sides:
                side.processes = self._pairs * (1 + pair // self._pairs)
            done = [
                spec is not None and self._turn(side, spec, pair=pair + 1)
                for side, spec in (reversed(both) if pair % 2 else both)
            ]
            if not all(done):
                self._even()
                failed += 1
            if failed == _TRIES:
                return

    def _decided(self) -> bool:
        """Whether it is known, as far as it is asked, what became of the running case."""
        if self._until is None:
            return True
        cases = sum(None not in row for row in self._rows)
        judge = Judge(self._until, side_by_side=True, error=FALSE_ALARM / LOOKS / cases)
        old, new = (side.medians_ms for side in self._sides)
        return judge.time(bare("latency_ms.p50", 1.0, 1.0), old, new).verdict != "inconclusive"

    def _turn(self, side: _Side, spec: CaseSpec, *, pair: int = 1, begins: bool = False) -> bool:
        """One process of one side, with nothing of the other left."""
        for each in self._sides:
            each.workers.stop()
        side.process = pair
        return side.begin(spec) if begins else side.again(spec)

    def _even(self) -> None:
        """Of a pair of which only one process came to its end, keep nothing."""
        processes = min(len(side.medians_ms) for side in self._sides)
        for side in self._sides:
            side.keep(processes)
