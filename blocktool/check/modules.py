"""``blocktool.check_shapes``: the sweep of a module that is at hand, or of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from blocktool.check.gather import combined, gather, to_sweep
from blocktool.check.group import Group
from blocktool.check.sweep import Settings, run_sweeps
from blocktool.errors import InputError
from blocktool.results.shapes import ShapeReport
from blocktool.results.specs import TensorSpec
from blocktool.targets.inputs import parse_inputs
from blocktool.targets.loading import user_code_running
from blocktool.targets.sweep_words import SweepWords, as_yaml
from blocktool.trace.inputs import CallArguments, call_arguments
from blocktool.trace.structure import specs_of

if TYPE_CHECKING:
    from blocktool.trace.inputs import Inputs

Words = str | int | Sequence[str | int] | None
"""One word or several: ``"32,64x48"``, ``32``, ``["32", "64x48"]``."""


def check_shapes(
    module: nn.Module | str,
    inputs: Inputs = None,
    *,
    arguments: Mapping[str, object] | None = None,
    expect: Words = None,
    where: str | None = None,
    batch: Words = None,
    size: Words = None,
    dtype: Words = None,
    mode: Words = None,
    skip: Words = None,
    as_given: bool = False,
    device: str | None = None,
    prove: bool = False,
    jobs: int | None = None,
    fail_fast: bool = False,
) -> ShapeReport:
    """Whether a module holds: at which sizes, dtypes and modes it breaks, and why.

    Args:
        module: a module, which is left exactly as it was found, or a target of the command line
            (``"bottleneck"``, ``"net.py:Net"``).
        inputs: a shape ``(1, 3, 32, 32)``, a text ``"1x3x32x32"``, tensors, or what
            :func:`blocktool.summarize` takes; None for a target's own.
        arguments: of a target's constructor; a list is a sweep over its values.
        expect: what comes out: ``"B, 2*C, ceil(H/2), W//2"``, ``"p3: B,256,H/8,W/8"``; several
            outputs as a list. None holds a block to its contract, and any other module to the
            relation of sizes that the sweep finds.
        where: the sizes for which it is meant: ``"H % 32 == 0"``.
        batch: batch sizes to try: ``[1, 2]``; None, here and below, for the usual ones.
        size: sizes of maps, or numbers of tokens: ``"32,33,64x48"``.
        dtype: ``"float32,bfloat16"``.
        mode: ``"eval,train"``.
        skip: checks that are left out: ``"layout"``, ``"grad"``, ...
        as_given: only the inputs as they are.
        device: ``"cpu"`` or ``"cuda"`` runs every case on real data, ``"meta"`` none; None runs
            every case without data, and the module once with it.
        prove: prove, too, for which sizes it runs and what comes out.
        jobs: processes; one for a module that is at hand.
        fail_fast: stop at the first failure.

    Raises:
        UsageError, InputError: an option cannot be read, or there are no inputs.
        TargetError, ModuleError: the target cannot be built.
    """
    words = SweepWords(
        batch=_texts(batch),
        size=_texts(size),
        dtype=_texts(dtype),
        mode=_texts(mode),
        expect=_texts(expect),
        where=where,
        skip=_texts(skip),
        arguments={
            name: tuple(map(as_yaml, value if isinstance(value, (list, tuple)) else [value]))
            for name, value in (arguments or {}).items()
        },
    )
    given = None if inputs is None else _specs(inputs)
    if isinstance(module, str):
        groups = gather([module], words, as_given=as_given)
    else:
        sweep = to_sweep(words, as_given=as_given)
        name = type(module).__name__
        groups = [Group(name, each, sweep, module) for each in combined({})]
        jobs = 1
    if given is not None:
        groups = [replace(each, sweep=replace(each.sweep, inputs=given)) for each in groups]
    with user_code_running():
        return run_sweeps(groups, Settings(device, jobs, fail_fast, prove))


def _texts(words: Words) -> tuple[str, ...]:
    if words is None:
        return ()
    return (str(words),) if isinstance(words, (str, int)) else tuple(map(str, words))


def _specs(inputs: Inputs) -> tuple[TensorSpec, ...]:
    """Inputs of any form as specifications; only tensors can be varied."""
    if isinstance(inputs, str):
        return parse_inputs(inputs.split())
    if isinstance(inputs, (list, tuple)) and inputs and all(isinstance(i, str) for i in inputs):
        return parse_inputs(inputs)
    call: CallArguments = call_arguments(inputs)
    specs: list[TensorSpec] = []
    for name, value in [*((None, v) for v in call.args), *call.kwargs.items()]:
        found = [value] if isinstance(value, TensorSpec) else list(specs_of(value))
        if len(found) != 1 or isinstance(value, (list, tuple, dict)):
            raise InputError(
                f"check_shapes varies tensors, not a {type(value).__name__}",
                hint="wrap the module in one whose forward takes tensors",
            )
        specs.append(replace(found[0], name=name))
    return tuple(specs)
