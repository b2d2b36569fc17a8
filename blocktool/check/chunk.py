"""The work of one process of a sweep: some cases of one module, or its run on real data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.check.group import Group
from blocktool.check.plan import PlannedCase
from blocktool.check.refusals import is_refusal
from blocktool.check.reproduce import reproduce
from blocktool.check.runner import Ran, Subject, in_dtype, run_case
from blocktool.check.subject import cases_of, subject_of
from blocktool.check.values import check_values
from blocktool.errors import BlocktoolError
from blocktool.results.shapes import Failed, Passed, ShapeCase, Skipped
from blocktool.results.trace import OpTrace
from blocktool.targets.arguments import parse_arguments
from blocktool.trace.calls import calls_intercepted
from blocktool.trace.host_memory import available_memory, memory_needed
from blocktool.trace.limits import needs_data, one_line

_MOST_MACS = 30_000_000_000
"""What a run on real data that nobody asked for may cost, about a second or two."""
_RUNS = 3
_SMALLEST = 7
_TRIES = 8


@dataclass(frozen=True)
class RanCase:
    """A case with what the report needs to group it."""

    case: ShapeCase
    sizes: Mapping[str, int]
    refused: bool = False
    values: bool = False
    """Run on real data to see its values."""
    compared: bool = False
    """What failed shows in comparison with other cases only."""
    deadly: bool = False
    """It took its process down, and is not run again."""


_SUBJECTS: dict[tuple[str, tuple[str, ...]], tuple[Subject, list[PlannedCase]]] = {}
"""What this process has built, so that chunks of one group share a module."""


def prepared(group: Group) -> tuple[Subject, list[PlannedCase]]:
    """The subject of a group and its cases, built once in a process; errors as ``subject_of``."""
    key = (group.target, group.arguments)
    if key not in _SUBJECTS:
        subject = subject_of(group)
        _SUBJECTS[key] = (subject, cases_of(subject, group.sweep))
    return _SUBJECTS[key]


def forget() -> None:
    """Let go of every module that was built."""
    _SUBJECTS.clear()


def run_chunk(group: Group, start: int, stop: int, device: str) -> list[RanCase]:
    """The cases ``start`` to ``stop`` of a group, traced on ``device``."""
    subject, cases = prepared(group)
    with calls_intercepted():
        return [run_one(group, subject, case, device) for case in islice(cases, start, stop)]


def run_one(group: Group, subject: Subject, case: PlannedCase, device: str) -> RanCase:
    """One case, with the command that reproduces it."""
    began = time.perf_counter()
    ran = run_case(subject, case, device)
    seconds = time.perf_counter() - began
    return _told(group, case, ran, ran.trace.traced_on if ran.trace else device, seconds)


def _told(
    group: Group, case: PlannedCase, ran: Ran, device: str, seconds: float, values: bool = False
) -> RanCase:
    """``device`` is where it ran; on fake tensors that is without data as well."""
    without_data = device in ("meta", "fake")
    return RanCase(
        ShapeCase(
            target=group.target,
            arguments=dict(parse_arguments(group.arguments)),
            inputs=ran.inputs,
            outputs=ran.trace.outputs if ran.trace else (),
            dtype=case.dtype,
            mode=case.mode,
            device="meta" if without_data else device,
            outcome=ran.outcome,
            reproduce=reproduce(
                group.target,
                group.arguments,
                ran.inputs,
                dtype=case.dtype,
                mode=case.mode,
                channels_last=case.channels_last,
                device=device if values or not without_data else "meta",
                sweep=group.sweep,
                at_hand=group.module is not None,
            ),
            seconds=round(seconds, 6),
            memory_format="channels-last" if case.channels_last else "contiguous",
        ),
        case.sizes,
        ran.refused,
        values,
    )


def run_values(group: Group, device: str, asked: bool) -> RanCase | None:
    """The module once on real data, at a small size that it takes; None where it takes none.

    Unless it was ``asked`` for, a run that would be long or needs more memory than there is is
    skipped, with the reason.
    """
    subject, cases = prepared(group)
    dtypes = [case.dtype for case in cases]
    dtype = "float32" if "float32" in dtypes or not dtypes else dtypes[0]
    for case in _small_first(cases, dtype):
        ran = run_case(subject, case)
        if ran.trace is None or not isinstance(ran.outcome, Passed):
            continue
        reason = None if asked else _too_much(ran.trace)
        began = time.perf_counter()
        outcome = Skipped(reason) if reason else _values(subject, ran, ran.trace, device, dtype)
        seconds = time.perf_counter() - began
        return _told(group, case, replace(ran, outcome=outcome), device, seconds, values=True)
    return None


def _small_first(cases: Sequence[PlannedCase], dtype: str) -> list[PlannedCase]:
    """Cases in eval mode of different sizes, small but not tiny, with several items, first."""

    def rank(case: PlannedCase) -> tuple[bool, bool, int]:
        spatial = [size for symbol, size in case.sizes.items() if symbol != "B"]
        area = 1
        for size in spatial:
            area *= size
        return case.sizes.get("B", 2) < 2, min(spatial, default=_SMALLEST) < _SMALLEST, area

    plain = [
        case
        for case in cases
        if case.dtype == dtype and not case.channels_last and case.sizes.get("B", 1) <= 4
    ]
    ranked = sorted(plain, key=rank)
    eval_first = [replace(case, mode="eval") for case in ranked]
    unique = list(
        {tuple(sorted(case.sizes.items())): case for case in reversed(eval_first)}.values()
    )
    small = unique[::-1]
    # A module of one size only takes none of the small ones: its own is in the list as well.
    return [*small[:_TRIES], *small[-_TRIES:][::-1]]


def affordable(module: nn.Module) -> bool:
    """Whether there is memory enough to build the module with real parameters."""
    free = available_memory()
    held = sum(p.numel() * p.element_size() for p in module.parameters() if not is_lazy(p))
    return free is None or 4 * held < free


def _too_much(record: OpTrace) -> str | None:
    macs = sum(op.macs for op in record.ops) * _RUNS
    if macs > _MOST_MACS:
        return f"values were not checked: {macs / 1e9:.0f} GMACs on CPU; --device cpu runs them"
    free = available_memory()
    if free is not None and 2 * memory_needed(record) > free:
        return "values were not checked: they need more memory than there is"
    return None


def _values(
    subject: Subject, ran: Ran, record: OpTrace, device: str, dtype: str
) -> Failed | Passed | Skipped:
    inputs = tuple(in_dtype(spec, dtype) for spec in ran.inputs)
    try:
        failed = check_values(
            subject.build, inputs, record, device=device, dtype=dtype, skip=subject.skip
        )
    except BlocktoolError as error:
        return Skipped(f"values were not checked: {error.message}")
    except Exception as error:
        if is_refusal(error) or needs_data(error):
            return Skipped(f"values were not checked: {one_line(error)}")
        return Failed(
            "error",
            f"runs without data, but not with it: {one_line(error)}",
            "a result",
            one_line(error),
            hint="an index, a value or a state that depends on the data?",
        )
    return failed or Passed()
