"""From failing cases to causes: one finding each, with the smallest input that shows it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from blocktool.analysis.contracts import mismatch, parse_contracts
from blocktool.analysis.where import NOT_SQUARE, Seen, failing_rule
from blocktool.check.causes import signature
from blocktool.check.chunk import RanCase, affordable, run_one
from blocktool.check.plan import PlannedCase
from blocktool.check.runner import Subject, run_case
from blocktool.check.shrink import shrink
from blocktool.check.subject import meant
from blocktool.check.tried import Tried, numel
from blocktool.results.shapes import Failed, Finding, Passed, ShapeCase, Skipped

_MOST_LOOKED_AT = 24

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


def find(tried: Sequence[Tried]) -> Iterator[Finding]:
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
            if looked_at < _MOST_LOOKED_AT and each.subject is not None and _alone(smallest):
                looked_at += 1
                found = _confirmed(each, each.subject, _smallest(each, each.subject, smallest))
                if isinstance(found, str):
                    largest = max(failing, key=_rank)
                    found = _confirmed(each, each.subject, largest)
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
        words = _words(key, groups, cause.smallest)
        yield Finding(_hinted(cause.smallest.case, words), len(cause.failing), count, words)


_MULTIPLE = re.compile(r"(\w+(?: or \w+)*) is (?:odd|no multiple of (\d+))")


def _hinted(case: ShapeCase, words: str | None) -> ShapeCase:
    """The case, whose hint knows where it fails."""
    outcome = case.outcome
    if words is None or not isinstance(outcome, Failed):
        return case
    hint = outcome.hint
    if words.endswith(NOT_SQUARE):
        hint = "height and width change places somewhere: square maps do not show it"
    elif found := _MULTIPLE.fullmatch(words):
        meant = " and ".join(f"{name} % {found[2] or 2} == 0" for name in found[1].split(" or "))
        hint = "; ".join(filter(None, (hint, f'if only these are meant, --where "{meant}"')))
    return replace(case, outcome=replace(outcome, hint=hint))


def _alone(ran: RanCase) -> bool:
    """Whether one case alone shows it, so that it can be made smaller and tried again."""
    return bool(ran.sizes) and not (ran.values or ran.refused or ran.deadly or ran.compared)


def _rank(ran: RanCase) -> tuple[bool, int, bool, bool]:
    """Small cases first; of what shows in comparison, one with different sizes above 1."""
    sizes = list(ran.sizes.values())
    plain = ran.compared and (len(set(sizes)) < len(sizes) or min(sizes, default=2) == 1)
    return plain, numel(ran.case.inputs), ran.case.dtype != "float32", ran.case.mode != "eval"


def _run(tried: Tried, values: bool) -> int:
    """Cases that ran, without data or (``values``) with it."""
    return sum(
        ran.values == values and not isinstance(ran.case.outcome, Skipped) for ran in tried.ran
    )


def _words(key: Key, groups: Collection[Tried], smallest: RanCase) -> str | None:
    """Which cases fail, if one rule says it for all groups, the smallest case included."""
    shown = Seen(smallest.sizes, smallest.case.dtype, smallest.case.mode, failed=True)
    rules = set()
    for tried in groups:
        seen = [
            Seen(ran.sizes, ran.case.dtype, ran.case.mode, _key(ran) == key)
            for ran in tried.ran
            if not ran.values and (_key(ran) == key or isinstance(ran.case.outcome, Passed))
        ]
        if seen and not smallest.values:
            seen.append(shown)
        rules.add(failing_rule(seen) if seen else None)
    return rules.pop() if len(rules) == 1 else None


def _smallest(tried: Tried, subject: Subject, ran: RanCase) -> RanCase:
    """The smallest input that fails as this case does."""
    outcome = ran.case.outcome
    assert isinstance(outcome, Failed)
    planned = _planned(ran)
    device = ran.case.device
    if tried.group.sweep.as_given:
        return ran

    def fails(case: PlannedCase) -> Failed | None:
        if not meant(subject, tried.group.sweep, case.sizes):
            return None
        now = run_case(subject, case, device).outcome
        return now if isinstance(now, Failed) else None

    smaller, _ = shrink(planned, outcome, fails)
    if smaller == planned:
        return ran
    small = run_one(tried.group, subject, smaller, device)
    return _told_as(subject, ran, small) if outcome.kind == "shape" else small


def _told_as(subject: Subject, ran: RanCase, small: RanCase) -> RanCase:
    """A smaller case, with figures of its own, and the formula of the one that it stands for if it
    is right of both."""
    said, figures = ran.case.outcome, small.case.outcome
    if not (isinstance(said, Failed) and isinstance(figures, Failed)):
        return small
    _, equals, formula = (said.actual or "").partition(" = ")
    if not formula:
        return small
    sizes = subject.pattern.bindings(small.sizes)
    if mismatch(parse_contracts([formula]), small.case.outputs, sizes, in_order=True):
        return small
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
        return _told_as(subject, ran, told) if real.case.outcome.kind == "shape" else told
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
