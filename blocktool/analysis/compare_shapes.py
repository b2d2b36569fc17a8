"""What changed between two reports of check-shapes: which cases fail now, and which no longer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from blocktool.analysis.figures import exact
from blocktool.results.comparison import CaseChange, CaseOutcome, MetricChange, Statement
from blocktool.results.shapes import Failed, Passed, Proof, ShapeCase, ShapeReport, Skipped

_OUTCOMES: dict[type, CaseOutcome] = {Passed: "passed", Failed: "failed", Skipped: "skipped"}
_GOOD = ("passed", "proved")
_BAD = ("failed", "refuted", "not proved")
_PROOF_OF = "proof of "
_NAMED = 3

Key = tuple[str, ...]
Numbered = tuple[Key, int]
ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class ShapeChanges:
    """The parts of a Comparison that two reports of check-shapes have."""

    totals: tuple[MetricChange, ...]
    cases: tuple[CaseChange, ...]
    statements: tuple[Statement, ...]


def compare_shapes(old: ShapeReport, new: ShapeReport) -> ShapeChanges:
    """Cases are the same where target, arguments, inputs, dtype, mode and memory format are; of
    several such (one without data, one on a device) the first is the first, and so on."""
    cases = tuple(
        sorted(
            [
                *_changes(_numbered(old.cases, _key), _numbered(new.cases, _key)),
                *_proof_changes(
                    _numbered(old.proofs, _proof_key), _numbered(new.proofs, _proof_key)
                ),
            ],
            key=lambda change: _rank(change),
        )
    )
    return ShapeChanges(tuple(_totals(old, new)), cases, tuple(_statements(old, new, cases)))


def _totals(old: ShapeReport, new: ShapeReport) -> Iterator[MetricChange]:
    counts = [Counter(_OUTCOMES[type(case.outcome)] for case in each.cases) for each in (old, new)]
    for outcome in _OUTCOMES.values():
        yield exact(outcome, *(count[outcome] for count in counts))
    yield exact("cases", len(old.cases), len(new.cases))
    if old.proofs or new.proofs:
        verdicts = [Counter(proof.verdict for proof in each.proofs) for each in (old, new)]
        for verdict in ("proved", "refuted", "not proved"):
            yield exact(verdict.replace(" ", "_"), *(count[verdict] for count in verdicts))


def _numbered(items: Iterable[ItemT], key: Callable[[ItemT], Key]) -> dict[Numbered, ItemT]:
    """The items by their keys, equal ones counted from 1."""
    times = Counter[Key]()
    found: dict[Numbered, ItemT] = {}
    for item in items:
        times[of := key(item)] += 1
        found[of, times[of]] = item
    return found


def _again(label: str, number: int) -> str:
    """``"1x3x32x32 · eval (2)"``, the label of the second case of one key."""
    return label if number == 1 else f"{label} ({number})"


def _key(case: ShapeCase) -> tuple[str, ...]:
    return (
        case.target,
        _text(case.arguments),
        "; ".join(map(str, case.inputs)),
        case.dtype,
        case.mode,
        case.memory_format,
    )


def _label(case: ShapeCase) -> str:
    """``"1x3x32x32 · bfloat16 · train · stride=2"``; what is usual goes without saying."""
    parts = ["; ".join(map(str, case.inputs)) or "no inputs"]
    # Inputs of another dtype than float32 name it themselves.
    if case.dtype != "float32" and case.dtype not in parts[0]:
        parts.append(case.dtype)
    parts.append(case.mode)
    if case.memory_format != "contiguous":
        parts.append(case.memory_format)
    return " · ".join([*parts, *_arguments(case.arguments)])


def _arguments(arguments: dict[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in arguments.items()]


def _text(arguments: dict[str, object]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)


def _changes(
    before: Mapping[Numbered, ShapeCase], new: Mapping[Numbered, ShapeCase]
) -> Iterator[CaseChange]:
    left = dict(before)
    for (key, number), case in new.items():
        was = left.pop((key, number), None)
        outcome = _OUTCOMES[type(case.outcome)]
        earlier = None if was is None else _OUTCOMES[type(was.outcome)]
        reason = case.outcome.message if isinstance(case.outcome, Failed) else None
        if was is not None and earlier == outcome:
            if not (isinstance(was.outcome, Failed) and isinstance(case.outcome, Failed)):
                continue
            if was.outcome.message == case.outcome.message:
                continue
        label = _again(_label(case), number)
        yield CaseChange(case.target, label, earlier, outcome, reason, case.reproduce)
    for (_, number), case in left.items():
        label = _again(_label(case), number)
        yield CaseChange(case.target, label, _OUTCOMES[type(case.outcome)], None)


def _proof_key(proof: Proof) -> tuple[str, ...]:
    return (proof.target, _text(proof.arguments), *proof.inputs)


def _proof_label(proof: Proof) -> str:
    return " · ".join([f"{_PROOF_OF}{'; '.join(proof.inputs)}", *_arguments(proof.arguments)])


def _proof_changes(
    before: Mapping[Numbered, Proof], new: Mapping[Numbered, Proof]
) -> Iterator[CaseChange]:
    left = dict(before)
    for (key, number), proof in new.items():
        was = left.pop((key, number), None)
        label = _again(_proof_label(proof), number)
        if was is None:
            yield CaseChange(proof.target, label, None, proof.verdict, proof.reason)
            continue
        reason = proof.reason
        if was.output != proof.output:
            reason = f"output {was.output} -> {proof.output}"
        elif was.constraints != proof.constraints:
            words = [" and ".join(each.constraints) or "all sizes" for each in (was, proof)]
            reason = f"runs at {words[0]} -> {words[1]}"
        elif was.verdict == proof.verdict:
            continue
        yield CaseChange(proof.target, label, was.verdict, proof.verdict, reason)
    for (_, number), proof in left.items():
        yield CaseChange(proof.target, _again(_proof_label(proof), number), proof.verdict, None)


def _rank(change: CaseChange) -> int:
    """What fails now first, then what fails otherwise, what no longer fails, came, and went."""
    if change.new in _BAD:
        return 0 if change.old not in _BAD else 1
    if change.old in _BAD:
        return 2
    return 3 if change.new is not None else 4


def _statements(
    old: ShapeReport, new: ShapeReport, cases: Iterable[CaseChange]
) -> Iterator[Statement]:
    groups: dict[tuple[bool, str], list[CaseChange]] = {}
    for change in cases:
        is_proof = change.case.startswith(_PROOF_OF)
        groups.setdefault((is_proof, _word(change)), []).append(change)
    for (is_proof, word), group in groups.items():
        targets = list(dict.fromkeys(change.target for change in group))
        noun, verbs = ("proof" if is_proof else "case"), word.split("|")
        one = len(group) == 1
        text = f"{len(group)} {noun}{'' if one else 's'} {verbs[0] if one else verbs[-1]}: "
        text += ", ".join(targets[:_NAMED])
        text += f" and {len(targets) - _NAMED} more" if len(targets) > _NAMED else ""
        if (group[0].new in _BAD or is_proof) and group[0].reason:
            text += f" ({group[0].reason})"
        yield Statement("proofs" if is_proof else "cases", text)
    contracts = [{each.target: each.contract for each in side.targets} for side in (old, new)]
    for target, before in contracts[0].items():
        after = contracts[1].get(target, before)
        if before != after:
            text = f"{target} is held to {before or 'nothing'} -> {after or 'nothing'}"
            yield Statement("settings", text)


def _word(change: CaseChange) -> str:
    """What became of a case: of one, and of several."""
    if change.new in _BAD:
        return "fails now|fail now" if change.old not in _BAD else "fails otherwise|fail otherwise"
    if change.old in _BAD:
        return (
            "no longer fails|no longer fail"
            if change.new
            else "that failed is gone|that failed are gone"
        )
    if change.old is None:
        return "is new|are new"
    if change.new is None:
        return "is gone|are gone"
    if change.old == change.new:
        return "says otherwise|say otherwise"
    return f"{change.old} -> {change.new}"
