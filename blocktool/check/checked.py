"""The report of a sweep, from what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blocktool.analysis.contracts import contract_text
from blocktool.check.causes import signature
from blocktool.check.chunk import RanCase
from blocktool.check.findings import find
from blocktool.check.held import hold
from blocktool.check.tried import Tried, numel
from blocktool.results.shapes import (
    CheckedTarget,
    Failed,
    Finding,
    Passed,
    Refusal,
    ShapeCase,
    Skipped,
)


def report_of(
    tried: Sequence[Tried],
) -> tuple[tuple[CheckedTarget, ...], tuple[Finding, ...], tuple[ShapeCase, ...]]:
    """Targets, findings and cases of a report. Relations that are found are held against their
    cases here, and failing cases are shrunk."""
    for each in tried:
        hold(each)
    findings = tuple(find(tried))
    names = dict.fromkeys(each.group.target for each in tried)
    targets = tuple(_checked(name, [e for e in tried if e.group.target == name]) for name in names)
    cases = tuple(ran.case for each in tried for ran in each.ran)
    return targets, findings, cases


def _checked(name: str, tried: Sequence[Tried]) -> CheckedTarget:
    ran = [each for one in tried for each in one.ran]
    counts = {
        cls: sum(isinstance(r.case.outcome, cls) for r in ran) for cls in (Passed, Failed, Skipped)
    }
    contract, source = _contract(tried)
    notes = tuple(
        dict.fromkeys(_relations_by_mode(tried))
        | dict.fromkeys(
            r.case.outcome.reason
            for r in ran
            if isinstance(r.case.outcome, Skipped) and not r.refused
        )
    )
    return CheckedTarget(
        target=name,
        passed=counts[Passed],
        failed=counts[Failed],
        skipped=counts[Skipped],
        contract=contract,
        contract_source=source,  # type: ignore[arg-type]
        refusals=tuple(_refusals(ran)),
        notes=notes,
    )


def _relations_by_mode(tried: Sequence[Tried]) -> Iterator[str]:
    """What the contract that is shown does not say."""
    for each in tried:
        found = {mode: contract_text(relation) for mode, relation in each.relations.items()}
        if len(set(found.values())) > 1:
            yield f"in train mode out = {found['train']}"
        subject = each.subject
        held = subject is None or subject.contracts is not None or subject.block is not None
        passed = any(isinstance(ran.case.outcome, Passed) for ran in each.ran)
        if not held and not found and passed:
            yield "no formula gives the outputs' sizes, so they are held to nothing; try --expect"


def _contract(tried: Sequence[Tried]) -> tuple[str | None, str]:
    subjects = [each.subject for each in tried if each.subject is not None]
    if any(subject.contracts is not None for subject in subjects):
        return contract_text(subjects[0].contracts or ()), "expect"
    if any(subject.block is not None for subject in subjects):
        return "output_shape", "output_shape"
    relations = list(
        dict.fromkeys(contract_text(each.relation) for each in tried if each.relation is not None)
    )
    if not relations:
        return None, "none"
    more = f" (and {len(relations) - 1} more, by arguments)" if len(relations) > 1 else ""
    return relations[0] + more, "found"


def _refusals(ran: Sequence[RanCase]) -> Iterator[Refusal]:
    by_reason: dict[str, list[RanCase]] = {}
    for each in ran:
        if each.refused and isinstance(each.case.outcome, Skipped):
            by_reason.setdefault(signature(each.case.outcome.reason), []).append(each)
    for cases in by_reason.values():
        example = max(cases, key=lambda each: numel(each.case.inputs)).case
        assert isinstance(example.outcome, Skipped)
        train = all(each.case.mode == "train" for each in cases)
        shown = " -i ".join(map(str, example.inputs))
        given = " ".join(f"{key}={value}" for key, value in example.arguments.items())
        yield Refusal(
            example.outcome.reason + (" (in train mode)" if train else ""),
            len(cases),
            f"-i {shown}" if shown else given,
        )
