"""Holds the cases of a module to the relation of sizes that they show together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from blocktool.analysis.contracts import Contract, Mismatch, contract_text, mismatch
from blocktool.analysis.expressions import Name, Node, names_in, to_text
from blocktool.analysis.relations import Observation, find_relation
from blocktool.check.pattern import Pattern
from blocktool.check.reproduce import reproduce_sweep
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
        if (
            mismatch(relation, ran.case.outputs, subject.pattern.bindings(ran.sizes), in_order=True)
            is None
        ):
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
        tried.relations[mode] = relation
        odd = None if "batch" in subject.skip else suspicious(relation, subject.pattern)
        for (index, ran), observation in zip(passed, seen, strict=True):
            wrong = mismatch(relation, ran.case.outputs, observation.sizes, in_order=True)
            failed = odd
            reproduce = reproduce_sweep(tried.group, ran.case.mode)
            if wrong is not None:
                failed = Failed(
                    "shape",
                    f"the output does not follow the others: {wrong.message}",
                    wrong.expected,
                    wrong.actual,
                    hint=_hint_for_deviation(wrong, ran.sizes),
                )
            if failed is not None:
                # One case alone would not show it: it shows where sizes are compared.
                case = replace(ran.case, outcome=failed, reproduce=reproduce)
                tried.ran[index] = replace(ran, case=case, compared=True)


def _hint_for_deviation(wrong: Mismatch, sizes: Mapping[str, int]) -> str:
    if "dimensions, expected" in wrong.message and sizes.get("B") == 1:
        return "a squeeze() without a dimension also removes a batch of 1; name the dimension"
    if min(sizes.values(), default=2) == 1:
        return "a size of 1 is broadcast: two paths give different sizes, which shows elsewhere"
    return "a special case in forward, or a size that is rounded?"


def suspicious(relation: Sequence[Contract], pattern: Pattern) -> Failed | None:
    """What is hardly meant, though it holds at every size: a batch that is folded away, height and
    width that change places."""
    letters = pattern.letters
    if not relation or len(letters) < 2 or letters[0] != "B" or "B" not in pattern.base:
        return None
    found = contract_text(relation)
    hint = f'if it is meant, say so: --expect "{found}"'
    for index, contract in enumerate(relation):
        if contract.sizes and (words := _about_the_batch(contract.sizes, further=index > 0)):
            got = to_text(contract.sizes[0])
            return Failed("batch", f"{words}: out = {found}", "B, ...", got, hint=hint)
    if len(letters) != 4:
        return None
    h, w = letters.index("H"), letters.index("W")
    for contract in relation:
        if len(contract.sizes) != 4:
            continue
        if names_in(contract.sizes[h]) == {"W"} and names_in(contract.sizes[w]) == {"H"}:
            words = f"height and width are swapped: out = {found}"
            return Failed("shape", words, "B, ..., H, W", "B, ..., W, H", hint=hint)
    return None


def _about_the_batch(sizes: Sequence[Node], *, further: bool) -> str | None:
    """What is odd about the first dimension. A further output may well be state that has the
    batch elsewhere, or none."""
    first = names_in(sizes[0])
    if "B" in first and (first - {"B"} or sizes[0] != Name("B")):
        into = " and ".join(sorted(first - {"B"})) or "something else"
        return f"the batch is folded into {into}"
    if "B" not in first and len(sizes) > 1 and not further:
        return "the first dimension of the output is not the batch"
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
