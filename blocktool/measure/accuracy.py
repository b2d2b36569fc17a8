"""How far a variant's outputs are from those of the eager module in higher precision.

The reference is the eager module in float64, with the same parameters and inputs as it has in the
case's own dtype, in the mode that is timed: in training, the outputs of the forward with batch
statistics. A module that draws random numbers (dropout in training) has no reference, since other
dtypes and kernels draw others under the same seed.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.measure.changed import Changed
from blocktool.measure.comparing import Incomparable, is_finite, is_floating, variant_error
from blocktool.measure.request import CaseSpec
from blocktool.measure.steps import scope
from blocktool.measure.subject import Subject, tensors_in
from blocktool.measure.zeros import without_zeros
from blocktool.optimize.samples import device_of, own_random_numbers
from blocktool.results.profile import RunMode, VariantError
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line
from blocktool.trace.structure import map_tensors, named_tensors
from blocktool.trace.tracer import torch_dtype


@dataclass(frozen=True)
class Reference:
    """What the eager module gives: ``outputs`` in the precision that ``precision`` names, and
    ``eager_outputs`` in the case's own dtype. Both lie on the CPU, since they are kept while
    further variants are measured."""

    precision: str
    outputs: Any
    eager_outputs: Any


class References:
    """The errors of variants. The reference is made when a case first asks for it, and kept until
    another dtype or mode, or other inputs, are asked for."""

    def __init__(self) -> None:
        self._question: object = None
        self._known: Reference | str = ""
        self.reason: str | None = None
        """Why the case that was asked for last has no error; None where it has one."""

    def error(self, subject: Subject, spec: CaseSpec, ready: Changed) -> VariantError | None:
        """The error of the variant ``ready`` of a case; None, with a reason, where there is nothing
        to compare or comparing fails, for want of memory say: the case is measured all the same.

        The variant runs once more, on the inputs as they were before it was timed; its buffers are
        put back afterwards.
        """
        self.reason = None
        device = device_of(ready.module, ready.arguments)
        inputs = None if spec.as_given else spec.inputs
        try:
            fresh = subject.with_values(inputs, device, spec.dtype if spec.cast else None)
            reference = self._reference(subject, spec, device, fresh)
            _refresh(ready.arguments, fresh)
            outputs = outputs_of(ready.module, ready.arguments, spec.mode, ready.autocast)
            return variant_error(
                reference.precision, reference.outputs, reference.eager_outputs, outputs
            )
        except (Exception, SystemExit) as error:
            # No more than the words: the traceback would keep all tensors alive.
            self.reason = _words(error)
            return None

    def _reference(
        self, subject: Subject, spec: CaseSpec, device: torch.device, arguments: CallArguments
    ) -> Reference:
        question = (spec.inputs, spec.as_given, spec.dtype, spec.cast, spec.amp, spec.mode)
        if question != self._question:
            self._question, self._known = question, ""  # frees the one before
            dtype = spec.dtype if spec.cast else None
            autocast = torch_dtype(spec.dtype) if spec.amp else None
            try:
                module = subject.fresh(device, dtype, train=spec.mode != "inference")
                without_zeros(module)  # as in the variants
                self._known = reference_of(module, arguments, spec.mode, autocast)
            except (Exception, SystemExit) as error:
                self._known = f"eager: {_words(error)}"
        if isinstance(self._known, str):
            raise Incomparable(self._known)
        return self._known


def reference_of(
    module: nn.Module,
    arguments: CallArguments,
    mode: RunMode,
    autocast: torch.dtype | None = None,
) -> Reference:
    """The reference for variants of ``module``, which is consumed; arguments are left alone.

    Where float64 cannot be had (mps, too little memory, a module that insists on a dtype), it is
    float32, and ``precision`` says so.

    Raises Incomparable where the module fails or draws random numbers, has no floating output, or
    one that is not finite in the reference.
    """
    eager = outputs_of(module, _copied(arguments), mode, autocast)
    precision, outputs = _in_high_precision(module, arguments, mode)
    if not any(is_floating(tensor) for _, tensor in named_tensors(outputs)):
        raise Incomparable("no output is floating")
    if not is_finite(outputs):
        raise Incomparable(f"the outputs of the eager module are not finite in {precision}")
    return Reference(precision, outputs, eager)


def _in_high_precision(
    module: nn.Module, arguments: CallArguments, mode: RunMode
) -> tuple[str, Any]:
    def outputs_in(dtype: torch.dtype) -> Any:
        return outputs_of(module.to(dtype), _copied(arguments, dtype), mode, None)

    reason = "mps has no float64"
    if device_of(module, arguments).type != "mps":
        try:
            return "float64", outputs_in(torch.float64)
        except (Exception, SystemExit) as error:
            reason = f"float64: {_words(error)}"
    return f"float32 ({reason})", outputs_in(torch.float32)


def outputs_of(
    module: nn.Module, arguments: CallArguments, mode: RunMode, autocast: torch.dtype | None
) -> Any:
    """What one forward gives, as it is timed, in tensors of their own on the CPU; buffers are put
    back.

    Raises Incomparable where the module fails, or draws random numbers.
    """
    device = device_of(module, arguments)
    around = nullcontext() if autocast is None else torch.autocast(device.type, dtype=autocast)
    failure = None
    with own_random_numbers(device), _buffers_kept(module), scope(mode):
        before = _random_states(device)
        try:
            with around:
                outputs = module(*arguments.args, **arguments.kwargs)
        except Exception as error:
            # No more than the words: the traceback would keep all tensors alive.
            failure = one_line(error)
        drawn = before != _random_states(device)
        if failure is None and not drawn:
            # Copies: the buffers of CUDA graphs are written again by the next run.
            return map_tensors(outputs, lambda tensor: tensor.detach().to("cpu", copy=True))
    raise Incomparable(failure or "the module draws random numbers (dropout, stochastic depth)")


def _words(error: BaseException) -> str:
    """What went wrong, in one line."""
    return str(error) if isinstance(error, Incomparable) else one_line(error)


def _copied(arguments: CallArguments, dtype: torch.dtype | None = None) -> CallArguments:
    """Copies, since a module may change its inputs in place; floating ones in ``dtype``, if any."""

    def change(tensor: Tensor) -> Tensor:
        new = tensor.detach().clone()
        return new.to(dtype) if dtype is not None and new.is_floating_point() else new

    args, kwargs = map_tensors((arguments.args, arguments.kwargs), change)
    return CallArguments(args, kwargs)


def _refresh(arguments: CallArguments, values: CallArguments) -> None:
    """Give tensors, where they are, the values of others: in their own dtype and format."""
    with torch.no_grad():
        for tensor, fresh in zip(tensors_in(arguments), tensors_in(values), strict=True):
            tensor.copy_(fresh)


@contextmanager
def _buffers_kept(module: nn.Module) -> Iterator[None]:
    kept = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)


def _random_states(device: torch.device) -> tuple[object, ...]:
    """The states of all random generators that a module on ``device`` may draw from."""
    states: list[object] = [random.getstate(), torch.get_rng_state().tolist()]
    if "numpy" in sys.modules:
        import numpy as np

        states.append(pickle.dumps(np.random.get_state(legacy=False)))
    if device.type == "mps":
        states.append(torch.mps.get_rng_state().tolist())
    elif device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device).tolist())
    return tuple(states)
