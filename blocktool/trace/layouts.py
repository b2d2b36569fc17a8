"""Layouts of meta tensors: what the shape rules ask of their operands, and what they make."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from blocktool.trace.asked import as_it_is, contiguous, is_one, same_shape

Tensor = torch.Tensor
FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))


class ShapeMismatchError(RuntimeError):
    """Operands do not fit; the text is that of the CPU's kernel."""


def plain(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, contiguous."""
    dtype = tensors[0].dtype
    return dtype in FLOATS and all(
        t.is_meta and t.dtype == dtype and contiguous(t) for t in tensors
    )


def same_kind(*tensors: Any) -> bool:
    """Meta tensors of one floating dtype, in any layout."""
    dtype = tensors[0].dtype
    return dtype in FLOATS and all(t.is_meta and t.dtype == dtype for t in tensors)


def new(like: Tensor, shape: Any) -> Tensor:
    """A contiguous meta tensor of the dtype of ``like``."""
    return empty(shape, like.dtype)


def empty(shape: Any, dtype: torch.dtype) -> Tensor:
    """A contiguous meta tensor."""
    if all(type(size) is int for size in shape):
        return torch.empty(shape, dtype=dtype, device="meta")
    from blocktool.trace.symbolic_sizes import tidied

    shape = [tidied(size) for size in shape]
    strides: list[Any] = []  # torch's own have a max(size, 1) in every factor
    filled: Any = 1
    for size in reversed(shape):
        strides.insert(0, filled)
        filled *= size
    return _strided(shape, strides, dtype)


def _strided(shape: Any, strides: Any, dtype: torch.dtype) -> Tensor:
    """A meta tensor that fills its storage, in whatever order of dimensions."""
    if all(type(size) is int for size in shape):
        return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    # Torch would say of the storage's size only what it can make out from the strides.
    filled = torch.empty((prod(shape),), dtype=dtype, device="meta")
    return filled.as_strided(shape, strides)


def like(x: Tensor) -> Tensor:
    """``torch.empty_like``, which on meta is one of the slow ones: the same order of dimensions,
    without gaps."""
    if contiguous(x):
        return empty(x.shape, x.dtype)
    strides: list[int] = [0] * x.dim()
    filled = 1
    for _, reverse_dim, size in _by_stride(x):
        strides[-reverse_dim] = filled
        filled *= size
    return _strided(x.shape, strides, x.dtype)


def _by_stride(x: Tensor) -> list[tuple[int, int, int]]:
    """(stride, -dimension, size) from the fastest dimension to the slowest."""
    found = [
        (stride, -dim, size)
        for dim, (stride, size) in enumerate(zip(x.stride(), x.shape, strict=True))
    ]
    if not x._has_symbolic_sizes_strides:
        return sorted(found)
    with as_it_is(x):
        return sorted(found)


def broadcast(a: Any, b: Any) -> list[int] | None:
    """The shape that two shapes broadcast to, None where they do not."""
    if len(a) < len(b):
        a, b = b, a
    shape = list(a)
    offset = len(a) - len(b)
    for position, size in enumerate(b, offset):
        if is_one(shape[position]):
            shape[position] = size
        elif not is_one(size) and size != shape[position]:
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
        if not same_shape(tensor.shape, first.shape):
            joint = broadcast(shape, tensor.shape)
            if joint is None:
                return None
            shape, same = joint, False
    if all(contiguous(tensor) for tensor in tensors):
        return new(first, shape)
    if same and dense(first) and _same_strides(tensors):
        return _strided(shape, first.stride(), first.dtype)
    order = _iteration_order(tensors, shape)
    strides = [0] * len(shape)
    filled = 1
    for dim in order:
        strides[dim] = filled
        filled *= shape[dim]
    return _strided(shape, strides, first.dtype)


def _same_strides(tensors: tuple[Tensor, ...]) -> bool:
    first = tensors[0]
    if not first._has_symbolic_sizes_strides:
        return all(tensor.stride() == first.stride() for tensor in tensors[1:])
    with as_it_is(first):
        return all(tensor.stride() == first.stride() for tensor in tensors[1:])


def _strides_within(tensor: Tensor, shape: list[int]) -> list[int]:
    """Strides of ``tensor`` as seen in the broadcast ``shape``: 0 where it is broadcast."""
    missing = len(shape) - tensor.dim()
    own = [
        0 if size == 1 and whole != 1 else stride
        for stride, size, whole in zip(tensor.stride(), tensor.shape, shape[missing:], strict=True)
    ]
    return [0] * missing + own


def _iteration_order(tensors: tuple[Tensor, ...], shape: list[int]) -> list[int]:
    """Dimensions from the fastest to the slowest."""
    if any(tensor._has_symbolic_sizes_strides for tensor in tensors):
        with as_it_is(*tensors):
            return _sorted_dims(shape, [_strides_within(tensor, shape) for tensor in tensors])
    return _sorted_dims(shape, [_strides_within(tensor, shape) for tensor in tensors])


def _sorted_dims(shape: list[int], operands: list[list[int]]) -> list[int]:
    """By ATen's insertion sort."""

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
    if x._has_symbolic_sizes_strides:
        with as_it_is(x):
            return _dense(x)
    return _dense(x)


def _dense(x: Tensor) -> bool:
    pairs = [(stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1]
    if any(type(stride) is int and stride == 0 for stride, _ in pairs):
        return False  # expanded; which of its sizes is larger is nobody's concern
    expected = 1
    for stride, size in sorted(pairs):
        if stride != expected:
            return False
        expected *= size
    return True


def present(tensors: Any) -> list[Any]:
    """Those that are not None."""
    return [t for t in tensors if t is not None]
