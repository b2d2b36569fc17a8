"""Stand-ins for a module's tensors while it is traced: no data, or data that may be changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

StandIn = Callable[[torch.Tensor], Any]


def _as_kind_of(original: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Parameter for parameter, with the original's ``requires_grad`` and extra attributes."""
    if isinstance(original, nn.Parameter):
        new = nn.Parameter(new, requires_grad=original.requires_grad)
        if type(original) is not nn.Parameter:
            with suppress(TypeError):  # a subclass with a layout of its own
                new.__class__ = type(original)
    elif isinstance(original, nn.Buffer):
        new = nn.Buffer(new, persistent=original.persistent)
    elif original.requires_grad:
        new.requires_grad_(True)
    if original.__dict__:
        new.__dict__.update({k: v for k, v in original.__dict__.items() if k != "_backward_hooks"})
    return new


def _lazy(original: torch.Tensor, device: torch.device, dtype: torch.dtype | None) -> Any:
    cls: Any = type(original)
    chosen = dtype if dtype is not None else original.dtype
    if isinstance(original, UninitializedBuffer):
        return cls(device=device, dtype=chosen)
    return cls(requires_grad=original.requires_grad, device=device, dtype=chosen)


def _wanted(original: torch.Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype is not None and original.is_floating_point() else original.dtype


def without_data(device: torch.device, dtype: torch.dtype | None = None) -> StandIn:
    """Stand-ins of the same layout on ``device``, uninitialised; shared storages stay shared.

    ``dtype`` replaces the dtype of floating tensors.
    """
    bases: dict[int, torch.Tensor] = {}

    def stand_in(original: torch.Tensor) -> Any:
        if isinstance(original, (UninitializedParameter, UninitializedBuffer)):
            return _lazy(original, device, dtype)
        chosen = _wanted(original, dtype)
        shape, stride = original.shape, original.stride()
        if original.layout is not torch.strided:
            return original.to(device)
        storage = original.untyped_storage()
        size = original.element_size()
        base = bases.get(storage._cdata)
        if base is None and storage.nbytes() == original.numel() * size:
            base = bases[storage._cdata] = torch.empty_strided(
                shape, stride, dtype=chosen, device=device
            )
            return _as_kind_of(original, base)
        if base is None:
            count = max(storage.nbytes() // size, 1)
            base = bases[storage._cdata] = torch.empty(count, dtype=chosen, device=device)
        if base.dtype != chosen:
            new = torch.empty_strided(shape, stride, dtype=chosen, device=device)
        else:
            new = base.detach().as_strided(shape, stride, original.storage_offset())
        return _as_kind_of(original, new)

    return stand_in


def with_data(device: torch.device, dtype: torch.dtype | None, *, copy: bool) -> StandIn:
    """Stand-ins with the original's values on ``device``; ``copy`` where the original is not to
    see what happens to them (it is not ours)."""

    def stand_in(original: torch.Tensor) -> Any:
        if isinstance(original, (UninitializedParameter, UninitializedBuffer)):
            return _lazy(original, device, dtype)
        new = original.detach().to(device, _wanted(original, dtype), copy=copy)
        return _as_kind_of(original, new)

    return stand_in
