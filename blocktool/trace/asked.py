"""Questions about tensors whose sizes may be symbols, asked so that few answers are conditions.

Whether a size is 1, and how a tensor lies in memory, is assumed to be as it is at the hints, and
noted as an assumption (see symbolic_sizes.py); of numbers it is simply asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

Tensor = torch.Tensor


@contextmanager
def as_it_is(*tensors: Tensor) -> Iterator[None]:
    """How tensors lie in memory is no condition on sizes that are symbols: what is decided
    meanwhile is assumed, and noted as such (see symbolic_sizes.py)."""
    sizes = (size for tensor in tensors for size in (*tensor.shape, *tensor.stride()))
    symbol = next((size for size in sizes if isinstance(size, torch.SymInt)), None)
    if symbol is None:
        yield
        return
    with symbol.node.shape_env.suppress_guards():
        yield


def contiguous(x: Tensor, layout: torch.memory_format = torch.contiguous_format) -> bool:
    """``x.is_contiguous``, which for symbols is an assumption and no condition."""
    if not x._has_symbolic_sizes_strides:
        return x.is_contiguous(memory_format=layout)
    if layout is torch.contiguous_format and _as_made(x):
        return True
    with as_it_is(x):
        return x.is_contiguous(memory_format=layout)


def _as_made(x: Tensor) -> bool:
    """Whether the strides are, as expressions, those that ``layouts.empty`` gives; quickly told."""
    filled: Any = 1
    for size, stride in zip(reversed(x.shape), reversed(x.stride()), strict=True):
        if _expression(stride) != _expression(filled):
            return False
        filled *= size
    return True


def _expression(size: Any) -> Any:
    return size.node.expr if isinstance(size, torch.SymInt) else size


def is_one(size: Any) -> bool:
    """Whether a size is 1; of a symbol it is assumed not to be, where that is not known."""
    if type(size) is int:
        return size == 1
    from torch.fx.experimental.symbolic_shapes import guard_or_false

    return bool(guard_or_false(size == 1))


def same_shape(a: Any, b: Any) -> bool:
    """Whether two shapes are equal; a symbol is taken to differ from 1."""
    if len(a) != len(b):
        return False
    for one, other in zip(a, b, strict=True):
        if type(one) is type(other) is int:
            if one != other:
                return False
        elif is_one(one) != is_one(other) or one != other:
            return False
    return True
