"""What a case would take on a device that is only described: from traces, without running it."""

from __future__ import annotations

from dataclasses import replace

from blocktool.analysis.memory import peak_memory
from blocktool.analysis.roofline import ceiling_notes, roofline, under_autocast
from blocktool.measure.answers import blank
from blocktool.measure.changed import Unavailable
from blocktool.measure.records import macs_and_bytes, record_of
from blocktool.measure.request import CaseSpec
from blocktool.measure.subject import Subject, tensors_of
from blocktool.measure.variant_names import CASTS, DTYPES, parts
from blocktool.results.profile import ProfileCase
from blocktool.results.roofline import Ceilings
from blocktool.trace.structure import dtype_name


def predicted_case(
    subject: Subject, spec: CaseSpec, limits: Ceilings, optimizer: str
) -> ProfileCase:
    """The case on a device of these limits. MACs and bytes are those of the eager module; under
    autocast no peak is predicted, since a trace does not make its casts.

    Raises Unavailable for a variant of which no time is predicted, and what tracing raises.
    """
    cast, autocast = _precision(subject, spec)
    eager = record_of(subject, spec, optimizer, limits.kind)
    own = eager if cast is None else record_of(subject, spec, optimizer, limits.kind, cast)
    reached = limits if autocast is None else under_autocast(limits, autocast)
    dtype = cast or spec.dtype
    line = roofline(own.ops, reached, None, dtype)
    peak = peak_memory(own) if autocast is None else None
    macs, moved = macs_and_bytes(eager)
    return replace(
        blank(spec),
        outcome="skipped",
        kind="predicted",
        reason=f"predicted for {limits.device}, not run",
        macs=macs,
        moved_bytes=moved,
        roofline=line,
        predicted_memory=peak,
        predicted_peak_bytes=None if peak is None else peak.peak_live_bytes,
        throughput=_per_second(spec.batch, line.predicted_ms),
        notes=ceiling_notes(own.ops, limits, dtype, autocast=autocast),
    )


def _precision(subject: Subject, spec: CaseSpec) -> tuple[str | None, str | None]:
    """The dtype that the variant converts the module to, and that of the autocast it runs under.

    Raises Unavailable for a variant that changes anything else, and for one that changes nothing.
    """
    cast: str | None = None
    autocast = spec.dtype if spec.amp else None
    for name in parts(spec.variant):
        dtype = DTYPES.get(name)
        if dtype is None:
            raise Unavailable(f"not predicted: {name} has to run")
        if name in CASTS:
            _check_cast(subject, spec, dtype)
            cast = dtype
        elif autocast is not None:
            raise Unavailable(f"it runs under autocast to {autocast} already")
        else:
            autocast = dtype
    return cast, autocast


def _check_cast(subject: Subject, spec: CaseSpec, dtype: str) -> None:
    """As :func:`blocktool.measure.variants.changed` refuses it."""
    names = {dtype_name(x.dtype) for x in tensors_of(subject.original) if x.is_floating_point()}
    names |= {given.dtype for given in spec.inputs if "float" in given.dtype}
    if not names:
        raise Unavailable(f"there is nothing floating to convert to {dtype}")
    if ({spec.dtype} if spec.cast else names) == {dtype}:
        raise Unavailable(f"it is in {dtype} already")


def _per_second(batch: int | None, ms: float) -> float | None:
    return 1e3 * batch / ms if batch is not None and ms > 0 else None
