"""``derive``: the figures of a module as formulas, compared with numeric runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from torch import nn

from blocktool.analysis import expressions
from blocktool.analysis.formulas import Counted, count_trace, disagreements
from blocktool.analysis.summary import summarize_trace
from blocktool.errors import TraceError
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import Size, SymbolicRun, SymbolicTensor
from blocktool.results.trace import Mode, OpTrace
from blocktool.trace.symbolic import trace_symbolic
from blocktool.trace.symbolic_sizes import size_error
from blocktool.trace.tracer import trace

_TRIES = 6000
_SPREAD = 96


@dataclass(frozen=True)
class Question:
    """What is asked: a module with its inputs and the sizes at which it is run."""

    module: nn.Module
    inputs: tuple[SymbolicTensor, ...]
    hints: dict[str, int]
    mode: Mode
    dtype: str | None
    name: str

    def numeric(self, sizes: Mapping[str, int]) -> OpTrace:
        """The record of a run with numbers; errors are those of ``trace``."""
        return trace(
            self.module,
            [_spec(tensor, sizes) for tensor in self.inputs],
            mode=self.mode,
            dtype=self.dtype,
            name=self.name,
        )


@dataclass(frozen=True)
class Derived:
    """The answer of one symbolic run; ``wrong`` are the figures that a numeric run contradicted."""

    question: Question
    run: SymbolicRun
    trace: OpTrace
    counted: Counted
    least: dict[str, int]
    compared: int
    wrong: frozenset[tuple[str, str]]
    notes: tuple[str, ...]


def derive(question: Question, *, compare: int = 4) -> Derived:
    """Run with symbols, and at ``compare`` other sizes with numbers.

    A symbol that the module takes one size of only becomes that number.

    Raises ModuleError, InputError and TraceError as :func:`blocktool.trace.tracer.trace` does for
    the sizes of the hints, and TraceError where the run cannot be made with symbols.
    """
    first = summarize_trace(question.numeric(question.hints))
    question, run, record, notes = _run(question)
    least = least_sizes(run)
    counted = count_trace(record, least)
    found = set(disagreements(counted, question.hints, first))
    compared = 1
    for sizes in other_sizes(run, least, compare) if compare else ():
        numeric = summarize_trace(question.numeric(sizes))
        found.update(disagreements(counted, sizes, numeric))
        compared += 1
    if question.mode == "forward" and "B" in question.hints:
        notes = (*notes, *_single(question, counted, frozenset(found)))
    return Derived(question, run, record, counted, least, compared, frozenset(found), notes)


def _run(question: Question) -> tuple[Question, SymbolicRun, OpTrace, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    while True:
        run, record = trace_symbolic(
            question.module,
            question.inputs,
            question.hints,
            mode=question.mode,
            dtype=question.dtype,
            name=question.name,
        )
        if run.limit is not None or (run.error is None and record is None):
            raise TraceError(
                f"{question.name} has no formulas: {run.limit}",
                hint="leave out --symbolic for figures at one size",
            )
        if run.error is not None or record is None:
            raise TraceError(
                f"{question.name} fails with symbols for sizes: {run.error}",
                hint="leave out --symbolic for figures at one size",
            )
        only = {
            name: size for name, size in question.hints.items() if f"{name} == {size}" in run.guards
        }
        if not only:
            return question, run, record, notes
        notes = (
            *notes,
            *(f"{name} = {size} is the only size taken" for name, size in only.items()),
        )
        hints = {name: size for name, size in question.hints.items() if name not in only}
        inputs = tuple(fixed(tensor, only) for tensor in question.inputs)
        question = replace(question, hints=hints, inputs=inputs)


def fixed(tensor: SymbolicTensor, sizes: Mapping[str, int]) -> SymbolicTensor:
    """The tensor with numbers for the sizes that are made of these alone."""
    shape = tuple(_value_or_text(size, sizes) for size in tensor.shape)
    return SymbolicTensor(shape, tensor.dtype, tensor.name)


def _value_or_text(size: Size, sizes: Mapping[str, int]) -> Size:
    if isinstance(size, int):
        return size
    try:
        node = expressions.parse(size)
    except expressions.ExpressionError as error:
        raise size_error(size, error) from error
    if expressions.names_in(node) <= sizes.keys():
        return cast("int", expressions.evaluate(node, sizes))
    return size


def _spec(tensor: SymbolicTensor, sizes: Mapping[str, int]) -> TensorSpec:
    shape = tuple(cast("int", _value_or_text(size, sizes)) for size in tensor.shape)
    return TensorSpec(shape, tensor.dtype, tensor.name)


def _single(
    question: Question, counted: Counted, wrong: frozenset[tuple[str, str]]
) -> Iterator[str]:
    """What the formulas say of a batch of one, which no symbol stands for."""
    sizes = {**question.hints, "B": 1}
    numeric = summarize_trace(question.numeric(sizes))
    found = disagreements(counted, sizes, numeric) - wrong
    names = sorted({name for _, name in found})
    if not found:
        yield "compared at B = 1, too: the same figures"
    else:
        yield f"not for B = 1: {', '.join(names)}"


def least_sizes(run: SymbolicRun) -> dict[str, int]:
    """The least size of each symbol that all conditions leave."""
    least = dict.fromkeys(run.hints, 2)
    for condition in (*run.guards, *run.assumptions):
        name, _, bound = condition.partition(" >= ")
        if name in least and bound.isdecimal():
            least[name] = max(least[name], int(bound))
    return least


def other_sizes(run: SymbolicRun, least: Mapping[str, int], count: int) -> Iterator[dict[str, int]]:
    """Sizes other than the hints at which every condition holds; the same ones each time."""
    conditions = [expressions.parse(text) for text in (*run.guards, *run.assumptions)]
    state = 1
    found = 0
    seen = {tuple(run.hints.items())}
    for attempt in range(_TRIES):
        sizes: dict[str, int] = {}
        for name in run.hints:
            state = (state * 1103515245 + 12345) % 2**31
            spread = (7 if name == "B" else _SPREAD) + attempt // 8
            sizes[name] = least[name] + (state >> 8) % spread
        if attempt % 3 == 2 and len(sizes) > 1:  # some modules take squares only
            last = list(sizes)[-1]
            sizes = {name: size if name == "B" else sizes[last] for name, size in sizes.items()}
        key = tuple(sizes.items())
        if key in seen or not all(expressions.evaluate(each, sizes) for each in conditions):
            continue
        seen.add(key)
        yield sizes
        found += 1
        if found == count or not sizes:
            return
