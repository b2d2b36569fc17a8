"""``fuse``: a copy of a module that computes the same with fewer operations, for inference."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.errors import InputError, OptimizationError
from blocktool.optimize.default_inputs import default_inputs
from blocktool.optimize.plan import FusePlan, plan
from blocktool.optimize.rewriting import Rewrite
from blocktool.optimize.samples import device_of, own_random_numbers, samples
from blocktool.optimize.steps import Step
from blocktool.optimize.verify import (
    RANDOM_TOLERANCES,
    TOLERANCES,
    Differs,
    differences,
    randomize,
    widened,
    working_dtype,
)
from blocktool.results.optimize import FuseReport, OutputError, RefusedPart
from blocktool.results.trace import OpTrace
from blocktool.trace.guard import torch_preserved
from blocktool.trace.inputs import CallArguments, Inputs
from blocktool.trace.limits import one_line
from blocktool.trace.tracer import trace


@dataclass(frozen=True)
class Fused:
    """The fused copy, in eval mode, and the account of what was done and what was not."""

    module: nn.Module
    report: FuseReport


def fuse(module: nn.Module, inputs: Inputs = None, *, verify: bool = True) -> Fused:
    """A copy of ``module`` for inference that gives the same with fewer operations.

    Batch norms are folded into the convolution or linear layer before them, factors per channel
    (LayerScale) likewise; modules that can merge their branches (RepVGG's ``reparameterize()``,
    also called ``switch_to_deploy()`` or ``fuse()``) are let do it; linear layers that read the
    same tensor become one. What follows what is taken from a trace of one forward in eval mode,
    and whatever the trace does not prove safe is left as it is, with the reason in the report.
    Training the copy is training without these norms and factors.

    Args:
        module: any ``nn.Module``, on any device. It is left exactly as it was found.
        inputs: as for :func:`blocktool.trace.tracer.trace`; what has only a shape is drawn at
            random. None for a module that says itself what it takes: our blocks, timm's models,
            a class with ``example_inputs``. The copy is right for inputs that take the same path
            through the module's code as these.
        verify: whether to compare outputs: of the copy and the original, and of both again with
            statistics, affine parameters and factors drawn at random. Errors are relative to the
            largest magnitude of an output, and may be 1e-9 in float64, 1e-4 in float32, 0.02 in
            float16 and 0.1 in bfloat16; with random parameters, 1e-3 in float32 (to which half
            precision is converted for it) or else 1e-6 in float64. Modules on meta are not
            compared, and the report says so.

    Raises:
        InputError: inputs that cannot be read or do not fit, or none where they are needed.
        ModuleError: the module's forward raised.
        OptimizationError: the module cannot be copied, or the fused copy gives something else.
        TraceError: the module cannot be traced.
    """
    module = _checked(module)
    name = type(module).__name__
    with torch_preserved(), own_random_numbers(device_of(module)), torch.inference_mode(False):
        arguments = _arguments(module, inputs)
        found = plan(_copy(module, name), arguments, name)
        unverified = _unverified(module, verify, found.steps)
        steps, refused = found.steps, found.refused
        errors: tuple[OutputError, ...] = ()
        if unverified is None:
            steps, refused, errors = _verified(module, arguments, found, name)
        fused = _applied(_copy(module, name), steps)
        after = trace(fused, arguments, name=name)
    report = FuseReport(
        target=name,
        fused=tuple(part for step in steps for part in step.parts),
        refused=refused,
        errors=errors,
        tolerance=TOLERANCES[working_dtype(module)] if unverified is None else None,
        unverified=unverified,
        params_before=_params(found.before),
        params_after=_params(after),
        ops_before=len(found.before.ops),
        ops_after=len(after.ops),
        notes=_notes(found.before),
    )
    return Fused(fused, report)


def _checked(module: nn.Module) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise InputError(f"not an nn.Module: {type(module).__name__}")
    module = getattr(module, "_orig_mod", module)  # what was compiled, compile again afterwards
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise InputError(
            f"{type(module).__name__} has lazy parameters, which have no values yet",
            hint="call it once before it is fused",
        )
    return module


def _arguments(module: nn.Module, inputs: Inputs) -> CallArguments:
    tensors = [*module.parameters(), *module.buffers()]
    like = next((t for t in tensors if t.is_floating_point()), None)
    given = default_inputs(module) if inputs is None else inputs
    arguments = samples(given, None, like, random=False).evaluation
    assert arguments is not None
    return arguments


def _copy(module: nn.Module, name: str) -> nn.Module:
    try:
        return copy.deepcopy(module).eval()
    except Exception as error:
        raise OptimizationError(
            f"{name} cannot be copied: {one_line(error)}",
            hint="fusing works on a deep copy; hooks and caches may hold what has none",
        ) from error


def _applied(module: nn.Module, steps: Sequence[Step]) -> nn.Module:
    for step in steps:
        module = step.apply(module)
    return module


def _unverified(module: nn.Module, verify: bool, steps: Sequence[Step]) -> str | None:
    if not steps:
        return "nothing was changed"
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        return "the module is on meta, without values"
    return None if verify else "not asked for"


def _verified(
    module: nn.Module, arguments: CallArguments, found: FusePlan, name: str
) -> tuple[tuple[Step, ...], tuple[RefusedPart, ...], tuple[OutputError, ...]]:
    """The steps that hold, what is refused, and the errors.

    A rewritten forward was tried by itself, but who calls it may want more of the old module than
    its forward (an attribute, another method): then the plan without such steps has to hold.
    """
    steps, refused = found.steps, found.refused
    try:
        return steps, refused, _errors(module, arguments, steps, name)
    except Differs as error:
        plain = tuple(step for step in steps if not isinstance(step, Rewrite))
        failure = error
    if plain != steps:
        reason = f"with a new forward {failure}"
        refused += tuple(
            RefusedPart(step.parts[0].kind, step.parent, reason)
            for step in steps
            if isinstance(step, Rewrite)
        )
        try:
            return plain, refused, _errors(module, arguments, plain, name)
        except Differs as error:
            failure = error
    raise OptimizationError(
        f"{name} fused is not {name}: {failure}",
        hint="does its forward change its own layers, or use their parameters unseen?",
    ) from failure


def _errors(
    module: nn.Module, arguments: CallArguments, steps: Sequence[Step], name: str
) -> tuple[OutputError, ...]:
    """The errors with the module's own values, and with random ones.

    Raises Differs.
    """
    original = _copy(module, name)
    changed = _applied(copy.deepcopy(original), steps)
    # Copies are run, so that what is returned has not been called.
    own = differences(original, changed, arguments, TOLERANCES[working_dtype(module)])
    try:
        drawn = _with_random_values(_copy(module, name), arguments, steps)
    except Differs as error:
        # Rounding or a mistake? That shows with more digits, which are slow, and not everywhere.
        try:
            drawn = _with_random_values(_copy(module, name), arguments, steps, torch.float64)
        except Differs:
            raise
        except Exception:
            raise error from None
    return tuple(
        OutputError(output, error, random)
        for (output, error), (_, random) in zip(own, drawn, strict=True)
    )


def _with_random_values(
    original: nn.Module,
    arguments: CallArguments,
    steps: Sequence[Step],
    least: torch.dtype = torch.float32,
) -> tuple[tuple[str | None, float], ...]:
    original, arguments = widened(original, arguments, least)
    randomize(original, arguments)
    changed = _applied(copy.deepcopy(original), steps)
    return differences(original, changed, arguments, RANDOM_TOLERANCES[working_dtype(original)])


def _params(record: OpTrace) -> int:
    return sum(tensor.numel for tensor in record.tensors if not tensor.buffer)


def _notes(record: OpTrace) -> tuple[str, ...]:
    if record.traced_on in ("meta", "fake"):
        return record.notes
    why = "; ".join(fallback.reason for fallback in record.fallbacks[-1:])
    return (*record.notes, f"traced with values ({why}): other values may take another path")
