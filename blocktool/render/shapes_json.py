"""A shape report as it is published in JSON: an outcome's fields stand in its case.

In memory the outcome of a case is one of three classes; in a report it is a word, and the fields of
all three are there, null where they do not apply, so that every case has the same columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.shapes import (
    CaseMode,
    CheckedTarget,
    Failed,
    FailureKind,
    Finding,
    MemoryFormat,
    Outcome,
    Passed,
    Proof,
    ShapeCase,
    ShapeReport,
    Skipped,
)
from blocktool.results.specs import TensorSpec

OutcomeName = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class FlatCase:
    """A case and its outcome."""

    target: str
    arguments: dict[str, object]
    inputs: tuple[TensorSpec, ...]
    dtype: str
    mode: CaseMode
    outcome: OutcomeName
    kind: FailureKind | None
    expected: str | None
    actual: str | None
    reproduce: str
    message: str | None
    module: str | None
    hint: str | None
    details: tuple[str, ...]
    reason: str | None
    outputs: tuple[TensorSpec, ...]
    device: str
    seconds: float | None = None
    memory_format: MemoryFormat = "contiguous"


@dataclass(frozen=True, slots=True)
class FlatFinding:
    """A finding with its case."""

    case: FlatCase
    failed: int
    of: int
    where: str | None = None


@dataclass(frozen=True, slots=True)
class FlatReport:
    """A shape report; ``holds`` is its verdict, for those who read no further."""

    holds: bool
    environment: Environment
    seconds: float
    targets: tuple[CheckedTarget, ...]
    findings: tuple[FlatFinding, ...]
    cases: tuple[FlatCase, ...]
    proofs: tuple[Proof, ...] = ()
    stopped_early: bool = False


def flatten(report: ShapeReport) -> FlatReport:
    """The published form of a report."""
    return FlatReport(
        report.holds,
        report.environment,
        report.seconds,
        report.targets,
        tuple(
            FlatFinding(_flat(found.case), found.failed, found.of, found.where)
            for found in report.findings
        ),
        tuple(map(_flat, report.cases)),
        report.proofs,
        report.stopped_early,
    )


def unflatten(report: FlatReport) -> ShapeReport:
    """The report behind its published form."""
    return ShapeReport(
        report.environment,
        report.seconds,
        report.targets,
        tuple(
            Finding(_case(found.case), found.failed, found.of, found.where)
            for found in report.findings
        ),
        tuple(map(_case, report.cases)),
        report.proofs,
        report.stopped_early,
    )


def outcome_name(outcome: Outcome) -> OutcomeName:
    """``"passed"``, ``"failed"`` or ``"skipped"``."""
    if isinstance(outcome, Passed):
        return "passed"
    return "failed" if isinstance(outcome, Failed) else "skipped"


def _flat(case: ShapeCase) -> FlatCase:
    outcome = case.outcome
    failed = outcome if isinstance(outcome, Failed) else None
    return FlatCase(
        target=case.target,
        arguments={key: _argument(value) for key, value in case.arguments.items()},
        inputs=case.inputs,
        dtype=case.dtype,
        mode=case.mode,
        outcome=outcome_name(outcome),
        kind=failed.kind if failed else None,
        expected=failed.expected if failed else None,
        actual=failed.actual if failed else None,
        reproduce=case.reproduce,
        message=failed.message if failed else None,
        module=failed.module if failed else None,
        hint=failed.hint if failed else None,
        details=failed.details if failed else (),
        reason=outcome.reason if isinstance(outcome, Skipped) else None,
        outputs=case.outputs,
        device=case.device,
        seconds=case.seconds,
        memory_format=case.memory_format,
    )


def _case(flat: FlatCase) -> ShapeCase:
    outcome: Outcome = Passed()
    if flat.outcome == "failed":
        outcome = Failed(
            flat.kind or "error",
            flat.message or "",
            flat.expected,
            flat.actual,
            flat.module,
            flat.hint,
            flat.details,
        )
    elif flat.outcome == "skipped":
        outcome = Skipped(flat.reason or "")
    return ShapeCase(
        flat.target,
        flat.arguments,
        flat.inputs,
        flat.outputs,
        flat.dtype,
        flat.mode,
        flat.device,
        outcome,
        flat.reproduce,
        flat.seconds,
        flat.memory_format,
    )


def _argument(value: object) -> object:
    """What JSON can hold, as it is; anything else, which only Python can give, as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_argument(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _argument(item) for key, item in value.items()}
    return str(value)
