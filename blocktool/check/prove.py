"""Proves for which sizes a module runs, what comes out, and whether a contract follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blocktool.analysis.contracts import Contract, contract_text
from blocktool.analysis.domain import Region
from blocktool.analysis.expressions import evaluate, parse
from blocktool.analysis.words import in_words
from blocktool.check.claims import claim
from blocktool.check.explore import Budget, Exploration, Follow, explore
from blocktool.check.follows import Promise, agrees, follows
from blocktool.check.formulas import Outputs, outputs, shapes_at, shapes_text, text_of
from blocktool.check.tested import Numeric, Sample, Tested, tested
from blocktool.results.shapes import Constraint, Proof, Verdict
from blocktool.results.symbolic import SymbolicRun, SymbolicTensor

if TYPE_CHECKING:
    from torch import nn

_SHOWN = 3

_Answer = tuple[Verdict, str | None]


def follow_module(
    module: nn.Module, inputs: Sequence[SymbolicTensor]
) -> Callable[[dict[str, int]], SymbolicRun]:
    """The runs with symbols of a module, for :func:`prove`."""
    from blocktool.trace.symbolic import trace_symbolic

    return lambda hints: trace_symbolic(module, inputs, hints, record=False)[0]


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
    found = explore(follow, base, budget)
    claimed = claim(found)
    out = outputs(found) if any(way.runs for way in found.ways) else None
    test = tested(found, claimed, out, numeric, budget.samples)
    promise = None
    if contract is not None:
        meant = (parse(where),) if where else ()
        promise = Promise(tuple(contract), dict(constants or {}), meant)
    follow_further = None if promised is None else explore(promised, base, budget)
    evidence = _Evidence(found, out, test, promise, follow_further, numeric)
    contradictions = list(test.contradictions)
    verdict, reason = evidence.verdict(contradictions)
    fixed = test.claim.fixed(found.symbols)
    return Proof(
        target=target,
        arguments=dict(arguments or {}),
        inputs=tuple(map(str, inputs)),
        output=text_of(out.formula, fixed) if out is not None else None,
        constraints=test.claim.constraints(found.symbols),
        verdict=verdict,
        reason=reason,
        contract=contract_text(contract) if contract else "output_shape" if promised else None,
        conditions=tuple(_conditions(test, found.symbols)),
        fixed=fixed or None,
        paths=len(found.ways),
        sampled=len(test.samples),
        contradictions=tuple(contradictions),
        notes=tuple(evidence.notes()),
    )


def _conditions(test: Tested, symbols: Sequence[str]) -> list[Constraint]:
    conditions = []
    for text in test.claim.constraints(symbols):
        node = parse(text)
        inside = sum(bool(evaluate(node, sample.sizes)) for sample in test.samples)
        outside = len(test.samples) - inside
        conditions.append(Constraint(text, in_words(text), inside, outside))
    return conditions


@dataclass(frozen=True)
class _Evidence:
    found: Exploration
    out: Outputs | None
    test: Tested
    promise: Promise | None
    promised: Exploration | None
    numeric: Numeric

    def verdict(self, contradictions: list[str]) -> _Answer:
        """What all of it shows; further contradictions are added to the list."""
        if not self.found.ways:
            return "not proved", self.found.blocked[0][1] if self.found.blocked else "no time"
        broken = self._broken(contradictions)
        if contradictions:
            return "not proved", "runs with numbers contradict the symbols"
        if broken is not None:
            return broken
        if self.out is None:
            return self._runs_nowhere()
        return self._open() or ("proved", None)

    def _runs_nowhere(self) -> _Answer:
        first = self.found.ways[0].run
        if next((each for each in self.test.samples if each.ran), None) is not None:
            return "not proved", f"no size was found from which to start: {first.error}"
        return self._open() or ("refuted", f"it runs for no size: {first.error}")

    def _broken(self, contradictions: list[str]) -> _Answer | None:
        """Where the contract does not follow, or that this is not decided."""
        if self.promise is not None:
            shown = follows(self.promise, self.found)
        elif self.promised is not None:
            shown = agrees(self.found, self.promised)
        else:
            return None
        if shown.example is not None:
            example = Sample(shown.example, self.numeric(shown.example))
            if broken := self._breaks(example):
                return "refuted", broken
            contradictions.append(f"at {example} the contract is kept, but not with symbols")
            return None
        for sample in self.test.samples:
            if broken := self._breaks(sample):
                return "refuted", broken
        if shown.undecided:
            return "not proved", f"whether the contract follows is not decided: {shown.undecided}"
        if self.promised is not None and (self.promised.blocked or self.promised.spent):
            return "not proved", "not all of output_shape was followed"
        return None

    def _breaks(self, sample: Sample) -> str:
        """How a run breaks the contract, empty where it keeps it."""
        if self.promise is not None:
            if isinstance(sample.result, str) or not self.promise.meant_for(sample.sizes):
                return ""
            names = [tensor.name for tensor in self.out.formula] if self.out else []
            return self.promise.broken(sample.result, names, sample.sizes)
        ways = self.promised.ways if self.promised is not None else []
        for way in ways:
            if way.region.holds(sample.sizes):
                wanted = shapes_at(way.run.outputs, sample.sizes) if way.runs else None
                got = None if isinstance(sample.result, str) else sample.result
                if wanted != got:
                    says = shapes_text(wanted) if wanted else f"refuses: {way.run.error}"
                    return f"at {sample} output_shape says {says}, but it {_does(sample)}"
        return ""

    def _open(self) -> _Answer | None:
        """What is left open, None where nothing is."""
        if self.found.blocked:
            blocked, reason = self.found.blocked[0]
            return "not proved", f"at some sizes ({_example(blocked, self.found)}): {reason}"
        spent = f" after {self.found.spent}" if self.found.spent else ""
        if self.test.least is None:
            examples = (sizes for _, sizes in self.found.open() if sizes is not None)
            example = next(examples, None)
            if example is None:
                return "not proved", f"it is not decided whether all sizes were followed{spent}"
            return "not proved", f"not every size was followed{spent}, for example {_at(example)}"
        if self.test.unsettled:
            return "not proved", self.test.unsettled[0]
        if not self.test.all_small:
            return "not proved", f"followed{spent} only {self._from()}; smaller sizes are sampled"
        return None

    def _from(self) -> str:
        least = {name: size for name, size in (self.test.least or {}).items() if size > 1}
        return "for " + " and ".join(f"{name} >= {size}" for name, size in least.items())

    def notes(self) -> list[str]:
        """What else there is to say."""
        notes = []
        for formula, where in (self.out.others if self.out else ())[:_SHOWN]:
            texts = where.constraints(self.found.symbols)
            notes.append(f"where {' and '.join(texts)} the output is {text_of(formula, {})}")
        least = {name: size for name, size in (self.test.least or {}).items() if size > 1}
        if least and self.test.all_small:
            notes.append(
                f"followed with symbols {self._from()}; every smaller size was run with numbers"
            )
        errors: dict[str, Sample] = {}
        for sample in self.test.samples:
            if isinstance(sample.result, str) and not self.test.claim.holds(sample.sizes):
                errors.setdefault(_kind(sample.result), sample)
        for sample in list(errors.values())[:_SHOWN]:
            notes.append(f"at {sample}: {sample.result}")
        return notes


def _does(sample: Sample) -> str:
    if isinstance(sample.result, str):
        return f"raises {sample.result}"
    return f"gives {shapes_text(sample.result)}"


def _kind(error: str) -> str:
    """An error without its numbers."""
    return "".join(letter for letter in error if not letter.isdigit())


def _example(sizes: Region, found: Exploration) -> str:
    return _at({name: sizes.of(name).nearest(size) for name, size in found.base.items()})


def _at(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())
