"""Runs a whole profile from the outside: cases in a worker, outcomes, results as they come.

Needs no torch, so that the command line is there at once, and a crash is always someone else's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from blocktool.analysis.sampling import across_processes
from blocktool.errors import BlocktoolError, TargetError
from blocktool.measure.answers import Measured, Prepared, blank
from blocktool.measure.assumed import description
from blocktool.measure.conclusions import concluded
from blocktool.measure.in_worker import WorkerError
from blocktool.measure.largest import at_batch, largest_batch
from blocktool.measure.request import CaseSpec, Request, Rule
from blocktool.measure.unmeasured import hopeless, rescaled, with_samples
from blocktool.measure.variant_names import computed_dtypes
from blocktool.measure.workers import Progress, WorkerLostError, Workers
from blocktool.results.profile import Profile, ProfileCase, Protocol
from blocktool.results.watched import Watched

_WORKER = "blocktool.measure.worker"
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
    with Workers(_WORKER, verbose=verbose) as workers:
        runner = _Runner(workers, request, rule, timeout, listener or Listener())
        runner.prepare()
        try:
            runner.measure()
        except KeyboardInterrupt:
            runner.interrupt()
        return runner.profile


class _Runner:
    """One profile in the making."""

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
        self._specs: tuple[CaseSpec, ...] = ()
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
        self._specs = prepared.cases
        self.profile = Profile(
            target=prepared.name,
            root_type=prepared.root_type,
            environment=prepared.environment,
            machine=prepared.machine,
            protocol=Protocol(
                min_seconds=self._rule.min_seconds,
                max_seconds=self._rule.max_seconds,
                precision=self._rule.precision,
                timeout_seconds=self._timeout,
                cold_cache=self._rule.cold_cache,
                optimizer=self._optimizer(),
                isolated=True,
                processes=self._rule.processes,
            ),
            cases=(),
            ceilings=self._assumed,
            assumed=None if self._assumed is None else self._assumed.device,
            notes=prepared.notes,
        )

    def find_max_batch(self) -> None:
        """Search the largest batch that fits; without other batches it is the one to measure."""
        found = largest_batch(self._call, self._request, self._specs)
        self._workers.stop()  # its malloc has been told to give memory back at once: see limited()
        self.profile = replace(self.profile, max_batch=found)
        if not self._request.batches:
            largest = [at_batch(spec, found.batch) for spec in self._specs if found.batch]
            self._specs = tuple(largest)

    def measure(self) -> None:
        """All cases, one after another."""
        if self._request.find_max_batch:
            self.find_max_batch()
        if self._request.ceilings:
            self._measure_ceilings()
        for spec in self._specs:
            self._running = spec
            case = hopeless(spec, self.profile.cases) or self._case(spec)
            self._running = self._measured = None
            self._add(case)
        self._conclude()

    def interrupt(self) -> None:
        """Kill what runs, and keep what was measured."""
        running = self._running
        said = self._workers.progress()
        self._workers.stop()
        if self._measured is not None:
            self._add(self._measured)
        elif running is not None:
            case = replace(
                blank(running), outcome="skipped", kind="interrupted", reason="while it ran"
            )
            self._add(with_samples(case, said.samples, said.calls))
        for spec in self._specs[len(self.profile.cases) :]:
            self._add(
                replace(blank(spec), outcome="skipped", kind="interrupted", reason="not begun")
            )
        self.profile = replace(self.profile, interrupted=True)
        self._conclude()

    def _optimizer(self) -> str | None:
        return self._request.optimizer if "training" in self._request.modes else None

    def _measure_ceilings(self) -> None:
        dtypes = computed_dtypes(self._specs)
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
        if case.outcome == "failed":
            return self._with_samples(case)
        return self._in_more_processes(case, spec)

    def _in_more_processes(self, case: ProfileCase, spec: CaseSpec) -> ProfileCase:
        """The same case timed again in new processes, as many as were asked for."""
        if case.latency_ms is None or self._rule.processes == 1:
            return case
        self._measured = case
        each = [case.latency_ms]
        for _ in range(self._rule.processes - 1):
            self._workers.stop()
            try:
                each.append(self._call("time_again", self._request, spec, self._share))
            except (BlocktoolError, WorkerError, WorkerLostError) as error:
                note = f"not timed in another process: {error}"
                case = replace(case, notes=(*case.notes, note))
        joined = across_processes(each)
        case = replace(
            case,
            latency_ms=joined,
            precision=(joined.high - joined.low) / 2 / joined.p50,
            process_medians_ms=tuple(one.p50 for one in each),
        )
        return rescaled(case, each[0].p50)

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
        done, total = len(self.profile.cases) if self._specs else 0, len(self._specs)
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
