"""What runs in a worker process: resolve the target once, then one case after another.

This module is what the server process imports before any worker is forked from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch

from blocktool.analysis.memory import peak_memory
from blocktool.errors import UsageError
from blocktool.measure import in_worker
from blocktool.measure.answers import Measured, Prepared
from blocktool.measure.case import CaseRun, Settings
from blocktool.measure.ceilings import measured_ceilings
from blocktool.measure.devices import chosen_device, make_current
from blocktool.measure.gpu_state import busy_at_first
from blocktool.measure.machine import machine
from blocktool.measure.memory_limits import free_memory, limited, out_of_memory
from blocktool.measure.outcomes import guarded
from blocktool.measure.plan import cases_of
from blocktool.measure.predicting import predicted_case
from blocktool.measure.records import record_of
from blocktool.measure.request import CaseSpec, Request, Rule
from blocktool.measure.subject import Subject, subject_of
from blocktool.results.profile import Latency, TriedBatch
from blocktool.results.roofline import Ceilings
from blocktool.results.specs import TensorSpec
from blocktool.targets.loading import user_code_running
from blocktool.targets.resolve import resolve
from blocktool.trace.environment import environment
from blocktool.trace.failures import forward_error
from blocktool.trace.limits import one_line
from blocktool.trace.optimizers import optimizer_factory

if TYPE_CHECKING:
    from blocktool.measure.accuracy import References


def _subject(request: Request) -> Subject:
    """The target of a request; a worker keeps it from case to case."""
    return _named(request.target, request.arguments, request.inputs, request.select)


@cache
def _named(
    name: str, arguments: tuple[str, ...], inputs: tuple[TensorSpec, ...], select: str | None
) -> Subject:
    with user_code_running():
        return subject_of(resolve(name, arguments), inputs or None, select)


@cache
def _references(request: Request) -> References | None:
    if len(request.variants) == 1:
        return None
    # Only here, with what fuses and quantizes behind it: a tenth of a second.
    from blocktool.measure.accuracy import References

    return References()


def prepare(request: Request) -> Prepared:
    """Resolve the target and list the cases.

    Raises what resolving a target raises, UsageError for a device that is not here, and what
    :func:`blocktool.measure.plan.cases_of` raises.
    """
    in_worker.tell("preparing", ())
    device = None if request.assume else _device(request)
    if "training" in request.modes:
        optimizer_factory(request.optimizer)  # refuses unknown names
    subject = _subject(request)
    cases = cases_of(request, subject)
    return Prepared(
        subject.name,
        type(subject.original).__name__,
        environment(),
        None if device is None else machine(device),
        cases,
    )


def ceilings(request: Request, dtypes: Sequence[str]) -> Ceilings:
    """What this machine can do at most, in the dtypes of the cases."""
    in_worker.tell("limits of the machine", ())
    return measured_ceilings(_device(request), dtypes)


def measure(
    request: Request, spec: CaseSpec, rule: Rule, limits: Ceilings | None, trace_wanted: bool
) -> Measured:
    """Measure one case. What goes wrong in it is its outcome, and no exception."""
    settings = Settings(
        _device(request),
        rule,
        request.optimizer,
        limits,
        request.per_module,
        request.trace_file if trace_wanted else None,
    )
    subject = _subject(request)
    run = CaseRun(subject, spec, settings, _references(request))
    return guarded(subject, spec, lambda: run.measured(in_worker.tell))


def predict(request: Request, spec: CaseSpec, limits: Ceilings) -> Measured:
    """What the case would take on a device of these limits; nothing is run."""
    subject = _subject(request)
    return guarded(
        subject, spec, lambda: Measured(predicted_case(subject, spec, limits, request.optimizer))
    )


def predicted_peak(request: Request, spec: CaseSpec) -> int:
    """Predicted peak live bytes of the eager module."""
    in_worker.tell(f"predicting the memory of batch {spec.batch}", ())
    attention = "cuda" if _device(request).type == "cuda" else "cpu"
    record = record_of(_subject(request), spec, request.optimizer, attention)
    return peak_memory(record).peak_live_bytes


def memory_limit(request: Request) -> tuple[int, str]:
    """Bytes that the largest batch may take, and who says so.

    Raises UsageError where the device does not say how much is free.
    """
    if request.memory_limit is not None:
        return request.memory_limit, "--memory-limit"
    found = free_memory(_device(request))
    if found is None:
        raise UsageError(
            f"{_device(request)} does not say how much memory is free",
            hint="give the limit: --memory-limit 8GiB",
        )
    return found


def try_batch(request: Request, spec: CaseSpec, limit_bytes: int) -> TriedBatch:
    """Run a batch, and say whether it fits into ``limit_bytes``.

    Raises what the module raises, unless it is for want of memory.
    """
    in_worker.tell(f"trying batch {spec.batch}", ())
    device = _device(request)
    settings = Settings(device, Rule(), request.optimizer)
    run = CaseRun(_subject(request), spec, settings, _references(request))
    batch = spec.batch or 0
    try:
        with user_code_running(), limited(device, limit_bytes):
            memory = run.memory()
    except BaseException as error:
        if not out_of_memory(error):
            given = _subject(request).arguments_of(spec.inputs)
            raise forward_error(error, _subject(request).name, None, given) from error
        reason = one_line(error)
        return TriedBatch(
            batch, fits=False, peak_bytes=None, predicted_peak_bytes=None, reason=reason
        )
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
    peak = None if memory is None else memory.peak_bytes
    return TriedBatch(batch, peak is None or peak <= limit_bytes, peak, None)


def time_again(request: Request, spec: CaseSpec, rule: Rule) -> Latency:
    """The times of a case in this process, and nothing else. Raises what the module raises."""
    settings = Settings(_device(request), rule, request.optimizer)
    run = CaseRun(_subject(request), spec, settings, _references(request))
    with user_code_running():
        return run.times(in_worker.tell)


@cache
def _chosen(name: str, threads: int | None) -> torch.device:
    if threads is not None:
        torch.set_num_threads(threads)
    device = chosen_device(name)
    make_current(device)
    busy_at_first(device)  # before there is any work of our own
    return device


def _device(request: Request) -> torch.device:
    return _chosen(request.device, request.threads)
