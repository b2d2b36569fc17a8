"""Joins what was measured with what is known without running: MACs, bytes, peaks, limits."""

from __future__ import annotations

from dataclasses import replace

import torch

from blocktool.analysis.memory import peak_memory
from blocktool.analysis.roofline import (
    ceiling_notes,
    module_rooflines,
    roofline,
    under_autocast,
)
from blocktool.errors import BlocktoolError
from blocktool.measure.changed import Changed
from blocktool.measure.records import macs_and_bytes, part_of, record_of
from blocktool.measure.request import CaseSpec
from blocktool.measure.subject import Subject
from blocktool.results.profile import ModuleTimes, ProfileCase
from blocktool.results.roofline import Ceilings
from blocktool.results.trace import OpTrace
from blocktool.trace.limits import one_line
from blocktool.trace.structure import dtype_name
from blocktool.trace.tracer import trace


class Static:
    """The records of a case: ``eager`` of the module as it is, whose MACs and bytes are those of
    every variant; ``own`` of the variant itself, which decides limits and the predicted peak. None
    where there is none, and ``notes`` say why."""

    def __init__(
        self,
        subject: Subject,
        spec: CaseSpec,
        ready: Changed,
        device: torch.device,
        optimizer: str,
    ) -> None:
        self._spec = spec
        self._ready = ready
        self._autocast = None if ready.autocast is None else dtype_name(ready.autocast)
        self._attention = "cuda" if device.type == "cuda" else "cpu"
        self._optimizer = optimizer
        self.notes: list[str] = []
        self.eager: OpTrace | None = None
        try:
            self.eager = record_of(subject, spec, optimizer, self._attention)
        except BlocktoolError as error:
            self.notes.append(f"MACs and bytes are not known: {one_line(error)}")
        self.own = self.eager if spec.variant == "eager" else self._of_variant()

    def joined(self, case: ProfileCase, ceilings: Ceilings | None) -> ProfileCase:
        """The case with throughput, rates, the predicted peak, and its place below the limits."""
        assert case.latency_ms is not None
        latency = case.latency_ms.p50
        if case.batch is not None and latency > 0:
            case = replace(case, throughput=1e3 * case.batch / latency)
        if self.eager is not None:
            macs, moved = macs_and_bytes(self.eager)
            case = replace(case, macs=macs, moved_bytes=moved)
            if latency > 0:
                case = replace(case, gflops=2 * macs / latency / 1e6, gbps=moved / latency / 1e6)
        if self.own is None:
            return case
        if self._autocast is None:  # whose casts a trace without data does not make
            peak = peak_memory(self.own)
            case = replace(case, predicted_memory=peak, predicted_peak_bytes=peak.peak_live_bytes)
        if ceilings is None:
            return case
        limits = self._limits(ceilings)
        self.notes += ceiling_notes(self.own.ops, ceilings, case.dtype, autocast=self._autocast)
        return replace(case, roofline=roofline(self.own.ops, limits, latency, case.dtype))

    def with_rooflines(self, times: ModuleTimes, ceilings: Ceilings | None) -> ModuleTimes:
        """Each module below the limits, too."""
        if ceilings is None or self.own is None:
            return times
        measured = {row.path: row.total_ms for row in times.rows}
        limits = self._limits(ceilings)
        known = module_rooflines(self.own, limits, measured, self._spec.dtype)
        rows = tuple(replace(row, roofline=known.get(row.path)) for row in times.rows)
        return replace(times, rows=rows)

    def _limits(self, ceilings: Ceilings) -> Ceilings:
        return ceilings if self._autocast is None else under_autocast(ceilings, self._autocast)

    def _of_variant(self) -> OpTrace | None:
        """None for what a trace does not see as it runs: compiled code and integer kernels."""
        if not self._ready.traceable:
            return None
        mode = self._spec.mode
        try:
            record = trace(
                self._ready.module,
                self._ready.arguments,
                mode="forward" if mode == "inference" else "training",
                attention=self._attention,
                optimizer=self._optimizer if mode == "training" else None,
            )
        except BlocktoolError as error:
            self.notes.append(f"its peak is not predicted: {one_line(error)}")
            return None
        return part_of(record, self._spec)
