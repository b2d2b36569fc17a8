"""What is said of a profile in words; shared by the table, Markdown and the line on stderr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from blocktool.render import units
from blocktool.render.profile_keys import Key, batch, items_shape, keys_of, named, whose
from blocktool.results.profile import (
    FailureKind,
    Machine,
    MaxBatch,
    Notice,
    Profile,
    ProfileCase,
    SkipKind,
    Verdict,
)
from blocktool.results.roofline import Ceilings

KINDS: dict[FailureKind | SkipKind, str] = {
    "error": "error",
    "out-of-memory": "out of memory",
    "crash": "crash",
    "killed": "killed",
    "exited": "ended itself",
    "timeout": "out of time",
    "hopeless": "not tried",
    "unavailable": "not available",
    "interrupted": "interrupted",
    "predicted": "predicted",
}
"""What came of a case that has no measured time, in a word or two."""


def place(profile: Profile) -> list[str]:
    """Where it ran: device, threads, torch."""
    told = []
    machine = profile.machine
    if machine is not None and profile.assumed is None:
        told.append(machine.name if machine.name == machine.device else _device(machine))
        if machine.device.startswith("cpu"):
            threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
            cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
            told.append(f"{threads} on {cores}")
        elif machine.driver:
            told.append(f"driver {machine.driver}")
    return [*told, f"torch {profile.environment.torch}"]


def _device(machine: Machine) -> str:
    return f"{machine.name} ({machine.device})"


def is_predicted(case: ProfileCase) -> bool:
    """Whether the case has a predicted time in place of a measured one."""
    return case.kind == "predicted" and case.roofline is not None


def has_time(case: ProfileCase) -> bool:
    """Whether there is a time to show."""
    return case.latency_ms is not None or is_predicted(case)


def prediction(profile: Profile) -> str | None:
    """That the times are no measurement, where they are none."""
    if profile.assumed is None:
        return None
    return f"prediction for {profile.assumed}: nothing was run"


def reason(case: ProfileCase) -> str:
    """Why a case has no time: ``out of memory: ...``."""
    word = KINDS[case.kind] if case.kind else case.outcome
    if case.kind == "out-of-memory" and case.predicted_peak_bytes is not None:
        word += f" ({units.size(case.predicted_peak_bytes)} predicted)"
    return f"{word}: {case.reason}" if case.reason else word


def conclusion(profile: Profile) -> str:
    """``4 cases measured, 1 failed (out of memory at batch 512)``: one line for stderr."""
    cases = profile.cases
    timed = [case for case in cases if case.outcome == "passed"]
    guessed = [case for case in cases if is_predicted(case)]
    failed = [case for case in cases if case.outcome == "failed"]
    skipped = [case for case in cases if case.outcome == "skipped" and not is_predicted(case)]
    told = []
    if guessed:
        told.append(f"{counted(len(guessed))} predicted for {profile.assumed or 'the device'}")
    if timed or not told:
        told.append(f"{counted(len(timed))} measured")
    if failed:
        told.append(f"{len(failed)} failed ({_where(failed, keys_of(cases))})")
    if skipped:
        told.append(f"{len(skipped)} skipped")
    if profile.max_batch is not None:
        told.append(f"largest batch {profile.max_batch.batch}")
    return ("interrupted: " if profile.interrupted else "") + ", ".join(told)


def counted(number: int) -> str:
    """``1 case``, ``4 cases``."""
    return "1 case" if number == 1 else f"{number} cases"


def _where(cases: Sequence[ProfileCase], keys: Sequence[Key]) -> str:
    """``out of memory at batch 512``, the kinds in their order with the first case of each."""
    told = []
    counts = Counter(case.kind for case in cases)
    for kind, count in counts.items():
        first = next(case for case in cases if case.kind == kind)
        word = KINDS[kind] if kind else "failed"
        place = named(first, keys)
        at = f"{word} at {place}" if place else word
        told.append(at if count == 1 else f"{at} and {count - 1} more")
    return "; ".join(told)


def warning(notice: Notice, cases: Sequence[ProfileCase]) -> str:
    """The message, with the cases that it is about."""
    where = whose(notice.cases, cases)
    return f"{where}: {notice.message}" if where else notice.message


def verdict(found: Verdict, verdicts: Sequence[Verdict]) -> tuple[str, str, str]:
    """Where, what to use, and why; where is empty for the only verdict there is."""

    def differ(show: Callable[[Verdict], object]) -> bool:
        return len({show(each) for each in verdicts}) > 1

    where = []
    if differ(lambda each: each.batch):
        where.append(batch(found.batch))
    if differ(lambda each: items_shape(each.inputs, each.batch)):
        where.append(f"size {items_shape(found.inputs, found.batch)}")
    if differ(lambda each: each.dtype):
        where.append(found.dtype)
    if differ(lambda each: each.mode):
        where.append(found.mode)
    return ", ".join(where), found.use, found.reason


def limits(ceilings: Ceilings) -> list[str]:
    """``limits of this machine (measured): 128.0 GFLOP/s float32``, and the other rates."""
    told = [f"{units.gflops(rate)} {dtype}" for dtype, rate in ceilings.gflops.items()]
    told.append(f"{units.gbytes(ceilings.gbps)} copy")
    told.append(f"{units.duration(ceilings.overhead_us / 1e3)} an operation")
    if ceilings.efficiency:
        reached = [f"{units.whole_percent(x)} of {name}" for name, x in ceilings.efficiency.items()]
        told.append(f"real operations reach {', '.join(reached)}")
    of = "this machine" if ceilings.source == "measured" else ceilings.device
    return [f"limits of {of} ({ceilings.source}): {told[0]}", *told[1:]]


def largest_batch(found: MaxBatch) -> str:
    """What the search for the largest batch came to."""
    what = f"{found.dtype}, {found.mode}" + (
        f", {found.variant}" if found.variant != "eager" else ""
    )
    fits = f"largest batch {found.batch:,}" if found.batch else "no batch fits, not even 1"
    next_up = min(
        (tried.batch for tried in found.tried if not tried.fits and tried.batch > found.batch),
        default=None,
    )
    if not found.bounded:
        bound = "a larger one may fit"
    else:
        bound = f"{next_up:,} does not fit" if next_up else "the next does not fit"
    return (
        f"{fits} ({what}) in {units.size(found.limit_bytes)} ({found.limit_source}); "
        + (f"{bound}; " if found.batch else "")
        + ("not predicted" if found.predicted is None else f"predicted {found.predicted:,}")
    )
