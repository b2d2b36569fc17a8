"""Measures one case: builds its module, times it, and looks at memory, error and modules apart."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from blocktool.analysis.memory import forward_part, peak_memory
from blocktool.analysis.roofline import ceiling_notes, module_rooflines, roofline
from blocktool.analysis.summary import summarize_trace
from blocktool.errors import BlocktoolError
from blocktool.measure.answers import Measured, blank
from blocktool.measure.changed import Changed
from blocktool.measure.clocks import clock_for
from blocktool.measure.memory import memory_use
from blocktool.measure.module_times import module_times
from blocktool.measure.request import CaseSpec, Rule
from blocktool.measure.step import Step
from blocktool.measure.steps import scope, state_of, step_for
from blocktool.measure.subject import Subject, tensors_in, tensors_of
from blocktool.measure.timing import Timing, timed
from blocktool.measure.trace_file import write_trace
from blocktool.measure.watch import Watch
from blocktool.results.profile import MemoryUse, ModuleTimes, ProfileCase, VariantError
from blocktool.results.roofline import Ceilings
from blocktool.results.trace import OpTrace
from blocktool.trace.limits import one_line
from blocktool.trace.tracer import torch_dtype, trace

if TYPE_CHECKING:
    from blocktool.measure.accuracy import References

Tell = Callable[[str, Sequence[float]], None]
"""Hears what is being done, and the samples taken so far, in ms."""


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

    def measured(self, tell: Tell) -> Measured:
        """Run it. Raises Unavailable for a variant that cannot be had here."""
        spec, settings = self._spec, self._settings
        started = time.perf_counter()
        gc.collect()  # a module of the case before may hold itself in a circle
        tell("building", ())
        ready = self._changed()
        self._notes += ready.notes
        step = self._step(ready)
        with scope(spec.mode):
            with Watch(settings.device) as watch:
                timing = timed(
                    step,
                    clock_for(settings.device, settings.rule.cold_cache),
                    settings.rule,
                    lambda samples: tell("measuring", samples),
                )
            tell("memory", timing.latency.samples)
            memory = self._memory(ready, step)
        case = replace(
            blank(spec),
            latency_ms=timing.latency,
            phases_ms=timing.phases if len(timing.phases) > 1 else (),
            precision=timing.precision,
            warmup=timing.warmup,
            memory=memory,
            peak_bytes=None if memory is None else memory.peak_bytes,
            error=self._error(ready),
        )
        case = self._counted(case, timing)
        case = self._predicted(case, ready)
        case = self._by_module(case, ready, step, tell)
        seconds = time.perf_counter() - started
        return Measured(replace(case, seconds=seconds, notes=tuple(self._notes)), watch.watched)

    def memory(self) -> MemoryUse | None:
        """What one run needs, without timing it."""
        ready = self._changed()
        step = self._step(ready)
        with scope(self._spec.mode):
            step.run()  # with the optimizer's state there, as in every step but the first
            return self._memory(ready, step)

    def _memory(self, ready: Changed, step: Step) -> MemoryUse | None:
        held = [*tensors_of(ready.module), *tensors_in(ready.arguments), *state_of(step)]
        return memory_use(step, held)

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

    def _trace(self) -> OpTrace:
        """The static record of the eager module."""
        device = self._settings.device.type
        record = self._subject.traced(
            self._inputs,
            self._dtype,
            self._spec.mode,
            self._settings.optimizer,
            "cuda" if device == "cuda" else "cpu",
        )
        return forward_part(record) if self._spec.mode == "forward" else record

    def _counted(self, case: ProfileCase, timing: Timing) -> ProfileCase:
        """With MACs, rates and the place below the ceilings."""
        latency = timing.latency.p50
        if case.batch is not None and latency > 0:
            case = replace(case, throughput=1e3 * case.batch / latency)
        try:
            record = self._trace()
        except BlocktoolError as error:
            self._notes.append(f"MACs and bytes are not known: {one_line(error)}")
            return case
        macs = sum(op.macs for op in record.ops)
        moved = sum(op.read_bytes + op.written_bytes for op in record.ops)
        case = replace(case, macs=macs, moved_bytes=moved)
        if latency > 0:
            case = replace(case, gflops=2 * macs / latency / 1e6, gbps=moved / latency / 1e6)
        ceilings = self._settings.ceilings
        if ceilings is None:
            return case
        self._notes += ceiling_notes(record.ops, ceilings, case.dtype)
        return replace(case, roofline=roofline(record.ops, ceilings, latency, case.dtype))

    def _predicted(self, case: ProfileCase, ready: Changed) -> ProfileCase:
        """With the peak that the trace of this very variant predicts."""
        try:
            record = self._trace() if case.variant == "eager" else self._variant_trace(ready)
        except BlocktoolError:
            record = None
        if record is None or ready.autocast is not None:
            return case
        peak = peak_memory(record)
        return replace(case, predicted_memory=peak, predicted_peak_bytes=peak.peak_live_bytes)

    def _variant_trace(self, ready: Changed) -> OpTrace | None:
        """None for what a trace does not see: compiled code and integer kernels."""
        if not ready.traceable:
            return None
        training = self._spec.mode != "inference"
        optimizer = self._settings.optimizer if self._spec.mode == "training" else None
        record = trace(
            ready.module,
            ready.arguments,
            mode="training" if training else "forward",
            attention="cuda" if self._settings.device.type == "cuda" else "cpu",
            optimizer=optimizer,
        )
        return forward_part(record) if self._spec.mode == "forward" else record

    def _error(self, ready: Changed) -> VariantError | None:
        if self._references is None:
            return None
        error = self._references.error(self._subject, self._spec, ready)
        if self._references.reason is not None:
            self._notes.append(f"not compared with eager: {self._references.reason}")
        return error

    def _by_module(self, case: ProfileCase, ready: Changed, step: Step, tell: Tell) -> ProfileCase:
        settings = self._settings
        assert case.latency_ms is not None
        with scope(case.mode):
            if settings.trace_file is not None:
                tell("trace file", case.latency_ms.samples)
                write_trace(step, Path(settings.trace_file))
            if not settings.per_module:
                return case
            tell("by module", case.latency_ms.samples)
            try:
                record = self._trace()
            except BlocktoolError:
                return case
            whole = case.latency_ms.p50
            times = module_times(ready.module, step, whole, summarize_trace(record))
        if settings.ceilings is not None:
            times = _with_rooflines(times, record, settings.ceilings, case.dtype)
        return replace(case, modules=times)


def _with_rooflines(
    times: ModuleTimes, record: OpTrace, ceilings: Ceilings, dtype: str
) -> ModuleTimes:
    measured = {row.path: row.total_ms - row.backward_ms for row in times.rows}
    known = module_rooflines(record, ceilings, measured, dtype)
    rows = tuple(replace(row, roofline=known.get(row.path)) for row in times.rows)
    return replace(times, rows=rows)
