"""The largest batch that fits, with a worker to predict and to try. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from blocktool.errors import ModuleError, TraceError, UsageError
from blocktool.measure.max_batch import find_max_batch
from blocktool.measure.request import CaseSpec, Request
from blocktool.measure.variant_names import BASELINE
from blocktool.measure.workers import WorkerLostError
from blocktool.results.profile import MaxBatch, TriedBatch
from blocktool.targets.inputs import with_batch


def largest_batch(
    call: Callable[..., Any], request: Request, specs: Sequence[CaseSpec]
) -> MaxBatch:
    """The answer for the kind of case that ``specs`` have in common.

    ``call(name, *args)`` calls a function of the worker. Raises UsageError where there is more than
    one kind, or no batch to vary, and what the module raises at every batch.
    """
    # Eager stands beside every variant, as what it is compared with.
    asked = [spec for spec in specs if spec.variant != BASELINE] or list(specs)
    base = asked[0]
    if base.batch is None or len({(s.dtype, s.mode, s.variant, s.amp) for s in asked}) > 1:
        raise UsageError(
            "--find-max-batch takes one dtype, mode and variant, and an input with a batch",
            hint="call it once for each",
        )
    limit, source = call("memory_limit", request)

    def predict(batch: int) -> int | None:
        if base.variant != "eager" or base.amp:
            return None
        try:
            peak: int = call("predicted_peak", request, at_batch(base, batch))
            return peak
        except (ModuleError, TraceError, WorkerLostError):
            return None

    def run(batch: int) -> TriedBatch:
        try:
            tried: TriedBatch = call("try_batch", request, at_batch(base, batch), limit)
            return tried
        except WorkerLostError as error:
            return TriedBatch(batch, False, None, None, error.reason)

    found = find_max_batch(predict, run, limit, _least(call, request, base))
    return MaxBatch(
        base.dtype,
        base.mode,
        base.variant,
        limit,
        source,
        found.predicted,
        found.batch,
        found.bounded,
        found.tried,
    )


def _least(call: Callable[..., Any], request: Request, base: CaseSpec) -> int:
    """1, or the batch of the inputs where the module itself refuses one item, as batch norm does
    that trains on a single value."""
    try:
        call("predicted_peak", request, at_batch(base, 1))
    except ModuleError:
        return max(base.batch or 1, 1)
    except (TraceError, WorkerLostError):
        pass
    return 1


def at_batch(spec: CaseSpec, batch: int) -> CaseSpec:
    """The same case with another batch."""
    return replace(spec, batch=batch, inputs=with_batch(spec.inputs, batch), as_given=False)
