"""Inputs to calibrate and evaluate with, drawn without touching the user's random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec
from blocktool.trace.inputs import CallArguments, Inputs, call_arguments, materialized
from blocktool.trace.structure import dtype_name, map_tensors

RANDOM_BATCHES = 8
"""How many batches are drawn to calibrate on, where none are given."""

_SEED = 0


@dataclass(frozen=True)
class Samples:
    """Inputs with values: those to evaluate on (None where there are none), those to calibrate on.

    ``doubt`` says what is wrong with the latter, where something is.
    """

    evaluation: CallArguments | None
    calibration: Iterable[CallArguments]
    doubt: str | None = None


def samples(
    inputs: Inputs, calibration: Iterable[Inputs] | None, like: torch.Tensor | None, random: bool
) -> Samples:
    """What to run the module on, on the device of ``like``; what has only a shape is drawn.

    ``random`` is whether random batches stand in for a calibration that is not given.

    Raises InputError for inputs that cannot be read, and a calibration without any.
    """
    device = torch.device("cpu") if like is None else like.device

    def with_values(given: Inputs) -> CallArguments:
        arguments = _in_dtype(call_arguments(given), like)
        return materialized(arguments, device, None, with_values=True, requires_grad=False)

    if calibration is not None:
        batches = iter(calibration)
        try:
            first = with_values(next(batches))
        except StopIteration:
            raise InputError(
                "calibration holds no inputs", hint="give at least one batch"
            ) from None
        # Random values lie outside the ranges that a calibration finds: they would show an error
        # that the user's data do not have.
        own = inputs is None or _has_floating_spec(call_arguments(inputs))
        evaluation = first if own else with_values(inputs)
        doubt = "the error was measured on a batch of the calibration" if own else None
        return Samples(evaluation, _chain(first, map(with_values, batches)), doubt)
    if inputs is None:
        return Samples(None, ())
    if not random:
        return Samples(with_values(inputs), ())
    arguments = call_arguments(inputs)
    if not _has_floating_spec(arguments):
        doubt = "calibrated on the given inputs alone: pass calibration=[...] with real batches"
        return Samples(with_values(arguments), (with_values(arguments),), doubt)
    drawn = [with_values(arguments) for _ in range(RANDOM_BATCHES + 1)]
    doubt = "calibrated on random inputs: pass calibration=[...] with real batches"
    return Samples(drawn[0], drawn[1:], doubt)


@contextmanager
def own_random_numbers(device: torch.device | None = None) -> Iterator[None]:
    """A fixed seed inside, and torch's generators as they were afterwards: the CPU's, and that of
    ``device`` where it is another. Other devices are neither asked nor started."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)  # torch.manual_seed is for all devices
        if device is None or device.type in ("cpu", "meta"):
            yield
        else:
            with _own_numbers_of(device):
                yield


@contextmanager
def _own_numbers_of(device: torch.device) -> Iterator[None]:
    generator = torch.get_device_module(device)
    with torch.accelerator.device_index(device.index):
        before = generator.get_rng_state()
        generator.manual_seed(_SEED)
    try:
        yield
    finally:
        with torch.accelerator.device_index(device.index):
            generator.set_rng_state(before)


def called(module: nn.Module, arguments: CallArguments) -> Any:
    """What the module gives for a copy of the arguments, without gradients, with fixed seed."""
    own = copied(arguments)
    with own_random_numbers(device_of(module, own)), torch.no_grad():
        return module(*own.args, **own.kwargs)


def device_of(
    module: nn.Module | None = None, arguments: CallArguments | None = None
) -> torch.device:
    """The device of the first tensor of a module, or else of its arguments; CPU without any."""
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    if module is not None:
        for tensor in (*module.parameters(), *module.buffers()):
            return tensor.device
    if arguments is not None:
        map_tensors((arguments.args, arguments.kwargs), note)
    return found[0].device if found else torch.device("cpu")


def copied(arguments: CallArguments) -> CallArguments:
    """The same values in tensors of their own: a module may change its inputs in place."""

    def change(value: Any) -> Any:
        return map_tensors(value, lambda tensor: tensor.detach().clone())

    return CallArguments(
        tuple(map(change, arguments.args)),
        {name: change(value) for name, value in arguments.kwargs.items()},
    )


def _chain(first: CallArguments, rest: Iterable[CallArguments]) -> Iterator[CallArguments]:
    yield first
    yield from rest


def _has_floating_spec(arguments: CallArguments) -> bool:
    values = [*arguments.args, *arguments.kwargs.values()]
    return any(isinstance(value, TensorSpec) and "float" in value.dtype for value in values)


def _in_dtype(arguments: CallArguments, like: torch.Tensor | None) -> CallArguments:
    """What is given as a plain shape follows the module's dtype; tensors keep theirs."""

    def change(value: Any) -> Any:
        if like is None or not isinstance(value, TensorSpec) or value.dtype != "float32":
            return value
        return replace(value, dtype=dtype_name(like.dtype))

    return CallArguments(
        tuple(map(change, arguments.args)),
        {name: change(value) for name, value in arguments.kwargs.items()},
    )
