"""Measures one case: builds its module, times it, and looks at memory, error and modules apart."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from blocktool.analysis.summary import summarize_trace
from blocktool.measure.answers import Measured, blank
from blocktool.measure.changed import Changed
from blocktool.measure.clocks import clock_for
from blocktool.measure.memory import allocated, memory_use
from blocktool.measure.module_times import module_times
from blocktool.measure.request import CaseSpec, Rule
from blocktool.measure.static import Static
from blocktool.measure.step import Step
from blocktool.measure.steps import scope, state_of, step_for
from blocktool.measure.subject import Subject, tensors_in, tensors_of
from blocktool.measure.timing import timed
from blocktool.measure.trace_file import write_trace
from blocktool.measure.values import doubts_on_outputs
from blocktool.measure.watch import Watch
from blocktool.results.profile import Latency, MemoryUse, ModuleTimes, ProfileCase, VariantError
from blocktool.results.roofline import Ceilings
from blocktool.trace.limits import one_line
from blocktool.trace.tracer import torch_dtype

if TYPE_CHECKING:
    from blocktool.measure.accuracy import References

ResultT = TypeVar("ResultT")


class Tell(Protocol):
    """Hears what is being done, with the samples so far, in ms, and how many calls each is of."""

    def __call__(self, doing: str, samples: Sequence[float] = (), calls: int = 1) -> None:
        """Say it."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all cases."""

    device: torch.device
    rule: Rule
    optimizer: str = "sgd"
    ceilings: Ceilings | None = None
    per_module: bool = False
    trace_file: str | None = None


class CaseRun:
    """One case from the module to the figures. What the module raises comes through.

    ``references`` are there where there are variants, whose outputs are compared with them.
    """

    def __init__(
        self, subject: Subject, spec: CaseSpec, settings: Settings, references: References | None
    ) -> None:
        self._subject = subject
        self._spec = spec
        self._settings = settings
        self._references = references
        self._dtype = spec.dtype if spec.cast else None
        self._inputs = None if spec.as_given else spec.inputs
        self._notes: list[str] = []
        self._foreign = 0

    def measured(self, tell: Tell) -> Measured:
        """Run it. Raises Unavailable for a variant that cannot be had here."""
        spec, settings = self._spec, self._settings
        started = time.perf_counter()
        gc.collect()  # a module of the case before may hold itself in a circle
        self._foreign = allocated(settings.device)
        tell("building", ())
        ready = self._changed()
        step = self._step(ready)
        tell("warming up")
        with scope(spec.mode):
            with Watch(settings.device) as watch:
                timing = timed(
                    step,
                    clock_for(settings.device, settings.rule.cold_cache),
                    settings.rule,
                    lambda samples, calls: tell("measuring", samples, calls),
                )
            taken = (timing.latency.samples, timing.latency.calls_per_sample)
            tell("memory", *taken)
            memory = self._kept("memory", lambda: self._memory(ready, step))
            self._notes += self._kept("outputs", lambda: doubts_on_outputs(ready)) or ()
        case = replace(
            blank(spec),
            latency_ms=timing.latency,
            phases_ms=timing.phases if len(timing.phases) > 1 else (),
            precision=timing.precision,
            warmup=timing.warmup,
            host_bound=timing.host_bound,
            memory=memory,
            peak_bytes=None if memory is None else memory.peak_bytes,
            error=self._kept("error", lambda: self._error(ready)),
        )
        static = Static(self._subject, spec, ready, settings.device, settings.optimizer)
        case = static.joined(case, settings.ceilings)
        with scope(spec.mode):
            if settings.trace_file is not None:
                tell("trace file", *taken)
                path = Path(settings.trace_file)
                self._kept("trace file", lambda: write_trace(step, path))
            if settings.per_module:
                tell("by module", *taken)
                times = self._kept(
                    "times by module", lambda: self._by_module(case, ready, step, static)
                )
                case = replace(case, modules=times)
        seconds = time.perf_counter() - started
        notes = (*ready.notes, *static.notes, *self._notes)
        # After such an error a GPU answers nothing any more in this process.
        spoiled = any("CUDA error" in note for note in notes)
        return Measured(replace(case, seconds=seconds, notes=notes), watch.watched, spoiled)

    def times(self, tell: Tell) -> Latency:
        """How long it takes, and nothing else."""
        ready = self._changed()
        step = self._step(ready)
        clock = clock_for(self._settings.device, self._settings.rule.cold_cache)
        with scope(self._spec.mode):
            hear = partial(tell, "measuring in another process")
            return timed(step, clock, self._settings.rule, hear).latency

    def memory(self) -> MemoryUse | None:
        """What one run needs, without timing it."""
        gc.collect()
        self._foreign = allocated(self._settings.device)
        ready = self._changed()
        step = self._step(ready)
        with scope(self._spec.mode):
            step.run()  # with the optimizer's state there, as in every step but the first
            return self._memory(ready, step)

    def _memory(self, ready: Changed, step: Step) -> MemoryUse | None:
        held = [*tensors_of(ready.module), *tensors_in(ready.arguments), *state_of(step)]
        return memory_use(step, held, self._foreign)

    def _changed(self) -> Changed:
        spec, device = self._spec, self._settings.device
        module = self._subject.fresh(device, self._dtype, train=spec.mode != "inference")
        arguments = self._subject.with_values(self._inputs, device, self._dtype)
        autocast = torch_dtype(spec.dtype) if spec.amp else None
        if self._references is None:
            return Changed(module, arguments, autocast)
        # Only here, with what fuses and quantizes behind it: a tenth of a second.
        from blocktool.measure.variants import changed

        return changed(spec.variant, module, arguments, spec.mode, autocast=autocast)

    def _step(self, ready: Changed) -> Step:
        return step_for(
            ready.module,
            ready.arguments,
            self._spec.mode,
            self._settings.device,
            autocast=ready.autocast,
            optimizer=self._settings.optimizer,
        )

    def _error(self, ready: Changed) -> VariantError | None:
        if self._references is None:
            return None
        error = self._references.error(self._subject, self._spec, ready)
        if self._references.reason is not None:
            self._notes.append(f"not compared with eager: {self._references.reason}")
        return error

    def _by_module(
        self, case: ProfileCase, ready: Changed, step: Step, static: Static
    ) -> ModuleTimes | None:
        """None, with a note, where there is no record that says what each module does."""
        record = static.own or static.eager
        if record is None or case.latency_ms is None:
            self._notes.append("times by module: none, since the module cannot be traced")
            return None
        whole = case.latency_ms.p50
        times = module_times(ready.module, step, whole, summarize_trace(record))
        return static.with_rooflines(times, self._settings.ceilings)

    def _kept(self, what: str, run: Callable[[], ResultT]) -> ResultT | None:
        """What ``run`` gives. What goes wrong after the timing is a note; the times are kept."""
        try:
            return run()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._notes.append(f"{what}: {one_line(error)}")
            return None
