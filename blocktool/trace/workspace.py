"""Bytes that a kernel takes beside its inputs and outputs, and gives back before it returns.

Known for one family: the convolutions of oneDNN on CPU, in float32 and row-major
layout. They work on copies of input, weight and output in a blocked layout, with channels in
sixteens (https://uxlfoundation.github.io/oneDNN/dev_guide_understanding_memory_formats.html). In a
convolutional network these copies, and not the tensors that one sees, often decide the peak. The
order in which they are made and freed was read off torch.profiler's memory events. Of the
scratchpads only the one that is large enough to matter is included.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from blocktool.trace.amounts import most, whole

Workspace = Callable[[str, tuple[Any, ...], Any], int]

_BLOCK = 16
_PLAIN_CHANNELS = 3
"""Images are read as they are."""
_PARTIAL_SUMS = 256
_LARGE_KERNEL = 25


def no_workspace(op: str, args: tuple[Any, ...], out: Any) -> int:
    """For devices whose kernels' workspaces are not known."""
    return 0


def cpu_workspace(op: str, args: tuple[Any, ...], out: Any) -> int:
    """Bytes that a CPU convolution (or its backward) holds at its own peak, without its outputs."""
    if op == "aten.convolution" and _blocked(args[0], args[1], transposed=args[6]):
        return _forward(args[0], args[1], out, grouped=args[8] > 1)
    if op == "aten.convolution_backward":
        if _blocked(args[1], args[2], transposed=args[7]):
            return _backward(args)
        return _depthwise_partial_sums(args)
    return 0


def _depthwise_partial_sums(args: tuple[Any, ...]) -> int:
    """In channels-last layout a large depthwise kernel's gradient is summed in parts."""
    x, weight, groups, mask = args[1], args[2], args[9], args[10]
    depthwise = x.dim() == 4 and groups == x.shape[1] == weight.shape[0] > 1
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    if not (depthwise and last and mask[1]) or x.dtype != torch.float32:
        return 0
    return _PARTIAL_SUMS * 4 * weight.numel() if prod(weight.shape[2:]) >= _LARGE_KERNEL else 0


def _blocked(x: torch.Tensor, weight: torch.Tensor, *, transposed: bool) -> bool:
    """Whether ATen hands this convolution to oneDNN, in row-major layout (Convolution.cpp)."""
    if transposed or x.dim() not in (3, 4, 5) or x.dtype != torch.float32 or not x.is_contiguous():
        return False
    grouped = x.shape[1] != weight.shape[1]
    wide = weight.shape[-1] > 3 and weight.shape[-2] > 3
    return grouped or wide or x.shape[0] > 1 or x.numel() > 20480


def _copy(shape: Any) -> int:
    """Bytes of a float32 map whose channels are rounded up to a block."""
    channels = -(-shape[1] // _BLOCK) * _BLOCK
    return whole(4 * shape[0] * channels * prod(shape[2:]))


def _weight_copy(shape: Any, grouped: bool) -> int:
    if grouped:
        return whole(4 * prod(shape))
    rounded = [-(-size // _BLOCK) * _BLOCK for size in shape[:2]]
    return whole(4 * prod(rounded) * prod(shape[2:]))


def _forward(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, grouped: bool) -> int:
    plain = x.shape[1] <= _PLAIN_CHANNELS
    copies = (0 if plain else _copy(x.shape)) + _weight_copy(weight.shape, grouped)
    blocked = _copy(out.shape)
    # The blocked result first, while the other copies live; then the plain one is made from it.
    return most(copies + blocked - 4 * out.numel(), blocked)


def _backward(args: tuple[Any, ...]) -> int:
    grad_out, x, weight = args[:3]
    stride, groups, mask = args[4], args[9], args[10]
    grad_copy, x_copy = _copy(grad_out.shape), _copy(x.shape)
    w_copy = _weight_copy(weight.shape, groups > 1)
    grad_x = 4 * x.numel() if mask[0] else 0
    grad_w = 4 * weight.numel() if mask[1] else 0
    # An expanded gradient, as that of a plain sum is, is made dense first.
    dense = 0 if grad_out.is_contiguous() else 4 * grad_out.numel()
    moments: list[int] = []
    if mask[0]:
        strided = groups == 1 and max(stride) > 1
        # A strided gradient is made plain in two steps, through one more copy.
        moments += [grad_copy + w_copy + x_copy, x_copy + grad_x * (2 if strided else 1)]
    if mask[1]:
        # Grouped weight gradients of stride 1 read the plain layout; images always do.
        read = 0 if groups > 1 and max(stride) == 1 else grad_copy
        read += 0 if (groups > 1 and max(stride) == 1) or x.shape[1] <= _PLAIN_CHANNELS else x_copy
        moments.append(grad_x + read + 2 * w_copy)
    beside = 0
    for moment in moments:
        beside = most(beside, moment - grad_x - grad_w)
    return dense + beside
