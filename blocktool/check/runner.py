"""Runs one case of a sweep: a trace, and what it shows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeGuard

import torch
from torch import nn

from blocktool.analysis.contracts import Contract
from blocktool.analysis.expressions import Number
from blocktool.analysis.shape_checks import judge
from blocktool.blocks.block import Block
from blocktool.blocks.shapes import ShapeError
from blocktool.check.causes import explain, kind_of
from blocktool.check.pattern import Pattern
from blocktool.check.plan import PlannedCase
from blocktool.check.refusals import is_refusal
from blocktool.errors import BlocktoolError, InputError, ModuleError, UsageError
from blocktool.results.shapes import Failed, Outcome, Passed, Skipped
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import OpTrace
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import text_of
from blocktool.trace.tracer import trace


@dataclass(frozen=True)
class Ran:
    """The outcome of a case, and the record where there is one."""

    outcome: Outcome
    inputs: tuple[TensorSpec, ...]
    trace: OpTrace | None = None
    refused: bool = False
    """Skipped because the module refuses this input."""


@dataclass(frozen=True)
class Subject:
    """A module that was built without data, and what its runs are held to.

    ``contracts`` are those that were given; None leaves it to the block's ``output_shape``, or to
    the relation that the sweep finds. ``arguments`` are the constructor's whole numbers, which
    contracts may name.
    """

    module: nn.Module
    build: Callable[[], nn.Module]
    pattern: Pattern
    name: str
    contracts: tuple[Contract, ...] | None
    arguments: dict[str, int]
    skip: frozenset[str] = frozenset()

    @cached_property
    def channels_last(self) -> nn.Module:
        """A copy as it is used with channels-last maps: its kernels lie so, too."""
        return _channels_last(self.module)

    def build_in(self, channels_last: bool) -> nn.Module:
        """A new module with values, in one layout or the other."""
        return _channels_last(self.build()) if channels_last else self.build()

    @property
    def block(self) -> Block | None:
        """The module, where it is one of ours with a contract of its own."""
        return self.module if isinstance(self.module, Block) else None


def _channels_last(module: nn.Module) -> nn.Module:
    copied: nn.Module = copy.deepcopy(module)
    return copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def run_case(subject: Subject, case: PlannedCase, device: str = "meta") -> Ran:
    """Trace the module at one size, and judge it. Raises nothing that the module raises."""
    inputs = subject.pattern.at(case.sizes) if case.inputs is None else case.inputs
    if inputs is None:
        return Ran(Skipped("these sizes give no whole input"), ())
    floats = tuple(in_dtype(spec, case.dtype) for spec in inputs)
    expected, refusal = _own_contract(subject, inputs, training=case.mode == "train")
    try:
        record = trace(
            subject.channels_last if case.channels_last else subject.module,
            _arguments(floats, case.channels_last),
            mode="training" if case.mode == "train" else "forward",
            device=device,
            dtype=case.dtype,
            input_grad=case.mode == "train" and "inplace" not in subject.skip,
            name=subject.name,
            rebuild=partial(subject.build_in, case.channels_last),
        )
    except ModuleError as error:
        return _raised(error, floats, refusal)
    except (InputError, UsageError):
        raise
    except BlocktoolError as error:
        return Ran(Skipped(error.message), floats)
    if refusal is not None:
        return Ran(
            Failed("shape", f"forward takes what output_shape refuses: {refusal}"), floats, record
        )
    failed = judge(
        record,
        contracts=expected,
        bindings={**subject.arguments, **subject.pattern.bindings(case.sizes)},
        dtype=case.dtype,
        channels_last=case.channels_last,
        skip=subject.skip,
    )
    return Ran(failed or Passed(), floats, record)


def in_dtype(spec: TensorSpec, dtype: str) -> TensorSpec:
    """A floating tensor in another dtype; integers stay."""
    floating = spec.dtype.startswith(("float", "bfloat"))
    return replace(spec, dtype=dtype) if floating and spec.dtype != dtype else spec


def _arguments(inputs: Sequence[TensorSpec], channels_last: bool) -> CallArguments:
    def made(spec: TensorSpec) -> object:
        if not channels_last or len(spec.shape) != 4:
            return spec
        empty = torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta")
        return empty.contiguous(memory_format=torch.channels_last)

    return CallArguments(
        tuple(made(spec) for spec in inputs if spec.name is None),
        {spec.name: made(spec) for spec in inputs if spec.name is not None},
    )


def _own_contract(
    subject: Subject, inputs: Sequence[TensorSpec], *, training: bool
) -> tuple[tuple[Contract, ...] | None, str | None]:
    """The contracts of this case; a block's ``output_shape`` may refuse the input instead."""
    if subject.contracts is not None or subject.block is None or not inputs:
        return subject.contracts, None
    try:
        with _in_mode(subject.block, training):
            shapes = subject.block.output_shape(inputs[0].shape)
    except NotImplementedError:
        return None, None
    except ShapeError as error:
        return None, str(error).partition("\n")[0]
    single = not shapes or isinstance(shapes[0], int)
    listed = [shapes] if single else list(shapes)
    return tuple(Contract(tuple(map(Number, shape))) for shape in listed), None


@contextmanager
def _in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """The module in eval or in train mode for a while, as a trace runs it."""
    before = [(each, each.training) for each in module.modules()]
    if module.training != training:
        module.train(training)
    try:
        yield
    finally:
        for each, flag in before:
            each.training = flag


def _explained(error: BaseException | None) -> TypeGuard[ShapeError]:
    return isinstance(error, ShapeError) and error.reason is not None


def _raised(error: ModuleError, inputs: tuple[TensorSpec, ...], refusal: str | None) -> Ran:
    cause = error.__cause__
    refused = cause is not None and is_refusal(cause)
    if refusal is not None or refused:
        said = f"{cause.block}: {cause.reason}" if _explained(cause) else error.reason
        return Ran(Skipped(said), inputs, refused=True)
    text = text_of(cause) if cause is not None else error.reason
    return Ran(
        Failed(
            kind_of(text),
            error.reason,
            "a result",
            error.reason,
            error.path,
            explain(text, inputs) or error.hint,
            tuple(line for line in error.details),
        ),
        inputs,
    )
