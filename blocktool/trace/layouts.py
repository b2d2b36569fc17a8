"""Layouts of meta tensors: what the shape rules ask of their operands, and what they make."""

from __future__ import annotations

from typing import Any

import torch

Tensor = torch.Tensor
FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
WIDE = frozenset((torch.float32, torch.float64))


def plain(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, contiguous."""
    dtype = tensors[0].dtype
    return dtype in FLOATS and all(
        t.is_meta and t.dtype == dtype and t.is_contiguous() for t in tensors
    )


def same_kind(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, in any layout."""
    dtype = tensors[0].dtype
    return dtype in FLOATS and all(t.is_meta and t.dtype == dtype for t in tensors)


def new(like: Tensor, shape: Any) -> Tensor:
    """A contiguous meta tensor of the dtype of ``like``."""
    return torch.empty(shape, dtype=like.dtype, device="meta")


def like(x: Tensor) -> Tensor:
    """``torch.empty_like``, which on meta is one of the slow ones: the same order of dimensions,
    without gaps."""
    if x.is_contiguous():
        return torch.empty(x.shape, dtype=x.dtype, device="meta")
    strides = [0] * x.dim()
    filled = 1
    for _, reverse_dim, size in sorted(
        (stride, -dim, size)
        for dim, (stride, size) in enumerate(zip(x.stride(), x.shape, strict=True))
    ):
        strides[-reverse_dim] = filled
        filled *= size
    return torch.empty_strided(x.shape, strides, dtype=x.dtype, device="meta")


def broadcast(a: Any, b: Any) -> list[int] | None:
    """The shape that two shapes broadcast to, None where they do not."""
    if len(a) < len(b):
        a, b = b, a
    shape = list(a)
    offset = len(a) - len(b)
    for position, size in enumerate(b, offset):
        if shape[position] == 1:
            shape[position] = size
        elif size != 1 and size != shape[position]:
            return None
    return shape


def dense(x: Tensor) -> bool:
    """Whether ``x`` covers its memory without gaps or overlap, in whatever order."""
    expected = 1
    for stride, size in sorted(
        (stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1
    ):
        if stride != expected:
            return False
        expected *= size
    return True


def present(tensors: Any) -> list[Any]:
    """Those that are not None."""
    return [t for t in tensors if t is not None]
