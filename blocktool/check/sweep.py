"""Runs the sweeps of any number of targets, and makes the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from blocktool.check.checked import report_of
from blocktool.check.chunk import RanCase, forget, prepared, run_chunk, run_one, run_values
from blocktool.check.group import Group
from blocktool.check.plan import PlannedCase
from blocktool.check.pool import DiedError, run_all, run_alone
from blocktool.check.proving import prove_all
from blocktool.check.refusals import refuses_arguments
from blocktool.check.reproduce import reproduce
from blocktool.check.runner import Subject
from blocktool.check.tried import Tried
from blocktool.errors import BlocktoolError, ModuleError, TargetError, UsageError
from blocktool.processes import processors
from blocktool.results.shapes import Failed, Proof, ShapeCase, ShapeReport, Skipped
from blocktool.results.specs import TensorSpec
from blocktool.targets.arguments import parse_arguments
from blocktool.trace.environment import environment
from blocktool.trace.tracer import checked_device

_CHUNK = 48
_CHUNK_SECONDS = 1.0
"""Cases, and seconds, after which a process hands in what it has."""
_WORTH_PROCESSES = 2.5
"""Seconds of work below which starting processes would not pay."""

Progress = Callable[[int, int, int], None]
"""Called with the cases done, all cases, and failures so far."""
Told = Callable[[str], None]
"""Called with how far the proofs are."""


@dataclass(frozen=True)
class Settings:
    """How a sweep is run. ``device`` None is: without data, and one small run with it."""

    device: str | None = None
    jobs: int | None = None
    fail_fast: bool = False
    prove: bool = False


@dataclass(frozen=True)
class _Piece:
    """Cases ``start`` to ``stop`` of a group; with ``start`` None its run on real data."""

    group: Group
    index: int
    start: int | None
    stop: int
    device: str


@dataclass
class _State:
    started: float
    tried: list[Tried] = field(default_factory=list)
    stopped: bool = False


def run_sweeps(
    groups: Sequence[Group],
    settings: Settings,
    progress: Progress | None = None,
    told: Told | None = None,
) -> ShapeReport:
    """Every case of every group, and what it shows; with ``prove`` also what can be proved.

    A single group whose module cannot be built raises what building raised; with several, that is
    an outcome like others. An interruption ends the sweep: the report then holds what was done
    before, with ``stopped_early``, and is attached to the KeyboardInterrupt as its argument.
    """
    if settings.device is not None and settings.device != "meta":
        try:
            checked_device(settings.device)
        except UsageError as error:
            raise UsageError(
                error.message, hint="leave out --device: every case runs without data then"
            ) from error
    state = _State(time.perf_counter())
    forget()
    planned = [_planned(group, state, single=len(groups) == 1) for group in groups]
    if not any(planned) and not any(each.ran for each in state.tried):
        raise UsageError(
            "no sizes are left to try", hint="--where leaves none of --size or the usual ones"
        )
    pace = _seconds_of_a_case(state, planned)
    pieces = [
        piece
        for index, cases in enumerate(planned)
        for piece in _pieces(groups[index], index, cases, settings, pace)
    ]
    try:
        _run(pieces, state, settings, pace, progress)
        found = (
            prove_all(state.tried, settings.jobs, told)
            if settings.prove and not state.stopped
            else ()
        )
    except KeyboardInterrupt:
        state.stopped = True
        raise KeyboardInterrupt(_report(state, ())) from None
    return _report(state, found)


def _planned(group: Group, state: _State, *, single: bool) -> list[PlannedCase]:
    """The cases of a group, none where its module cannot be built."""
    tried = Tried(group, None)
    state.tried.append(tried)
    try:
        subject, cases = prepared(group)
    except BlocktoolError as error:
        if single or not isinstance(error, (TargetError, ModuleError)):
            raise
        tried.ran.append(_unbuilt(group, error))
        return []
    tried.subject = subject
    return cases


def _seconds_of_a_case(state: _State, planned: Sequence[Sequence[PlannedCase]]) -> float:
    """How long a case takes, by one of the first module in eval mode; train takes twice that."""
    for tried, cases in zip(state.tried, planned, strict=True):
        forward = next((case for case in cases if case.mode == "eval"), None)
        if tried.subject is None or forward is None:
            continue
        for _ in range(2):  # the first call fills torch's caches
            began = time.perf_counter()
            run_one(tried.group, tried.subject, forward, "meta")
            seconds = time.perf_counter() - began
            if seconds > 1:
                break
        return 1.5 * seconds
    return 0.0


def _report(state: _State, proofs: tuple[Proof, ...]) -> ShapeReport:
    targets, findings, cases = report_of(state.tried)
    return ShapeReport(
        environment=environment(),
        seconds=time.perf_counter() - state.started,
        targets=targets,
        findings=findings,
        cases=cases,
        proofs=proofs,
        stopped_early=state.stopped,
    )


def _pieces(
    group: Group, index: int, cases: Sequence[PlannedCase], settings: Settings, pace: float
) -> Iterator[_Piece]:
    if not cases:
        return
    device = settings.device or "meta"
    length = max(1, min(_CHUNK, int(_CHUNK_SECONDS / max(pace, 1e-6))))
    for start in range(0, len(cases), length):
        yield _Piece(group, index, start, min(start + length, len(cases)), device)
    wanted = not {"repeat", "batch"} <= group.sweep.skip
    if settings.device != "meta" and wanted and any(case.mode == "eval" for case in cases):
        yield _Piece(group, index, None, 1, settings.device or "cpu")


def _run(
    pieces: Sequence[_Piece],
    state: _State,
    settings: Settings,
    pace: float,
    progress: Progress | None,
) -> None:
    total = sum(piece.stop - (piece.start or 0) for piece in pieces)
    done = failures = 0
    work = _Work(asked=settings.device is not None)
    # Where there is little to do, other processes would not pay.
    jobs = settings.jobs or (processors() if pace * total > _WORTH_PROCESSES else 1)
    results = run_all(work, pieces, jobs)
    try:
        for index, ran in results:
            piece = pieces[index]
            if isinstance(ran, DiedError):
                ran = _in_parts(work, piece)
            state.tried[piece.index].ran.extend(ran)
            done += piece.stop - (piece.start or 0)
            failures += sum(isinstance(each.case.outcome, Failed) for each in ran)
            if progress is not None:
                progress(done, total, failures)
            if settings.fail_fast and failures:
                state.stopped = done < total
                break
    finally:
        results.close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Work:
    """The function that processes run; ``asked`` tells that real data was asked for."""

    asked: bool

    def __call__(self, piece: _Piece) -> list[RanCase]:
        if piece.start is None:
            ran = run_values(piece.group, piece.device, self.asked)
            return [] if ran is None else [ran]
        return run_chunk(piece.group, piece.start, piece.stop, piece.device)


def _in_parts(work: _Work, piece: _Piece) -> list[RanCase]:
    """A piece that killed its process, half by half, each in a process of its own, until the case
    that does it is alone."""
    start = piece.start or 0
    if piece.stop - start <= 1:
        subject, cases = prepared(piece.group)
        return [_died(piece.group, subject, cases[start])]
    middle = (start + piece.stop) // 2
    ran: list[RanCase] = []
    for first, last in ((start, middle), (middle, piece.stop)):
        half = replace(piece, start=first, stop=last)
        done = run_alone(work, half)
        ran += _in_parts(work, half) if isinstance(done, DiedError) else done
    return ran


def _died(group: Group, subject: Subject, case: PlannedCase) -> RanCase:
    inputs = subject.pattern.at(case.sizes) or ()
    message = "the process died: a crash in compiled code, or too little memory"
    failed = Failed("error", message, "a result", "no process")
    return replace(_outcome(group, case, inputs, failed), deadly=True)


def _unbuilt(group: Group, error: BlocktoolError) -> RanCase:
    case = PlannedCase({}, "float32", "eval")
    if refuses_arguments(error):
        return _outcome(group, case, (), Skipped(error.message), refused=True)
    return _outcome(
        group,
        case,
        (),
        Failed("build", error.message, hint=error.hint, details=error.details),
    )


def _outcome(
    group: Group,
    case: PlannedCase,
    inputs: Sequence[TensorSpec],
    outcome: Failed | Skipped,
    refused: bool = False,
) -> RanCase:
    return RanCase(
        ShapeCase(
            target=group.target,
            arguments=dict(parse_arguments(group.arguments)),
            inputs=tuple(inputs),
            outputs=(),
            dtype=case.dtype,
            mode=case.mode,
            device="meta",
            outcome=outcome,
            reproduce=reproduce(
                group.target,
                group.arguments,
                tuple(inputs),
                dtype=case.dtype,
                mode=case.mode,
                channels_last=case.channels_last,
                device="meta",
                sweep=group.sweep,
            ),
        ),
        case.sizes,
        refused,
    )
