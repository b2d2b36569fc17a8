"""From a target's words to a module that a sweep can run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from torch import nn

from blocktool.analysis.contracts import check_names, parse_contracts
from blocktool.analysis.expressions import ExpressionError
from blocktool.blocks.block import Block
from blocktool.check.group import Group, expression_error, where_of
from blocktool.check.pattern import Pattern, pattern_of
from blocktool.check.plan import PlannedCase, Sweep, holds, planned
from blocktool.check.runner import Subject, run_case
from blocktool.errors import InputError
from blocktool.results.shapes import Skipped
from blocktool.results.specs import TensorSpec
from blocktool.targets.arguments import parse_arguments
from blocktool.targets.resolve import resolve
from blocktool.targets.target import Target
from blocktool.trace.build import build_without_data
from blocktool.trace.target import received_by


def subject_of(group: Group) -> Subject:
    """Resolve and build the target of a group, without data.

    Raises what resolving and building raise, InputError without inputs, and UsageError for an
    expression that names a size which is not there.
    """
    if group.module is not None:
        given = group.module
        target = Target(group.target, "module", lambda: given)
        return make_subject(target, given, group.sweep, _whole_numbers(given, ()))
    target = resolve(group.target, group.arguments)
    module, _ = build_without_data(target)
    if group.sweep.select is not None:
        return _selected(target, module, group.sweep, group.sweep.select)
    return make_subject(target, module, group.sweep, _whole_numbers(module, group.arguments))


def _selected(target: Target, module: nn.Module, sweep: Sweep, path: str) -> Subject:
    """The subject for a submodule, with the inputs that it receives or, where there are some,
    those that are given."""
    inputs = sweep.inputs if sweep.as_given else None
    if inputs is None:
        whole = sweep.inputs or target.inputs
        if whole is None:
            raise no_inputs(target.name)
        inputs = received_by(target, module, path, whole)
    part = Target(
        f"{target.name} {path}",
        target.source,
        lambda: target.build().get_submodule(path),
        inputs,
    )
    sweep = replace(sweep, inputs=inputs)
    submodule = module.get_submodule(path)
    return make_subject(part, submodule, sweep, _whole_numbers(submodule, ()))


def no_inputs(name: str) -> InputError:
    """The error for a target that is to be run, and has nothing to be run with."""
    return InputError(f"{name} has no default input", hint="give one, for example -i 1x3x224x224")


def make_subject(
    target: Target, module: nn.Module, sweep: Sweep, arguments: dict[str, int]
) -> Subject:
    """The subject for a module that is built already; errors as in ``subject_of``."""
    inputs = sweep.inputs or target.inputs
    if inputs is None:
        raise no_inputs(target.name)
    contracts = parse_contracts(sweep.expect) if sweep.expect else None
    nothing = Pattern((), {}, {}, ())
    probe = Subject(module, target.build, nothing, target.name, (), {}, sweep.skip)
    ask = None if isinstance(module, Block) or sweep.as_given else partial(_runs, probe)
    pattern = pattern_of(inputs, ask)
    known = frozenset((*pattern.symbols, *arguments))
    if contracts is not None:
        try:
            check_names(contracts, sweep.expect, known)
        except ExpressionError as error:
            raise expression_error("--expect", error) from None
    where_of(sweep, known)
    return Subject(module, target.build, pattern, target.name, contracts, arguments, sweep.skip)


def _runs(subject: Subject, inputs: tuple[TensorSpec, ...]) -> bool:
    """Whether the module runs with these inputs, whatever comes out."""
    case = PlannedCase({}, "float32", "eval", inputs=inputs)
    ran = run_case(subject, case)
    return ran.trace is not None and not isinstance(ran.outcome, Skipped)


def cases_of(subject: Subject, sweep: Sweep) -> list[PlannedCase]:
    """The cases of the subject's sweep."""
    known = frozenset((*subject.pattern.symbols, *subject.arguments))
    where = where_of(sweep, known)
    return planned(subject.pattern, sweep, where, subject.arguments)


def meant(subject: Subject, sweep: Sweep, sizes: Mapping[str, int]) -> bool:
    """Whether the module is to hold at these sizes."""
    where = where_of(sweep, None)
    bindings = {**subject.arguments, **subject.pattern.bindings(sizes)}
    return where is None or holds(where, bindings)


def _whole_numbers(module: nn.Module, arguments: Sequence[str]) -> dict[str, int]:
    """The constructor's whole numbers by name, defaults included, as contracts may use them."""
    values: dict[str, object] = {}
    with suppress(ValueError, TypeError):  # some classes have no signature
        for name, parameter in inspect.signature(type(module)).parameters.items():
            values[name] = parameter.default
    if isinstance(module, Block):
        for name in ("in_channels", "out_channels", "stride"):
            values[name] = getattr(module, name, None)
        values |= module.arguments
    values |= parse_arguments(arguments)
    return {name: value for name, value in values.items() if type(value) is int and "." not in name}
