"""Layouts of meta tensors: what the shape rules ask of their operands, and what they make."""

from __future__ import annotations

from typing import Any

import torch

Tensor = torch.Tensor
FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
WIDE = frozenset((torch.float32, torch.float64))


class ShapeMismatchError(RuntimeError):
    """Operands do not fit; the text is that of the CPU's kernel."""


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


def elementwise(*tensors: Tensor) -> Tensor | None:
    """The result of an elementwise operation, laid out as ATen's TensorIterator lays it out; None
    where the shapes do not broadcast.

    The order of dimensions is that of the first operand which tells them apart
    (TensorIteratorBase::reorder_dimensions); a broadcast dimension tells nothing.
    """
    first = tensors[0]
    shape: list[int] = list(first.shape)
    same = True
    for tensor in tensors[1:]:
        if tensor.shape != first.shape:
            joint = broadcast(shape, tensor.shape)
            if joint is None:
                return None
            shape, same = joint, False
    if all(tensor.is_contiguous() for tensor in tensors):
        return new(first, shape)
    if same and dense(first) and all(t.stride() == first.stride() for t in tensors[1:]):
        return torch.empty_strided(shape, first.stride(), dtype=first.dtype, device="meta")
    order = _iteration_order(shape, [_strides_within(tensor, shape) for tensor in tensors])
    strides = [0] * len(shape)
    filled = 1
    for dim in order:
        strides[dim] = filled
        filled *= shape[dim]
    return torch.empty_strided(shape, strides, dtype=first.dtype, device="meta")


def _strides_within(tensor: Tensor, shape: list[int]) -> list[int]:
    """Strides of ``tensor`` as seen in the broadcast ``shape``: 0 where it is broadcast."""
    missing = len(shape) - tensor.dim()
    own = [
        0 if size == 1 and whole != 1 else stride
        for stride, size, whole in zip(tensor.stride(), tensor.shape, shape[missing:], strict=True)
    ]
    return [0] * missing + own


def _iteration_order(shape: list[int], operands: list[list[int]]) -> list[int]:
    """Dimensions from the fastest to the slowest, by ATen's insertion sort."""

    def compare(a: int, b: int) -> int:
        for strides in operands:
            if strides[a] == 0 or strides[b] == 0:
                continue
            if strides[a] != strides[b]:
                return -1 if strides[a] < strides[b] else 1
            if shape[a] > shape[b]:
                return 1
        return 0

    order = list(range(len(shape) - 1, -1, -1))
    for start in range(1, len(order)):
        here = start
        for before in range(start - 1, -1, -1):
            verdict = compare(order[before], order[here])
            if verdict > 0:
                order[before], order[here] = order[here], order[before]
                here = before
            elif verdict < 0:
                break
    return order


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
