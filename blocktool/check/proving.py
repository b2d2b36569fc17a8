"""Proofs for the modules of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from blocktool.analysis.contracts import parse_contracts
from blocktool.analysis.expressions import ExpressionError
from blocktool.check.chunk import prepared
from blocktool.check.group import Group
from blocktool.check.held import suspicious
from blocktool.check.numeric_runs import numeric_module
from blocktool.check.pattern import Pattern
from blocktool.check.pool import DiedError, run_all
from blocktool.check.promised import follow_promise
from blocktool.check.prove import follow_module, prove
from blocktool.check.tried import Tried
from blocktool.processes import processors
from blocktool.results.shapes import Proof
from blocktool.targets.arguments import parse_arguments

_TWO = {"B": 2}
"""A batch of 1 would be followed as a way of its own."""

Told = Callable[[str], None]
"""Called now and then with how far it is."""
Run = Callable[[Any], Any]


def prove_all(
    tried: Sequence[Tried], jobs: int | None = None, told: Told | None = None
) -> tuple[Proof, ...]:
    """What can be proved of each module that could be built, in the same order."""
    told = told or (lambda text: None)
    groups = [each.group for each in tried if each.subject is not None]
    at_hand = any(group.module is not None for group in groups)
    jobs = 1 if len(groups) == 1 or at_hand else jobs or processors()
    proofs: dict[int, Proof] = {}
    if jobs == 1:
        return tuple(prove_group(group, told) for group in groups)
    for index, proof in run_all(prove_group, groups, jobs):
        if isinstance(proof, DiedError):
            proof = _nothing(groups[index], str(proof))
        proofs[index] = proof
        told(f"{len(proofs)} of {len(groups)} proofs")
    return tuple(proofs[index] for index in sorted(proofs))


def prove_group(group: Group, told: Told | None = None) -> Proof:
    """What can be proved of the module of one group."""
    runs = {"ways followed": 0, "sizes run": 0}

    def counted(run: Run, what: str) -> Run:
        def call(sizes: Any) -> Any:
            runs[what] += 1
            if told is not None:
                done = ", ".join(f"{count} {name}" for name, count in runs.items())
                told(f"proving {group.target}: {done}")
            return run(sizes)

        return call

    subject, _ = prepared(group)
    pattern = subject.pattern
    if not pattern.base:
        return _nothing(group, "no size of its inputs varies")
    promised = None
    if subject.contracts is None and subject.block is not None:
        promised = follow_promise(subject.block, pattern.inputs)
    proof = prove(
        counted(follow_module(subject.module, pattern.inputs), "ways followed"),
        pattern.inputs,
        {**pattern.base, **{k: v for k, v in _TWO.items() if pattern.base.get(k) == 1}},
        numeric=counted(numeric_module(subject.module, pattern), "sizes run"),
        contract=subject.contracts,
        constants={**subject.arguments, **pattern.constants},
        where=group.sweep.where,
        promised=promised,
        target=group.target,
        arguments=parse_arguments(group.arguments),
    )
    held = subject.contracts is not None or subject.block is not None
    return proof if held else _unless_suspicious(proof, pattern)


def _unless_suspicious(proof: Proof, pattern: Pattern) -> Proof:
    """What a sweep of square maps does not show, the formula does: sides that change places."""
    if proof.output is None or proof.verdict != "proved":
        return proof
    try:
        relation = parse_contracts([proof.output])
    except ExpressionError:  # it has exceptions
        return proof
    odd = suspicious(relation, pattern)
    if odd is None:
        return proof
    return replace(proof, verdict="refuted", reason=f"{odd.message}; {odd.hint}")


def _nothing(group: Group, reason: str) -> Proof:
    arguments = dict(parse_arguments(group.arguments))
    return Proof(group.target, arguments, (), None, (), "not proved", reason)
