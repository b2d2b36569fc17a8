"""From the cases that ran to what a person must know: causes, relations, refusals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from blocktool.analysis.contracts import Contract, contract_text, mismatch
from blocktool.analysis.expressions import Name, names_in, to_text
from blocktool.analysis.relations import Observation, find_relation
from blocktool.analysis.where import NOT_SQUARE, Seen, failing_rule
from blocktool.check.causes import signature
from blocktool.check.chunk import RanCase, affordable, run_one
from blocktool.check.group import Group
from blocktool.check.plan import PlannedCase
from blocktool.check.runner import Subject, run_case
from blocktool.check.shrink import shrink
from blocktool.results.shapes import (
    CheckedTarget,
    Failed,
    Finding,
    Passed,
    Refusal,
    ShapeCase,
    Skipped,
)
from blocktool.results.specs import TensorSpec

_MOST_LOOKED_AT = 24


@dataclass
class Tried:
    """A group, its module where it could be built, and the cases that ran."""

    group: Group
    subject: Subject | None
    ran: list[RanCase] = field(default_factory=list)
    relation: tuple[Contract, ...] | None = None


def report_of(
    tried: Sequence[Tried],
) -> tuple[tuple[CheckedTarget, ...], tuple[Finding, ...], tuple[ShapeCase, ...]]:
    """Targets, findings and cases of a report. Relations that are found are held against their
    cases here, and failing cases are shrunk."""
    for each in tried:
        _tell_relation(each)
        _hold_to_relation(each)
        _hold_to_something(each)
    findings = tuple(_findings(tried))
    names = dict.fromkeys(each.group.target for each in tried)
    targets = tuple(_checked(name, [e for e in tried if e.group.target == name]) for name in names)
    cases = tuple(ran.case for each in tried for ran in each.ran)
    return targets, findings, cases


def _tell_relation(tried: Tried) -> None:
    """Say of outputs that break their contract what they follow instead, if one formula does."""
    subject = tried.subject
    if subject is None or (subject.contracts is None and subject.block is None):
        return
    broken = [
        (index, ran, ran.case.outcome)
        for index, ran in enumerate(tried.ran)
        if isinstance(ran.case.outcome, Failed)
        and ran.case.outcome.kind == "shape"
        and not ran.case.outcome.message.startswith("there is no")
        and ran.case.outputs
    ]
    if not broken:
        return
    seen = [
        Observation(subject.pattern.bindings(ran.sizes), ran.case.outputs)
        for ran in tried.ran
        if ran.case.outputs and ran.case.mode == broken[0][1].case.mode
    ]
    relation = find_relation(seen, subject.pattern.letters)
    if relation is None:
        return
    found = contract_text(relation)
    wanted = contract_text(subject.contracts) if subject.contracts else "what output_shape says"
    for index, ran, outcome in broken:
        if mismatch(relation, ran.case.outputs, subject.pattern.bindings(ran.sizes)) is None:
            told = replace(
                outcome,
                message=f"out = {found}, not {wanted}",
                actual=f"{outcome.actual} = {found}",
            )
            tried.ran[index] = replace(ran, case=replace(ran.case, outcome=told))


def _hold_to_relation(tried: Tried) -> None:
    """Find the relation of input and output sizes where nothing says what it is to be, and hold
    every case to it."""
    subject = tried.subject
    if subject is None or subject.contracts is not None or "shape" in subject.skip:
        return
    if subject.block is not None:
        return
    for mode in ("eval", "train"):
        passed = [
            (index, ran)
            for index, ran in enumerate(tried.ran)
            if ran.case.mode == mode and isinstance(ran.case.outcome, Passed) and not ran.values
        ]
        seen = [
            Observation(subject.pattern.bindings(ran.sizes), ran.case.outputs) for _, ran in passed
        ]
        relation = find_relation(seen, subject.pattern.letters)
        if relation is None:
            continue
        tried.relation = tried.relation or relation
        odd = _suspicious(relation, subject)
        for (index, ran), observation in zip(passed, seen, strict=True):
            wrong = mismatch(relation, ran.case.outputs, observation.sizes)
            failed = odd
            if wrong is not None:
                failed = Failed(
                    "shape",
                    f"the output does not follow the other sizes': {_rank_or(wrong.message)}",
                    wrong.expected,
                    wrong.actual,
                    hint=_hint_for_deviation(ran.sizes),
                )
            if failed is not None:
                case = replace(ran.case, outcome=failed)
                tried.ran[index] = replace(ran, case=case)


def _hint_for_deviation(sizes: Mapping[str, int]) -> str:
    if sizes.get("B") == 1 and min(sizes.values()) == 1:
        return "a squeeze() without a dimension also removes a batch of 1; name the dimension"
    if min(sizes.values(), default=2) == 1:
        return "a size of 1 is broadcast: two paths give different sizes, which shows elsewhere"
    return "a special case in forward, or a size that is rounded?"


def _rank_or(message: str) -> str:
    return message.removeprefix("output: ")


def _suspicious(relation: Sequence[Contract], subject: Subject) -> Failed | None:
    """A relation that holds everywhere and is hardly meant."""
    letters = subject.pattern.letters
    if len(letters) < 2 or letters[0] != "B" or "B" not in subject.pattern.base:
        return None
    main = relation[0]
    found = contract_text(relation)
    if main.sizes and "batch" not in subject.skip and main.sizes[0] != Name("B"):
        others = names_in(main.sizes[0]) - {"B"}
        if "B" in names_in(main.sizes[0]) and others:
            return Failed(
                "batch",
                f"the batch is folded into {' and '.join(sorted(others))}: out = {found}",
                "B, ...",
                to_text(main.sizes[0]),
                hint=f'if it is meant, say so: --expect "{found}"',
            )
        if "B" not in names_in(main.sizes[0]) and len(main.sizes) > 1:
            return Failed(
                "batch",
                f"the first dimension of the output is not the batch: out = {found}",
                "B, ...",
                to_text(main.sizes[0]),
                hint=f'if it is meant, say so: --expect "{found}"',
            )
    if len(main.sizes) == 4 and len(letters) == 4:
        h, w = letters.index("H"), letters.index("W")
        first, second = (names_in(main.sizes[axis]) for axis in (h, w))
        if first == {"W"} and second == {"H"}:
            return Failed(
                "shape",
                f"height and width are swapped: out = {found}",
                "B, ..., H, W",
                "B, ..., W, H",
                hint=f'if it is meant, say so: --expect "{found}"',
            )
    return None


def _hold_to_something(tried: Tried) -> None:
    """A module that takes none of its inputs, or not its own, does not hold."""
    if tried.subject is None or not tried.ran:
        return
    if any(not isinstance(ran.case.outcome, Skipped) for ran in tried.ran):
        return
    index = max(range(len(tried.ran)), key=lambda i: _numel(tried.ran[i].case.inputs))
    ran = tried.ran[index]
    assert isinstance(ran.case.outcome, Skipped)
    reason = ran.case.outcome.reason
    failed = Failed("error", f"takes none of the inputs: {reason}", "a result", reason)
    tried.ran[index] = replace(ran, case=replace(ran.case, outcome=failed))


def _numel(inputs: Sequence[TensorSpec]) -> int:
    return sum(prod(spec.shape) for spec in inputs)


Key = tuple[str, str, str | None, str]


def _key(ran: RanCase) -> Key | None:
    outcome = ran.case.outcome
    if not isinstance(outcome, Failed):
        return None
    # How far an output is from its contract differs from size to size; the cause does not.
    words = "" if outcome.kind == "shape" and outcome.expected else signature(outcome.message)
    return ran.case.target, outcome.kind, outcome.module, words


@dataclass
class _Cause:
    """The failing cases of one cause, group by group, and the smallest case found."""

    failing: list[tuple[Tried, RanCase]]
    smallest: RanCase


def _findings(tried: Sequence[Tried]) -> Iterator[Finding]:
    """One finding for each cause, over all arguments at which it shows."""
    causes: dict[Key, _Cause] = {}
    looked_at = 0
    for each in tried:
        by_key: dict[Key, list[RanCase]] = {}
        for ran in each.ran:
            if key := _key(ran):
                by_key.setdefault(key, []).append(ran)
        for key, failing in by_key.items():
            smallest = min(failing, key=_rank)
            if looked_at < _MOST_LOOKED_AT and each.subject is not None and _alone(each, smallest):
                looked_at += 1
                found = _confirmed(each, each.subject, _smallest(each, each.subject, smallest))
                if isinstance(found, str):
                    _excuse(each, failing, found)
                    continue
                smallest = found
            cause = causes.setdefault(key, _Cause([], smallest))
            cause.failing += [(each, ran) for ran in failing]
            cause.smallest = min(cause.smallest, smallest, key=_rank)
    for key, cause in causes.items():
        groups = {id(each): each for each, _ in cause.failing}.values()
        values = cause.smallest.values
        count = sum(_run(each, values) for each in groups)
        words = _words(key, groups)
        yield Finding(_hinted(cause.smallest.case, words), len(cause.failing), count, words)


def _hinted(case: ShapeCase, words: str | None) -> ShapeCase:
    """The case, whose hint knows where it fails."""
    outcome = case.outcome
    if words is None or not words.endswith(NOT_SQUARE) or not isinstance(outcome, Failed):
        return case
    hint = "height and width change places somewhere: square maps do not show it"
    return replace(case, outcome=replace(outcome, hint=hint))


def _alone(tried: Tried, ran: RanCase) -> bool:
    """Whether one case alone shows it: not what was found by comparing cases, or values."""
    outcome = ran.case.outcome
    assert isinstance(outcome, Failed)
    compared = tried.relation is not None and outcome.kind in ("shape", "batch")
    return bool(ran.sizes) and not (ran.values or ran.refused or ran.deadly or compared)


def _rank(ran: RanCase) -> tuple[int, bool, bool]:
    return _numel(ran.case.inputs), ran.case.dtype != "float32", ran.case.mode != "eval"


def _run(tried: Tried, values: bool) -> int:
    """Cases that ran, without data or (``values``) with it."""
    return sum(
        ran.values == values and not isinstance(ran.case.outcome, Skipped) for ran in tried.ran
    )


def _words(key: Key, groups: Collection[Tried]) -> str | None:
    """Which cases fail, if one rule says it for all groups."""
    rules = set()
    for tried in groups:
        seen = [
            Seen(ran.sizes, ran.case.dtype, ran.case.mode, _key(ran) == key)
            for ran in tried.ran
            if not ran.values and (_key(ran) == key or isinstance(ran.case.outcome, Passed))
        ]
        rules.add(failing_rule(seen) if seen else None)
    return rules.pop() if len(rules) == 1 else None


def _smallest(tried: Tried, subject: Subject, ran: RanCase) -> RanCase:
    """The smallest input that fails as this case does."""
    outcome = ran.case.outcome
    assert isinstance(outcome, Failed)
    planned = _planned(ran)
    device = ran.case.device

    def fails(case: PlannedCase) -> Failed | None:
        now = run_case(subject, case, device).outcome
        return now if isinstance(now, Failed) else None

    smaller, _ = shrink(planned, outcome, fails)
    if smaller == planned:
        return ran
    small = run_one(tried.group, subject, smaller, device)
    return _told_as(ran, small) if outcome.kind == "shape" else small


def _told_as(ran: RanCase, small: RanCase) -> RanCase:
    """A smaller case, with the words of the one that it stands for and figures of its own."""
    said, figures = ran.case.outcome, small.case.outcome
    if not (isinstance(said, Failed) and isinstance(figures, Failed)):
        return small
    _, equals, formula = (said.actual or "").partition(" = ")
    actual = f"{figures.actual}{equals}{formula}"
    outcome = replace(figures, message=said.message, actual=actual)
    return replace(small, case=replace(small.case, outcome=outcome))


def _planned(ran: RanCase) -> PlannedCase:
    last = ran.case.memory_format == "channels-last"
    return PlannedCase(ran.sizes, ran.case.dtype, ran.case.mode, last)


def _confirmed(tried: Tried, subject: Subject, ran: RanCase) -> RanCase | str:
    """The case as it fails on the CPU, with real data; a reason where it does not fail there.

    The kernels that stand in for the device's without data are not right in every corner, and
    what they get wrong is no fault of the module.
    """
    if ran.case.device != "meta" or not affordable(subject.module):
        return ran
    real = run_one(tried.group, subject, _planned(ran), "cpu")
    if isinstance(real.case.outcome, Failed):
        reproduce = ran.case.reproduce  # shorter, and shows the same
        case = replace(real.case, device=ran.case.device, reproduce=reproduce)
        told = replace(real, case=case)
        return _told_as(ran, told) if real.case.outcome.kind == "shape" else told
    if isinstance(real.case.outcome, Passed):
        assert isinstance(ran.case.outcome, Failed)
        return f"holds on the CPU, not without data: {ran.case.outcome.message}"
    return real.case.outcome.reason


def _excuse(tried: Tried, failing: Sequence[RanCase], reason: str) -> None:
    """What fails without data alone is no failure."""
    excused = {id(ran) for ran in failing}
    for index, ran in enumerate(tried.ran):
        if id(ran) in excused:
            tried.ran[index] = replace(ran, case=replace(ran.case, outcome=Skipped(reason)))


def _checked(name: str, tried: Sequence[Tried]) -> CheckedTarget:
    ran = [each for one in tried for each in one.ran]
    counts = {
        cls: sum(isinstance(r.case.outcome, cls) for r in ran) for cls in (Passed, Failed, Skipped)
    }
    contract, source = _contract(tried)
    notes = tuple(
        dict.fromkeys(
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
        example = max(cases, key=lambda each: _numel(each.case.inputs)).case
        assert isinstance(example.outcome, Skipped)
        yield Refusal(
            example.outcome.reason,
            len(cases),
            " ".join(map(str, example.inputs)) or "its arguments",
        )
