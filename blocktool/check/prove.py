"""Proves for which sizes a module runs, what comes out, and whether a contract follows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from blocktool.analysis.contracts import Contract, contract_text
from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Name,
    Node,
    Number,
    evaluate,
    parse,
)
from blocktool.analysis.ranges import OverdueError, UndecidedError, until
from blocktool.analysis.substitution import substitute
from blocktool.analysis.words import in_words
from blocktool.check.claims import claim
from blocktool.check.evidence import Answer, Evidence
from blocktool.check.explore import Budget, Exploration, Follow, explore
from blocktool.check.follows import Promise
from blocktool.check.outputs import Outputs, alternatives, output_text, outputs
from blocktool.check.tested import Numeric, Tested, tested
from blocktool.results.shapes import Constraint, Proof
from blocktool.results.symbolic import SymbolicRun, SymbolicTensor

if TYPE_CHECKING:
    from torch import nn


def follow_module(module: nn.Module, inputs: Sequence[SymbolicTensor]) -> Follow:
    """The runs with symbols of a module, for :func:`prove`."""
    from blocktool.trace.limits import one_line
    from blocktool.trace.symbolic import trace_symbolic

    def follow(hints: dict[str, int]) -> SymbolicRun:
        try:
            return trace_symbolic(module, inputs, hints, record=False)[0]
        except Exception as error:
            # Whatever it is, nothing is shown by it.
            return SymbolicRun(hints, tuple(inputs), (), (), (), limit=one_line(error))

    return follow


def prove(
    follow: Follow,
    inputs: Sequence[SymbolicTensor],
    base: Mapping[str, int],
    *,
    numeric: Numeric,
    contract: Sequence[Contract] | None = None,
    constants: Mapping[str, int] | None = None,
    where: str | None = None,
    promised: Follow | None = None,
    budget: Budget | None = None,
    target: str = "",
    arguments: Mapping[str, object] | None = None,
) -> Proof:
    """Follow the ways through a module and say what they show.

    Args:
        follow: one run with symbols, as :func:`follow_module` gives it.
        inputs: the inputs, with symbols.
        base: a usual size for each symbol.
        numeric: one run with numbers: the shapes of the outputs, or the error in one line.
        contract: what the outputs are to be; it may also name ``constants``.
        constants: sizes that have a name but do not vary.
        where: the sizes that the contract is meant for, all where None.
        promised: the runs with symbols of a contract that is a function of the input's shape,
            as :func:`blocktool.check.promised.follow_promise` gives them.
        budget: how long to try.
        target: its name in the report, and what it was built with.
        arguments: see ``target``.
    """
    budget = budget or Budget()
    known = dict(constants or {})
    promise = None if contract is None else Promise(tuple(contract), known)
    values: dict[str, Node] = {name: Number(size) for name, size in known.items()}
    meant = (substitute(parse(where), values),) if where else ()
    nothing = Proof(
        target=target,
        arguments=dict(arguments or {}),
        inputs=tuple(map(str, inputs)),
        output=None,
        constraints=(),
        verdict="not proved",
        reason=None,
        contract=contract_text(contract) if contract else "output_shape" if promised else None,
        notes=(f"it is meant for sizes where {where}",) if where else (),
        where=where,
    )
    whole = tuple(_whole_sizes(inputs))
    end = time.monotonic() + budget.seconds
    last = end + budget.in_all - budget.seconds
    try:
        found = explore(follow, base, budget, whole, end)
        # A contract is quick to follow, and of no use unless all of it is followed.
        later = max(end, time.monotonic() + budget.seconds / 10)
        other = None if promised is None else explore(promised, base, budget, whole, later)
        try:
            with until(last):
                out, test = _tested(found, numeric, budget, last)
                evidence = Evidence(found, out, test, promise, other, numeric, meant)
                contradictions = list(test.contradictions)
                answer = evidence.verdict(contradictions)
        except OverdueError:
            reason = f"what its ways show was not worked out in {budget.in_all:g} s"
            return replace(nothing, reason=reason, paths=len(found.ways))
        return _shown(nothing, evidence, answer, contradictions)
    except UndecidedError as undecided:
        return replace(nothing, reason=f"its conditions are beyond the algebra: {undecided}")


def _tested(
    found: Exploration, numeric: Numeric, budget: Budget, last: float
) -> tuple[Outputs | None, Tested]:
    out = outputs(found) if any(way.runs for way in found.ways) else None
    # A tenth of the seconds is left for the contract.
    enough = last - budget.seconds / 10
    return out, tested(found, claim(found), out, numeric, budget.samples, enough)


def _shown(
    nothing: Proof, evidence: Evidence, answer: Answer, contradictions: Sequence[str]
) -> Proof:
    """What the evidence shows, filled into a proof of nothing."""
    found, out, test = evidence.found, evidence.out, evidence.test
    verdict, reason = answer
    complete = evidence.complete
    # Where sizes are left open, what is known of the others is no constraint.
    fixed = test.claim.fixed(found.symbols) if complete else {}
    ways = alternatives(out, found.symbols, fixed, complete) if out is not None else ()
    return replace(
        nothing,
        output=output_text(ways, complete) if ways else None,
        outputs=ways,
        complete=complete,
        constraints=test.claim.constraints(found.symbols) if complete else (),
        verdict=verdict,
        reason=reason,
        conditions=tuple(_conditions(test, found.symbols)) if complete else (),
        fixed=fixed or None,
        paths=len(found.ways),
        sampled=len(test.samples),
        contradictions=tuple(contradictions),
        notes=(*nothing.notes, *evidence.notes()),
    )


def _whole_sizes(inputs: Sequence[SymbolicTensor]) -> Iterator[Node]:
    """That sizes of inputs that are expressions (``H/2``) are whole numbers from 1 on."""
    for size in dict.fromkeys(size for tensor in inputs for size in tensor.shape):
        node = parse(str(size))
        if not isinstance(node, Name | Number):
            yield Comparison("==", node, Call("floor", (node,)))
            yield Comparison(">=", node, Number(1))


def _conditions(test: Tested, symbols: Sequence[str]) -> list[Constraint]:
    conditions = []
    for text in test.claim.constraints(symbols):
        node = parse(text)
        inside = sum(bool(evaluate(node, sample.sizes)) for sample in test.samples)
        outside = len(test.samples) - inside
        conditions.append(Constraint(text, in_words(text), inside, outside))
    return conditions
