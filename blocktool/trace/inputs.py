"""The inputs of a traced call, from tensors, shapes or specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from blocktool.errors import InputError
from blocktool.results.specs import TensorSpec
from blocktool.trace.structure import dtype_name, map_tensors

Inputs = Any
"""A tensor; a shape ``(1, 3, 224, 224)``; a :class:`TensorSpec`; a sequence of positional
arguments (each a tensor, a specification, or anything else); a mapping of keyword arguments."""


@dataclass(frozen=True)
class CallArguments:
    """Positional and keyword arguments; tensors stand where :class:`TensorSpec` may also stand."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def call_arguments(inputs: Inputs) -> CallArguments:
    """Sort what the user gave into positional and keyword arguments.

    Raises:
        InputError: for None, an empty sequence of shapes, or a shape with a size below 1.
    """
    if isinstance(inputs, CallArguments):
        return inputs
    if inputs is None:
        raise InputError(
            "no inputs given", hint="pass a tensor, a shape such as (1, 3, 224, 224), or a tuple"
        )
    if isinstance(inputs, Mapping):
        return CallArguments((), {str(key): _shape_or(value) for key, value in inputs.items()})
    if isinstance(inputs, (torch.Tensor, TensorSpec)) or _is_shape(inputs):
        inputs = (_shape_or(inputs),)
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        inputs = (inputs,)
    positional = [value for value in map(_shape_or, inputs) if not _is_named(value)]
    named = {value.name: value for value in inputs if _is_named(value)}
    return CallArguments(tuple(positional), named)


def _is_named(value: Any) -> bool:
    return isinstance(value, TensorSpec) and value.name is not None


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and bool(value)
        and all(isinstance(size, int) and not isinstance(size, bool) for size in value)
    )


def _shape_or(value: Any) -> Any:
    if not _is_shape(value):
        return value
    if any(size < 1 for size in value):
        raise InputError(f"sizes must be positive, got {tuple(value)}")
    return TensorSpec(tuple(value))


def materialized(
    arguments: CallArguments,
    device: torch.device,
    dtype: torch.dtype | None,
    *,
    with_values: bool,
    requires_grad: bool,
) -> CallArguments:
    """The arguments as tensors of their own on ``device``.

    Without ``with_values`` nothing is initialised. With it, tensors of the user's keep their
    values; a specification becomes random numbers (floating), zeros (integers: a valid index
    everywhere) or True (booleans). ``dtype`` replaces floating dtypes.
    """

    def wanted(given: torch.dtype) -> torch.dtype:
        return dtype if dtype is not None and given.is_floating_point else given

    def from_spec(spec: TensorSpec) -> torch.Tensor:
        kind = wanted(getattr(torch, spec.dtype))
        if not with_values:
            return torch.empty(spec.shape, dtype=kind, device=device)
        if kind.is_floating_point or kind.is_complex:
            return torch.randn(spec.shape, dtype=kind, device=device)
        return torch.full(spec.shape, int(kind == torch.bool), dtype=kind, device=device)

    def from_tensor(tensor: torch.Tensor) -> torch.Tensor:
        kind = wanted(tensor.dtype)
        if with_values and tensor.is_meta:
            drawn = from_spec(TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype)))
            new = torch.empty_strided(tensor.shape, tensor.stride(), dtype=kind, device=device)
            new.copy_(drawn)
        elif with_values:
            new = tensor.detach().to(device, kind, copy=True)
        elif tensor.layout is torch.strided:
            new = torch.empty_strided(tensor.shape, tensor.stride(), dtype=kind, device=device)
        else:
            new = tensor.detach().to(device, kind)
        return new.requires_grad_(tensor.requires_grad)

    def finish(tensor: torch.Tensor) -> torch.Tensor:
        if requires_grad and tensor.is_floating_point():
            tensor.requires_grad_(True)
        return tensor

    made: dict[int, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that is given twice stays one."""
        if id(tensor) not in made:
            made[id(tensor)] = finish(from_tensor(tensor))
        return made[id(tensor)]

    def convert(value: Any) -> Any:
        if isinstance(value, TensorSpec):
            return finish(from_spec(value))
        return map_tensors(value, once)

    return CallArguments(
        tuple(convert(value) for value in arguments.args),
        {name: convert(value) for name, value in arguments.kwargs.items()},
    )


def without_values(arguments: CallArguments) -> CallArguments:
    """The same arguments on the meta device, so that nothing of their data is kept alive."""
    made: dict[int, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            new = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"
            )
            made[id(tensor)] = new.requires_grad_(tensor.requires_grad)
        return made[id(tensor)]

    return CallArguments(
        tuple(map_tensors(value, once) for value in arguments.args),
        {name: map_tensors(value, once) for name, value in arguments.kwargs.items()},
    )
