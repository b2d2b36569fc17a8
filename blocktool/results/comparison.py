"""What changed between two reports: the answer of ``blocktool compare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blocktool.results.environment import Environment

ComparedKind = Literal["summary", "profile", "check-shapes"]

Lane = Literal["exact", "measured"]
"""Counted or predicted, where any difference is a change; or taken from a run, where it must be
significant and larger than a threshold to be one."""

Verdict = Literal[
    "same",
    "increased",
    "decreased",
    "changed",
    "added",
    "removed",
    "inconclusive",
    "not compared",
]
"""``"changed"`` is for what is no number. ``"inconclusive"``: measured too seldom, or known too
badly, to be called the same or not. ``"not compared"``: the environments differ."""

ModuleVerdict = Literal["added", "removed", "renamed", "changed", "follows"]
"""``"changed"``: it is another class or built otherwise. ``"follows"``: it is as it was, and its
figures differ since what it gets does."""

StatementKind = Literal[
    "added",
    "removed",
    "renamed",
    "moved",
    "replaced",
    "configured",
    "inputs",
    "dtype",
    "shared",
    "trainable",
    "calls",
    "operations",
    "settings",
    "figures",
    "measured",
    "cases",
    "proofs",
]

CaseOutcome = Literal["passed", "failed", "skipped", "proved", "refuted", "not proved"]


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One figure on both sides. ``change`` is (new - old) / old, None where that makes no sense.

    ``module`` is the path of the module that the figure is of in the new report (in the old one
    where it is gone), None for the whole; ``case`` tells which case of a profile, None where there
    are none. ``low`` and ``high`` bound ``change`` of a measured figure. ``reason`` says why it is
    inconclusive or not compared.
    """

    metric: str
    old: float | int | str | None
    new: float | int | str | None
    change: float | None
    verdict: Verdict
    lane: Lane = "exact"
    module: str | None = None
    case: str | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    old_module: str | None = None
    """The module's path in the old report, where it is another."""


@dataclass(frozen=True, slots=True)
class ModuleChange:
    """One module that is not as it was; of those that came or went, the topmost of a subtree.

    ``old_path`` is None where it was added, ``new_path`` where it was removed. ``details`` are the
    differences of how it is built, in words (``"kernel_size (3, 3) -> (5, 5)"``); ``modules`` how
    many it consists of; ``effect`` the largest share of a total that its changes make up.
    """

    verdict: ModuleVerdict
    old_path: str | None
    new_path: str | None
    old_type: str | None
    new_type: str | None
    details: tuple[str, ...]
    metrics: tuple[MetricChange, ...]
    modules: int = 1
    effect: float = 0.0


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that was done, in words: ``"kernel_size (3, 3) -> (5, 5)"``.

    ``modules`` are the paths that it concerns; none where it is about the whole.
    """

    kind: StatementKind
    text: str
    modules: tuple[str, ...] = ()
    effect: float = 0.0


@dataclass(frozen=True, slots=True)
class CaseChange:
    """A case or a proof of check-shapes whose outcome is another; None: it is not there."""

    target: str
    case: str
    old: CaseOutcome | None
    new: CaseOutcome | None
    reason: str | None = None
    """Of a failure, what failed."""
    reproduce: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that breaks a rule of the gate. ``message`` says it in one sentence."""

    rule: str
    metric: str
    old: float | int | str | None
    new: float | int | str | None
    change: float | None
    message: str
    module: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What became of a rule: ``figures`` is how many it was held to, ``reason`` why it was skipped,
    or what should be known about a rule that passed."""

    rule: str
    outcome: Literal["passed", "failed", "skipped"]
    figures: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that differs between where the two reports were made.

    ``decisive`` is what figures depend on: the device, torch's version, the threads, ...
    """

    name: str
    old: str
    new: str
    decisive: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports: its name as it was given, what it is of, and where it was made."""

    name: str
    target: str
    environment: Environment
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer of ``blocktool compare``.

    ``old`` is None where one report was held to budgets alone. ``statements`` say what was done,
    the dearest first. ``totals`` has every figure of the whole, changed or not; ``modules`` what is
    not as it was, by effect; ``cases`` those of check-shapes. ``findings`` are what breaks a rule.
    """

    compares: ComparedKind
    old: Side | None
    new: Side
    statements: tuple[Statement, ...]
    totals: tuple[MetricChange, ...]
    modules: tuple[ModuleChange, ...]
    findings: tuple[Finding, ...] = ()
    rules: tuple[RuleOutcome, ...] = ()
    cases: tuple[CaseChange, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    threshold: float = 0.05
    """By how much a measured figure must differ to count, as a share."""
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was, or cannot be told."""
        return bool(
            self.statements
            or self.modules
            or self.cases
            or any(each.verdict != "same" for each in self.totals)
        )
