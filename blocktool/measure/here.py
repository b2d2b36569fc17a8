"""``blocktool.profile``: the same measurement in the caller's own process, on a copy."""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import get_args

import torch
from torch import nn

from blocktool.errors import ModuleError, UsageError
from blocktool.measure.accuracy import References
from blocktool.measure.case import CaseRun, Settings
from blocktool.measure.ceilings import measured_ceilings
from blocktool.measure.conclusions import concluded
from blocktool.measure.devices import chosen_device, current
from blocktool.measure.gpu_state import busy_at_first
from blocktool.measure.machine import machine
from blocktool.measure.outcomes import guarded
from blocktool.measure.plan import cases_of
from blocktool.measure.request import Request, Rule
from blocktool.measure.subject import Subject
from blocktool.measure.variant_names import computed_dtypes, parse_variants
from blocktool.optimize.samples import own_random_numbers
from blocktool.results.profile import Profile, Protocol, RunMode
from blocktool.results.watched import Watched
from blocktool.targets.inputs import parse_dtype
from blocktool.trace.environment import environment
from blocktool.trace.inputs import Inputs
from blocktool.trace.tracer import unwrapped


def profile(
    module: nn.Module,
    inputs: Inputs,
    *,
    device: str = "auto",
    batch: int | Sequence[int] = (),
    size: int | Sequence[int | tuple[int, int]] = (),
    dtype: str | Sequence[str] = (),
    amp: bool = False,
    mode: RunMode | Sequence[RunMode] = "inference",
    variants: Sequence[str] = (),
    optimizer: str = "sgd",
    threads: int | None = None,
    min_seconds: float = 1.0,
    max_seconds: float = 5.0,
    precision: float = 0.02,
    cold_cache: bool = False,
    per_module: bool = False,
    ceilings: bool = True,
    name: str | None = None,
) -> Profile:
    """How ``module`` runs: latency, throughput and memory, measured in this process.

    A copy of the module is measured, and the module itself is left exactly as it was found, as are
    the generators of random numbers, the current device and torch's settings. What the command line
    does in a worker process happens here, so that running out of memory may end more than a case.
    Variants with ``compile`` call ``torch.compiler.reset()``: what the caller has compiled before
    is compiled again when it is next called.

    Args:
        module: any ``nn.Module`` that can be copied.
        inputs: as for :func:`blocktool.summarize`; shapes are filled with random values.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"xpu"``.
        batch: one or several leading sizes, in place of the inputs' own.
        size: one or several sizes: height and width, or the number of tokens.
        dtype: one or several floating dtypes of module and inputs; the module's own if empty.
        amp: low dtypes by autocast, with the module as it is.
        mode: ``"inference"``, ``"forward"`` (with autograd) or ``"training"`` (with backward and
            optimizer), or several.
        variants: names as on the command line: ``["fused", "compile+bf16"]``; eager is always
            among them.
        optimizer: of training: ``"sgd"``, ``"adamw"``, ...
        threads: of torch, meanwhile.
        min_seconds: how long a case is timed at least.
        max_seconds: how long at most, while the median is not known to ``precision``.
        precision: half the width of the 95% interval of the median, as a share of the median.
        cold_cache: clear the last-level cache before each sample.
        per_module: also the time of each module, in runs of their own.
        ceilings: also measure what the machine can do at most.
        name: how the module is called in the result; the class name if None.

    Raises:
        ModuleError: no case could be measured: the module raised, or memory ran out.
        InputError, UsageError: inputs, device, dtype or variants make no sense.
    """
    original, notes = unwrapped(module)
    sizes = (size,) if isinstance(size, int) else size
    modes: tuple[RunMode, ...] = (mode,) if isinstance(mode, str) else tuple(mode)
    for one in modes:
        if one not in get_args(RunMode):
            raise UsageError(
                f"unknown mode '{one}'", hint=f"choose from {', '.join(get_args(RunMode))}"
            )
    request = Request(
        target=name or type(original).__name__,
        device=device,
        batches=(batch,) if isinstance(batch, int) else tuple(batch),
        sizes=tuple((one,) if isinstance(one, int) else tuple(one) for one in sizes),
        dtypes=tuple(map(parse_dtype, (dtype,) if isinstance(dtype, str) else dtype)),
        amp=amp,
        modes=modes,
        variants=parse_variants(variants),
        optimizer=optimizer,
        threads=threads,
        per_module=per_module,
        ceilings=ceilings,
    )
    rule = Rule(min_seconds, max(min_seconds, max_seconds), precision, cold_cache)
    subject = Subject(request.target, lambda: original, inputs, shared=True)
    where = chosen_device(device)
    with _caller_kept(request, where):
        report = _measured(subject, request, rule, where)
    return replace(report, notes=(*notes, *report.notes))


def _measured(subject: Subject, request: Request, rule: Rule, device: torch.device) -> Profile:
    started = time.perf_counter()
    busy_at_first(device)  # before there is any work of our own
    specs = cases_of(request, subject)
    limits = measured_ceilings(device, computed_dtypes(specs)) if request.ceilings else None
    settings = Settings(device, rule, request.optimizer, limits, request.per_module)
    report = Profile(
        target=subject.name,
        root_type=type(subject.original).__name__,
        environment=environment(),
        machine=machine(device),
        protocol=Protocol(
            rule.min_seconds,
            rule.max_seconds,
            rule.precision,
            None,
            rule.cold_cache,
            request.optimizer if "training" in request.modes else None,
            isolated=False,
        ),
        cases=(),
        ceilings=limits,
    )
    references = References() if len(request.variants) > 1 else None
    watched: dict[int, Watched] = {}
    for spec in specs:
        run = CaseRun(subject, spec, settings, references)
        measured = guarded(
            subject,
            spec,
            partial(run.measured, _tell_nobody),
            passing=(KeyboardInterrupt,),
        )
        if measured.watched is not None:
            watched[spec.index] = measured.watched
        report = replace(report, cases=(*report.cases, measured.case))
    if not any(case.outcome == "passed" for case in report.cases):
        first = report.cases[0]
        raise ModuleError(f"{subject.name}: {first.reason}", details=first.details)
    return concluded(report, watched, time.perf_counter() - started)


def _tell_nobody(doing: str, samples: Sequence[float] = (), calls: int = 1) -> None:
    pass


@contextmanager
def _caller_kept(request: Request, device: torch.device) -> Iterator[None]:
    """Leaves the caller's process as it was, but for what is compiled."""
    compiles = any("compile" in variant for variant in request.variants)
    compiler = _compiler_settings() if compiles else nullcontext()
    with current(device), _threads(request.threads), _random_numbers(device), compiler:
        yield


@contextmanager
def _random_numbers(device: torch.device) -> Iterator[None]:
    """The generators of Python, numpy and torch, as they were afterwards."""
    state = random.getstate()
    try:
        with own_random_numbers(device), _random_numbers_of_numpy():
            yield
    finally:
        random.setstate(state)


@contextmanager
def _random_numbers_of_numpy() -> Iterator[None]:
    if "numpy" not in sys.modules:
        yield
        return
    import numpy as np

    state = np.random.get_state(legacy=False)
    try:
        yield
    finally:
        np.random.set_state(state)


@contextmanager
def _compiler_settings() -> Iterator[None]:
    """Those that compiling sets for good: here they are the caller's."""
    with warnings.catch_warnings():  # its import warns
        warnings.simplefilter("ignore")
        import torch._inductor.config as inductor
    with inductor.patch(compile_threads=inductor.compile_threads):
        yield


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(count)
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)
