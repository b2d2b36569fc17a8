"""Runs a whole profile from the outside: cases in a worker, outcomes, results as they come.

Needs no torch, so that the command line is there at once, and a crash is always someone else's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from blocktool.errors import BlocktoolError, TargetError
from blocktool.measure.answers import Measured, Prepared, blank
from blocktool.measure.assumed import description
from blocktool.measure.begun import begun
from blocktool.measure.conclusions import concluded
from blocktool.measure.in_worker import WorkerError
from blocktool.measure.largest import at_batch, largest_batch
from blocktool.measure.request import CaseSpec, Request, Rule
from blocktool.measure.unmeasured import hopeless, interrupted, of_processes, with_samples
from blocktool.measure.variant_names import computed_dtypes
from blocktool.measure.workers import Progress, WorkerLostError, Workers
from blocktool.results.profile import Latency, Profile, ProfileCase
from blocktool.results.watched import Watched

WORKER = "blocktool.measure.worker"
_PREPARING = ("prepare", "ceilings", "memory_limit", "predicted_peak")
_PREPARING_SECONDS = 120.0
"""At least so much time has what comes before the cases: imports, the building of a module."""


@dataclass(frozen=True)
class Listener:
    """Who hears how it goes.

    ``progress`` is called ten times a second with the cases that are done, all of them, the one
    that runs and what it says; ``case_done`` after each case with the profile so far.
    """

    progress: Callable[[int, int, CaseSpec | None, Progress], None] = lambda *_: None
    case_done: Callable[[Profile], None] = lambda _: None


def run(
    request: Request,
    rule: Rule,
    *,
    timeout: float | None = 600.0,
    listener: Listener | None = None,
    verbose: bool = False,
) -> Profile:
    """The profile that was asked for.

    A case that fails, crashes, hangs or runs out of memory is an outcome, and the rest goes on;
    where memory or time ran out, larger batches of the same kind are left out. An interrupt ends
    it with what there is, which ``interrupted`` then says. ``timeout`` is that of a case, in
    seconds.

    Raises BlocktoolError where the target, its inputs or the device are not what they should be.
    """
    with Workers(WORKER, verbose=verbose) as workers:
        runner = Runner(workers, request, rule, timeout, listener or Listener())
        runner.prepare()
        try:
            runner.measure()
        except KeyboardInterrupt:
            runner.interrupt()
        return runner.profile


class Runner:
    """One profile in the making. ``specs`` are its cases, in the order in which they are run."""

    def __init__(
        self,
        workers: Workers,
        request: Request,
        rule: Rule,
        timeout: float | None,
        listener: Listener,
    ) -> None:
        self._workers = workers
        self._request = request
        self._rule = rule
        self._timeout = timeout
        self._assumed = None if request.assume is None else description(request.assume)
        self._listener = listener
        self._started = time.perf_counter()
        self._watched: dict[int, Watched] = {}
        self._running: CaseSpec | None = None
        self._measured: ProfileCase | None = None
        """The running case as its first process measured it, while others time it again."""
        self._times: list[Latency] = []
        """Its times in each process."""
        self.specs: tuple[CaseSpec, ...] = ()
        self.profile: Profile

    def prepare(self) -> None:
        """Resolve the target and list the cases."""
        try:
            prepared: Prepared = self._call("prepare", self._request)
        except (WorkerError, WorkerLostError) as error:
            raise TargetError(
                f"{self._request.target} cannot be prepared: {error}",
                hint="import and build it in a Python of its own to see why; --debug shows more",
                details=getattr(error, "details", ()),
            ) from error
        self.specs = prepared.cases
        self.profile = begun(prepared, self._request, self._rule, self._timeout, self._assumed)

    def find_max_batch(self) -> None:
        """Search the largest batch that fits; without other batches it is the one to measure."""
        found = largest_batch(self._call, self._request, self.specs)
        self._workers.stop()  # its malloc has been told to give memory back at once: see limited()
        self.profile = replace(self.profile, max_batch=found)
        if not self._request.batches:
            largest = [at_batch(spec, found.batch) for spec in self.specs if found.batch]
            self.specs = tuple(largest)

    def measure(self) -> None:
        """All cases, one after another."""
        if self._request.find_max_batch:
            self.find_max_batch()
        if self._request.ceilings:
            self._measure_ceilings()
        for spec in self.specs:
            if self.begin(spec):
                self._time_again(spec)
            self.finish()
        self._conclude()

    def begin(self, spec: CaseSpec) -> bool:
        """Measure a case in a first process, and say whether it can be timed in others."""
        self._running = spec
        self._times, self._measured = [], None
        case = hopeless(spec, self.profile.cases) or self._case(spec)
        self._measured = case
        if case.outcome != "passed" or case.latency_ms is None:
            return False
        self._times = [case.latency_ms]
        return True

    def again(self, spec: CaseSpec) -> bool:
        """Time the case once more, in a new process; where that fails a note of it says so."""
        self._workers.stop()
        try:
            self._times.append(self._call("time_again", self._request, spec, self._share))
        except (BlocktoolError, WorkerError, WorkerLostError) as error:
            assert self._measured is not None
            note = f"not timed in another process: {error}"
            self._measured = replace(self._measured, notes=(*self._measured.notes, note))
            return False
        return True

    def keep(self, processes: int) -> None:
        """Forget the times of the running case that came after so many processes."""
        del self._times[processes:]

    @property
    def medians_ms(self) -> tuple[float, ...]:
        """Of the running case, in each process in which it has been timed."""
        return tuple(each.p50 for each in self._times)

    def finish(self) -> None:
        """The running case is done."""
        assert self._measured is not None
        case = of_processes(self._measured, self._times)
        self._running = self._measured = None
        self._add(case)

    def interrupt(self) -> None:
        """Kill what runs, and keep what was measured."""
        running = self._running
        said = self._workers.progress()
        self._workers.stop()
        if self._measured is not None:
            self.finish()
        elif running is not None:
            case = interrupted(running, "while it ran")
            self._add(with_samples(case, said.samples, said.calls))
        for spec in self.specs[len(self.profile.cases) :]:
            self._add(interrupted(spec, "not begun"))
        self.profile = replace(self.profile, interrupted=True)
        self._conclude()

    def _measure_ceilings(self) -> None:
        dtypes = computed_dtypes(self.specs)
        try:
            ceilings = self._call("ceilings", self._request, dtypes)
        except (BlocktoolError, WorkerError, WorkerLostError) as error:
            note = f"the limits of this machine could not be measured: {error}"
            self.profile = replace(self.profile, notes=(*self.profile.notes, note))
            return
        self.profile = replace(self.profile, ceilings=ceilings)

    def _case(self, spec: CaseSpec) -> ProfileCase:
        began = time.perf_counter()
        limits = self.profile.ceilings
        try:
            measured: Measured = (
                self._call(
                    "measure", self._request, spec, self._share, limits, self._trace_wanted()
                )
                if self._assumed is None
                else self._call("predict", self._request, spec, limits)
            )
        except WorkerLostError as error:
            case = replace(
                blank(spec),
                outcome="failed",
                kind=error.kind,
                reason=error.reason,
                details=error.details,
                seconds=time.perf_counter() - began,
            )
            return self._with_samples(case)
        if measured.spoiled:
            self._workers.stop()
        if measured.watched is not None:
            self._watched[spec.index] = measured.watched
        case = measured.case
        return self._with_samples(case) if case.outcome == "failed" else case

    def _time_again(self, spec: CaseSpec) -> None:
        """In new processes, as many as were asked for."""
        for _ in range(self._rule.processes - 1):
            self.again(spec)

    @property
    def _share(self) -> Rule:
        """What of the time each process has."""
        rule, parts = self._rule, self._rule.processes
        return replace(
            rule, min_seconds=rule.min_seconds / parts, max_seconds=rule.max_seconds / parts
        )

    def _trace_wanted(self) -> bool:
        """The trace file is of the first case that passes."""
        asked = self._request.trace_file is not None
        return asked and not any(case.outcome == "passed" for case in self.profile.cases)

    def _with_samples(self, case: ProfileCase) -> ProfileCase:
        said = self._workers.progress()
        return with_samples(case, said.samples, said.calls)

    def _call(self, name: str, *args: Any) -> Any:
        done, total = len(self.profile.cases) if self.specs else 0, len(self.specs)
        hear = partial(self._listener.progress, done, total, self._running)
        timeout = self._timeout
        if timeout is not None and name in _PREPARING:
            timeout = max(timeout, _PREPARING_SECONDS)
        return self._workers.call(name, *args, timeout=timeout, meanwhile=hear)

    def _add(self, case: ProfileCase) -> None:
        self.profile = replace(self.profile, cases=(*self.profile.cases, case))
        self._conclude()
        self._listener.case_done(self.profile)

    def _conclude(self) -> None:
        seconds = time.perf_counter() - self._started
        self.profile = concluded(self.profile, self._watched, seconds)
