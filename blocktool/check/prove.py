"""Proves for which sizes a module runs, what comes out, and whether a contract follows."""

from __future__ import annotations

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
from blocktool.analysis.ranges import UndecidedError
from blocktool.analysis.words import in_words
from blocktool.check.claims import claim
from blocktool.check.evidence import Evidence
from blocktool.check.explore import Budget, Exploration, Follow, explore
from blocktool.check.follows import Promise
from blocktool.check.formulas import Outputs, outputs, text_of
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
    promise = None
    if contract is not None:
        meant = (parse(where),) if where else ()
        promise = Promise(tuple(contract), dict(constants or {}), meant)
    nothing = Proof(
        target=target,
        arguments=dict(arguments or {}),
        inputs=tuple(map(str, inputs)),
        output=None,
        constraints=(),
        verdict="not proved",
        reason=None,
        contract=contract_text(contract) if contract else "output_shape" if promised else None,
        notes=(f"the contract is meant for sizes where {where}",) if where and contract else (),
    )
    whole = tuple(_whole_sizes(inputs))
    try:
        found = explore(follow, base, budget, whole)
        other = None if promised is None else explore(promised, base, budget, whole)
        return _shown(nothing, found, promise, other, numeric, budget)
    except UndecidedError as undecided:
        return replace(nothing, reason=f"its conditions are beyond the algebra: {undecided}")


def _shown(
    nothing: Proof,
    found: Exploration,
    promise: Promise | None,
    other: Exploration | None,
    numeric: Numeric,
    budget: Budget,
) -> Proof:
    """What the ways show, filled into a proof of nothing."""
    out = outputs(found) if any(way.runs for way in found.ways) else None
    test = tested(found, claim(found), out, numeric, budget.samples)
    evidence = Evidence(found, out, test, promise, other, numeric)
    contradictions = list(test.contradictions)
    verdict, reason = evidence.verdict(contradictions)
    fixed = test.claim.fixed(found.symbols)
    return replace(
        nothing,
        output=_output(out, test, found.symbols) if out is not None else None,
        constraints=test.claim.constraints(found.symbols),
        verdict=verdict,
        reason=reason,
        conditions=tuple(_conditions(test, found.symbols)),
        fixed=fixed or None,
        paths=len(found.ways),
        sampled=len(test.samples),
        contradictions=tuple(contradictions),
        notes=(*nothing.notes, *evidence.notes()),
    )


def _output(out: Outputs, test: Tested, symbols: Sequence[str]) -> str:
    """The formula of what comes out; where another holds for some sizes, that is said as well."""
    text = text_of(out.formula, test.claim.fixed(symbols))
    others = [
        f"{text_of(formula, {})} where {' and '.join(where.constraints(symbols))}"
        for formula, where in out.others
    ]
    return f"{text}, but {', but '.join(others)}" if others else text


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
