"""Tensors inside nested arguments and results: tuples, lists, mappings, dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from blocktool.results.specs import TensorSpec
from blocktool.results.trace import Layout

_DTYPE_NAMES: dict[torch.dtype, str] = {}


def dtype_name(dtype: torch.dtype) -> str:
    """``torch.float32`` -> ``"float32"``."""
    name = _DTYPE_NAMES.get(dtype)
    if name is None:
        name = _DTYPE_NAMES[dtype] = str(dtype).removeprefix("torch.")
    return name


def named_tensors(value: Any, name: str | None = None) -> Iterator[tuple[str | None, torch.Tensor]]:
    """Each tensor in ``value`` with its path inside it (None for the only or a positional one)."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(item, _join(name, key))
    elif isinstance(value, (tuple, list)):
        keys = getattr(value, "_fields", None)
        for position, item in enumerate(value):
            if keys is None and name is None:
                yield from named_tensors(item)
            else:
                yield from named_tensors(item, _join(name, keys[position] if keys else position))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from named_tensors(getattr(value, field.name), _join(name, field.name))


def _join(name: str | None, key: object) -> str:
    return str(key) if name is None else f"{name}.{key}"


def map_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """``value`` with every tensor replaced; containers are rebuilt, never changed in place."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if type(value) in (list, tuple, set):
        return type(value)(map_tensors(item, change) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, change) for item in value))
    if isinstance(value, dict):
        new = value.copy()
        for key, item in value.items():
            new[key] = map_tensors(item, change)
        return new
    if is_dataclass(value) and not isinstance(value, type):
        changes = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = map_tensors(old, change)
            if new is not old and field.init:
                changes[field.name] = new
        return replace(value, **changes) if changes else value
    return value


def layout_of(tensor: torch.Tensor) -> Layout:
    """How a tensor lies in memory."""
    if tensor.layout is not torch.strided:
        return "strided"
    if tensor.is_contiguous():
        return "contiguous"
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    if last is not None and tensor.is_contiguous(memory_format=last):
        return "channels-last"
    return "strided"


def specs_of(value: Any) -> tuple[TensorSpec, ...]:
    """Shape, dtype and name of every tensor in ``value``."""
    if type(value) is torch.Tensor:
        return (TensorSpec(tuple(value.shape), dtype_name(value.dtype)),)
    return tuple(
        TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), name)
        for name, tensor in named_tensors(value)
    )
