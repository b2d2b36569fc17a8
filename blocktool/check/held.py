"""Holds the cases of a module to the relation of sizes that they show together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from blocktool.analysis.contracts import Contract, contract_text, mismatch
from blocktool.analysis.expressions import Name, names_in, to_text
from blocktool.analysis.relations import Observation, find_relation
from blocktool.check.runner import Subject
from blocktool.check.tried import Tried, numel
from blocktool.results.shapes import Failed, Passed, Skipped


def hold(tried: Tried) -> None:
    """Change the outcomes of cases that do not follow the others, and say of those that break
    their contract what they follow instead."""
    _tell_relation(tried)
    _hold_to_relation(tried)
    _hold_to_something(tried)


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
                    f"the output does not follow the others: {wrong.message}",
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
    index = max(range(len(tried.ran)), key=lambda i: numel(tried.ran[i].case.inputs))
    ran = tried.ran[index]
    assert isinstance(ran.case.outcome, Skipped)
    reason = ran.case.outcome.reason
    failed = Failed("error", f"takes none of the inputs: {reason}", "a result", reason)
    tried.ran[index] = replace(ran, case=replace(ran.case, outcome=failed))
