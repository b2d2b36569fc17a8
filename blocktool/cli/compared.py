"""From the operands of ``blocktool compare`` to the reports that are compared."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blocktool.cli.errors import warn
from blocktool.errors import ReportError, UsageError

if TYPE_CHECKING:
    from blocktool.analysis.mismatches import Report


@dataclass(frozen=True)
class Asked:
    """What the options say of how reports are made, where they are not read."""

    targets: bool
    measure: bool
    inputs: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    dtype: str | None = None
    mode: str | None = None
    optimizer: str | None = None
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
    update: bool = False

    @property
    def baseline(self) -> str:
        """What ``--update`` writes to."""
        return self.old or ""

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
        if old == "-" and new == "-":
            raise UsageError("stdin holds one report", hint="name a file for the other")
        missing = old not in (None, "-") and _is_report(str(old)) and not os.path.exists(str(old))
        if missing and not update:
            raise ReportError(f"there is no baseline {old}", hint="make it from NEW with --update")
        return cls(old, new, asked, update)

    def load(self) -> tuple[Report | None, Report]:
        """Both reports: read, or made from the targets."""
        if self.asked.measure:
            return self._measured()
        old = new = None
        if self.old is not None and self._is_read(self.old) and not self._is_to_be_made:
            old = self._read(self.old)
        if self._is_read(self.new):
            new = self._read(self.new)
        read = old or new  # what is made is made like what is there already
        if self.old is not None and not self._is_read(self.old):
            old = self._made(self.old, like=read)
        return old, new or self._made(self.new, like=read)

    @property
    def _is_to_be_made(self) -> bool:
        """Whether the baseline is not there yet."""
        return self.update and self.old is not None and not os.path.exists(self.old)

    def _is_read(self, operand: str) -> bool:
        return not self.asked.targets or _is_report(operand)

    def _read(self, operand: str) -> Report | None:
        """A saved report; None for a baseline that is damaged, and about to be replaced."""
        from blocktool.analysis.compare import KINDS
        from blocktool.cli.baseline import is_replaceable
        from blocktool.render.reading import load

        try:
            report: Report = load(operand, *KINDS)
        except ReportError as error:
            if not self.update or operand != self.old or not is_replaceable(Path(operand)):
                raise
            warn(error.message)
            return None
        return report

    def _made(self, operand: str, *, like: Report | None) -> Report:
        from blocktool.cli.made_reports import summarized
        from blocktool.results.summary import Summary

        return summarized(operand, self.asked, like=like if isinstance(like, Summary) else None)

    def _measured(self) -> tuple[Report, Report]:
        from blocktool.cli.made_reports import measured

        if self.old is None or any(map(_is_report, (self.old, self.new))):
            raise UsageError(
                "--measure needs two targets", hint="it measures them side by side, in turn"
            )
        return measured(self.old, self.new, self.asked)


def _is_report(operand: str) -> bool:
    return operand == "-" or operand.lower().endswith(".json")
