"""From the operands of ``blocktool compare`` to the reports that are compared."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blocktool.cli import profile_options, summary_options
from blocktool.cli.options import chosen
from blocktool.cli.profile_request import case_line, read_request
from blocktool.cli.streams import undisturbed
from blocktool.errors import ReportError, UsageError

if TYPE_CHECKING:
    from blocktool.analysis.compare import Report
    from blocktool.measure.request import CaseSpec, Request, Rule
    from blocktool.measure.workers import Progress
    from blocktool.results.profile import Profile
    from blocktool.results.summary import Summary


@dataclass(frozen=True)
class Asked:
    """What the options say of how reports are made, where they are not read."""

    targets: bool
    measure: bool
    inputs: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    dtype: str | None = None
    mode: str | None = None
    select: str | None = None
    device: str = "auto"
    threads: int | None = None
    processes: int | None = None
    min_time: str | None = None
    timeout: float | None = None
    threshold: float = 0.05
    quiet: bool = False
    verbose: bool = False

    def check(self) -> None:
        """UsageError for options that have nothing to do with the others."""
        of_targets = {
            "--input": bool(self.inputs),
            "--batch": bool(self.batch),
            "--dtype": self.dtype is not None,
            "--mode": self.mode is not None,
            "--select": self.select is not None,
            "--measure": self.measure,
        }
        of_measuring = {
            "--threads": self.threads is not None,
            "--processes": self.processes is not None,
            "--min-time": self.min_time is not None,
            "--device": self.device != "auto",
        }
        for name, given in of_targets.items():
            if given and not self.targets:
                raise UsageError(f"{name} is for --targets", hint="a saved report is what it is")
        for name, given in of_measuring.items():
            if given and not self.measure:
                raise UsageError(f"{name} is for --measure", hint="add --targets --measure")


@dataclass(frozen=True)
class Sides:
    """The two operands; ``old`` is None where there is one alone, or no baseline yet."""

    old: str | None
    new: str
    asked: Asked
    baseline: str = ""
    """What ``--update`` writes to."""

    @classmethod
    def of(cls, operands: list[str], asked: Asked, *, update: bool) -> Sides:
        """Check what was given. Raises UsageError, and ReportError for a baseline that is not
        there, unless it is to be made."""
        asked.check()
        if not 1 <= len(operands) <= 2:
            raise UsageError(
                f"two reports are compared, not {len(operands)}",
                hint="blocktool compare OLD.json NEW.json, or --targets OLD NEW",
            )
        old, new = operands if len(operands) == 2 else (None, operands[0])
        if update and old is None:
            raise UsageError("--update needs the baseline's name", hint="blocktool compare OLD NEW")
        if update and old is not None and asked.targets and not _is_report(old):
            raise UsageError(
                f"--update cannot write over the target {old}", hint="name a baseline, FILE.json"
            )
        baseline = old or ""
        if old is not None and not os.path.exists(old) and _is_report(old):
            if not update:
                raise ReportError(
                    f"there is no baseline {old}", hint="make it from NEW with --update"
                )
            old = None
        return cls(old, new, asked, baseline)

    def load(self) -> tuple[Report | None, Report]:
        """Both reports: read, or made from the targets."""
        if not self.asked.measure:
            old = None if self.old is None else self._report(self.old)
            return old, self._report(self.new)
        if self.old is None or any(map(_is_report, (self.old, self.new))):
            raise UsageError(
                "--measure needs two targets", hint="it measures them side by side, in turn"
            )
        return measured(self.old, self.new, self.asked)

    def _report(self, operand: str) -> Report:
        if self.asked.targets and not _is_report(operand):
            return summarized(operand, self.asked)
        from blocktool.analysis.compare import KINDS
        from blocktool.render.reading import load

        report: Report = load(operand, *KINDS)
        return report


def _is_report(operand: str) -> bool:
    return operand == "-" or operand.lower().endswith(".json")


def _words(operand: str) -> tuple[str, list[str]]:
    """``"conv stride=2"``: a target and its arguments."""
    if os.path.exists(operand):
        return operand, []
    try:
        words = shlex.split(operand)
    except ValueError as error:
        raise UsageError(f"'{operand}' cannot be read: {error}", hint='"conv stride=2"') from None
    if not words:
        raise UsageError("a target is empty", hint='name it: "conv stride=2"')
    return words[0], words[1:]


def summarized(operand: str, asked: Asked) -> Summary:
    """The summary of a target with its arguments; what is not asked for is as its budget says."""
    from blocktool.cli.settings import budgets
    from blocktool.cli.summarizing import summarize

    target, arguments = _words(operand)
    name = f"{target} {asked.select}" if asked.select else target
    if budget := budgets(Path.cwd()).get(name):
        asked = replace(
            asked,
            inputs=asked.inputs or budget.input,
            batch=asked.batch or ((budget.batch,) if budget.batch is not None else ()),
            dtype=asked.dtype or budget.dtype,
            mode=asked.mode or budget.mode,
        )
    with undisturbed(asked.verbose):
        return summarize(
            target,
            arguments,
            list(asked.inputs),
            batch=_one_batch(asked.batch),
            mode=chosen("--mode", asked.mode or "forward", summary_options.MODES),
            dtype=asked.dtype,
            select=asked.select,
        )


def _one_batch(texts: tuple[str, ...]) -> int | None:
    if not texts:
        return None
    if len(texts) > 1 or not texts[0].isdecimal() or int(texts[0]) < 1:
        raise UsageError(
            f"--batch: '{','.join(texts)}' is not one batch size",
            hint="several are for --measure; without it, one number",
        )
    return int(texts[0])


def measured(old: str, new: str, asked: Asked) -> tuple[Profile, Profile]:
    """The profiles of two targets, measured side by side."""
    from blocktool.cli.progress import Bar
    from blocktool.cli.signals import ends_interrupt
    from blocktool.measure.runner import Listener
    from blocktool.measure.server import start_server
    from blocktool.measure.side_by_side import run_both

    start_server()  # it imports torch while the rest is read here
    before, after = (_request(*_words(each), asked) for each in (old, new))
    bar = Bar("cases", hidden=asked.quiet)

    def progress(done: int, total: int, spec: CaseSpec | None, said: Progress) -> None:
        bar.tell(case_line(done, total, spec, said))

    try:
        with ends_interrupt():
            profiles = run_both(
                before,
                after,
                _rule(asked),
                timeout=asked.timeout,
                until=asked.threshold if asked.processes is None else None,
                listener=Listener(progress),
                verbose=asked.verbose,
            )
    finally:
        bar.clear()
    if any(profile.interrupted for profile in profiles):
        raise KeyboardInterrupt
    return profiles


def _request(target: str, arguments: list[str], asked: Asked) -> Request:
    modes = profile_options.listed([asked.mode] if asked.mode else None)
    return read_request(
        target,
        arguments,
        list(asked.inputs),
        select=asked.select,
        batch=list(asked.batch),
        dtype=profile_options.listed([asked.dtype] if asked.dtype else None),
        modes=modes or ("inference",),
        device=asked.device,
        threads=asked.threads,
    )


def _rule(asked: Asked) -> Rule:
    from blocktool.measure.side_by_side import DEFAULT_RULE

    rule = DEFAULT_RULE
    if asked.processes is not None:
        rule = replace(rule, processes=asked.processes)
    if asked.min_time is not None:
        least = profile_options.seconds("--min-time", asked.min_time)
        if least <= 0:
            raise UsageError("--min-time must be more than 0", hint="for example 2")
        rule = replace(rule, min_seconds=least, max_seconds=max(least, rule.max_seconds))
    return rule
