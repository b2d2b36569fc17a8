"""Formulas of a target, also in arguments of its constructor that are left open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blocktool.analysis.formula_report import figures_of, report
from blocktool.errors import InputError, UsageError
from blocktool.results.formulas import Formulas, FormulaSymbol
from blocktool.results.symbolic import SymbolicTensor
from blocktool.results.trace import Mode
from blocktool.targets.loading import user_code_running
from blocktool.targets.resolve import resolve
from blocktool.targets.symbolic_inputs import (
    MEANINGS,
    hints_for,
    parse_symbolic_inputs,
    symbolic,
)
from blocktool.trace.build import build_without_data
from blocktool.trace.derive import Derived, Question, derive, fixed

_SYMBOL = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What was asked of a target: arguments as ``KEY=VALUE``, inputs as they are written."""

    target: str
    arguments: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    mode: Mode = "forward"
    dtype: str | None = None
    batch: int | None = None

    @property
    def free(self) -> dict[str, list[str]]:
        """Symbols among the arguments' values (in capitals), each with its keys."""
        found: dict[str, list[str]] = {}
        for item in self.arguments:
            key, equals, text = item.partition("=")
            if equals and _SYMBOL.fullmatch(text.strip()):
                found.setdefault(text.strip(), []).append(key.strip())
        return found

    def question(self, values: Mapping[str, int]) -> Question:
        """The module and its inputs for ``values`` of the free arguments.

        Raises what building the target does, and InputError without inputs.
        """
        target = resolve(self.target, [_with_value(item, values) for item in self.arguments])
        inputs: tuple[SymbolicTensor, ...]
        if self.inputs:
            inputs = tuple(fixed(each, values) for each in parse_symbolic_inputs(self.inputs))
            hints = hints_for(inputs, target.inputs)
        elif target.inputs is not None:
            inputs, hints = symbolic(target.inputs)
        else:
            raise InputError(
                f"{self.target} has no default input", hint="give one, for example -i Bx3xHxW"
            )
        for name in values.keys() & hints.keys():
            key = self.free[name][0]
            raise UsageError(
                f"{key}={name}: {name} is the {meaning(name)} of the input",
                hint=f"call it otherwise, for example {key}=C",
            )
        if self.batch is not None:
            inputs = tuple(fixed(each, {"B": self.batch}) for each in inputs)
            hints = {name: size for name, size in hints.items() if name != "B"}
        module, _ = build_without_data(target)
        return Question(module, inputs, hints, self.mode, self.dtype, target.name)


def _with_value(item: str, values: Mapping[str, int]) -> str:
    key, _, text = item.partition("=")
    value = values.get(text.strip())
    return item if value is None else f"{key}={value}"


def derive_target(request: Request) -> Formulas:
    """The formulas of a target.

    Raises what building and tracing the target does; TraceError where there are no formulas;
    UsageError for a symbol that means two things.
    """
    free = request.free
    with user_code_running():
        if free:
            from blocktool.trace.derive_arguments import derive_arguments

            return derive_arguments(request, free)
        return formulas_of(derive(request.question({})))


def formulas_of(derived: Derived) -> Formulas:
    """The report of one symbolic run."""
    figures = figures_of(derived.counted, derived.wrong)
    peak_known = ("", "peak_live_bytes") not in derived.wrong
    return report(
        derived.trace,
        symbols_of_run(derived),
        other_conditions(derived),
        derived.counted.rows,
        figures,
        derived.counted.peak if peak_known else None,
        inputs=derived.trace.inputs,
        outputs=derived.trace.outputs,
        compared=derived.compared,
        notes=(*derived.notes, *contradicted(derived)),
        target=derived.question.name,
    )


def symbols_of_run(derived: Derived) -> tuple[FormulaSymbol, ...]:
    """The symbols of the inputs."""
    return tuple(
        FormulaSymbol(name, meaning(name), derived.least[name], size)
        for name, size in derived.question.hints.items()
    )


def meaning(name: str) -> str:
    """What a symbol of the inputs stands for."""
    base = name.rstrip("0123456789")
    return MEANINGS.get(name) or MEANINGS.get(base, "size")


def other_conditions(derived: Derived) -> tuple[str, ...]:
    """The conditions beyond the least sizes."""
    every = (*derived.run.guards, *derived.run.assumptions)
    least = {f"{name} >= {size}" for name, size in derived.least.items()}
    bounds = re.compile(r"(\w+) >= \d+")
    return tuple(
        text
        for text in dict.fromkeys(every)
        if text not in least and not (bounds.fullmatch(text) and text.split()[0] in derived.least)
    )


def contradicted(derived: Derived) -> Sequence[str]:
    """What a numeric run said otherwise about, in words."""
    names = sorted({name for _, name in derived.wrong})
    if not names:
        return ()
    return (f"a numeric run gave other figures, so these are left out: {', '.join(names)}",)
