"""What a shape report says, in words; shared by the formats that people read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from blocktool.results.shapes import (
    CheckedTarget,
    Failed,
    FailureKind,
    Finding,
    Refusal,
    ShapeCase,
    ShapeReport,
)
from blocktool.results.specs import TensorSpec

KINDS: dict[FailureKind, str] = {
    "shape": "wrong shape",
    "dtype": "wrong dtype",
    "layout": "memory format lost",
    "grad": "gradient missing",
    "repeat": "does not repeat itself",
    "batch": "items of a batch mix",
    "inplace": "input changed",
    "error": "raises an error",
    "build": "cannot be built",
}
"""Each kind of failure in a few words."""

_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+)', re.DOTALL)
_BLOCK = re.compile(r"^(?!\w*(Error|Exception)\b)\w+: ")  # "ConvBlock: ", and no "ValueError: "


def totals(report: ShapeReport) -> tuple[int, int, int]:
    """How many cases passed, failed and were skipped."""
    targets = report.targets
    return (
        sum(target.passed for target in targets),
        sum(target.failed for target in targets),
        sum(target.skipped for target in targets),
    )


def totals_line(report: ShapeReport) -> str:
    """``10,240 cases: 10,240 passed, 0 failed, 12 skipped in 21.3 s``; the skipped are apart."""
    passed, failed, skipped = totals(report)
    ran = passed + failed
    return (
        f"{ran:,} {'case' if ran == 1 else 'cases'}: {passed:,} passed, {failed:,} failed, "
        f"{skipped:,} skipped in {report.seconds:.1f} s"
    )


def verdict(report: ShapeReport) -> str:
    """``Shapes hold``, or what speaks against it."""
    against = []
    if found := len(report.findings):
        against.append(f"{found} {'finding' if found == 1 else 'findings'}")
    verdicts = Counter(proof.verdict for proof in report.proofs)
    against += [f"{verdicts[name]} {name}" for name in ("refuted", "not proved") if verdicts[name]]
    return f"Shapes do not hold: {', '.join(against)}" if against else "Shapes hold"


def arguments_text(arguments: Mapping[str, object]) -> str:
    """Constructor arguments as on the command line: ``stride=2 norm=null``."""
    return " ".join(f"{key}={_scalar(value)}" for key, value in arguments.items())


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_scalar, value))}]"
    return str(value)


def named(target: str, arguments: Mapping[str, object]) -> str:
    """A target with its arguments."""
    return f"{target} {arguments_text(arguments)}" if arguments else target


def inputs_text(specs: Sequence[TensorSpec]) -> str:
    """``1x20x32, mask=20x20:bool``."""
    return ", ".join(map(str, specs)) or "no inputs"


def case_text(case: ShapeCase) -> str:
    """Inputs and how it was run: ``1x3x7x7, train, bfloat16, on cpu``."""
    words = [inputs_text(case.inputs), case.mode]
    if case.dtype not in ("float32", *(spec.dtype for spec in case.inputs)):
        words.append(case.dtype)
    if case.memory_format != "contiguous":
        words.append(case.memory_format)
    if case.device != "meta":
        words.append(f"on {case.device}")
    return ", ".join(words)


def failure(case: ShapeCase) -> Failed:
    """The outcome of a finding's case, which is a failure."""
    if isinstance(case.outcome, Failed):
        return case.outcome
    return Failed("error", "failed")  # a report that was written by hand


def headline(finding: Finding) -> str:
    """What breaks, and in which module: ``net.py:Net, in 'head': RuntimeError: ...``."""
    failed = failure(finding.case)
    where = f", in '{failed.module}'" if failed.module else ""
    return f"{named(finding.case.target, finding.case.arguments)}{where}: {failed.message}"


def extent(finding: Finding) -> str:
    """``where H is odd: 12 of 40 cases``."""
    if finding.failed == finding.of:
        cases = "the only case" if finding.of == 1 else f"in all {finding.of:,} cases"
    else:
        cases = f"in {finding.failed:,} of {finding.of:,} cases"
    if finding.where is None or finding.where == "always":
        return cases
    alone = finding.where.startswith("in ")  # "in train mode where B is 1"
    return f"{finding.where if alone else f'where {finding.where}'}, {cases}"


def facts(finding: Finding) -> list[tuple[str, str]]:
    """What is known of a finding beside its headline, each with a label."""
    failed = failure(finding.case)
    # An exception is its own headline; what came out instead need not be said again.
    said = failed.actual is not None and failed.actual in failed.message
    told = [
        ("fails", extent(finding)),
        ("smallest", case_text(finding.case)),
        ("expected", None if said else failed.expected),
        ("actual", None if said else failed.actual),
        ("hint", failed.hint),
    ]
    return [(label, text) for label, text in told if text]


def held_to(target: CheckedTarget) -> str:
    """What the target's output was held to."""
    if target.contract_source == "output_shape":
        return "its output_shape"
    if target.contract_source == "none" or target.contract is None:
        return "no contract"
    return f"{target.contract} (found)" if target.contract_source == "found" else target.contract


def refusals(report: ShapeReport) -> list[tuple[str, str, str]]:
    """Who refuses how many cases, why, and an example.

    ``("conv refuses 14 of 120", "needs 224x224", "-i 1x3x32x32")``, or for a reason that several
    targets share ``("conv, se and 2 others refuse 35", ...)``; the most frequent first.
    """
    groups: dict[str, list[tuple[CheckedTarget, Refusal]]] = {}
    for target in report.targets:
        for refusal in target.refusals:
            reason = _BLOCK.sub("", refusal.reason)
            groups.setdefault(reason, []).append((target, refusal))
    told = []
    for reason, members in groups.items():
        cases = sum(refusal.cases for _, refusal in members)
        targets = list(dict.fromkeys(target.target for target, _ in members))
        if len(targets) == 1:
            target = members[0][0]
            whole = target.passed + target.failed + target.skipped
            who = f"{targets[0]} refuses {cases:,} of {whole:,}"
            reason = members[0][1].reason
        elif len(targets) == 2:
            who = f"{targets[0]} and {targets[1]} refuse {cases:,}"
        else:
            others = len(targets) - 2
            plural = "other" if others == 1 else "others"
            who = f"{targets[0]}, {targets[1]} and {others} {plural} refuse {cases:,}"
        told.append((cases, (who, reason, members[0][1].example)))
    return [line for _, line in sorted(told, key=lambda item: -item[0])]


def place(details: Sequence[str]) -> tuple[str, int] | None:
    """File and line of the innermost line of the user's code."""
    for line in reversed(details):
        if match := _FRAME.match(line):
            return match["file"], int(match["line"])
    return None
