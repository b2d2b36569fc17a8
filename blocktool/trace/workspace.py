"""Bytes that a kernel takes beside its inputs and outputs, and gives back before it returns.

Known for one family: the convolutions of oneDNN on CPU, in float32 and bfloat16, not transposed.
For row-major tensors they work on copies of input, weight and output in a blocked layout, with
channels in sixteens (https://uxlfoundation.github.io/oneDNN/dev_guide_understanding_memory_formats.html);
channels-last tensors are read as they are, and only the weight is copied. In a convolutional
network these copies, and not the tensors that one sees, often decide the peak. The order in which
they are made and freed was read off torch.profiler's memory events (torch 2.13, AVX-512). Of the
scratchpads only those that are large enough to matter are included: bfloat16's, some of which there
are for each of torch's threads.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from blocktool.trace.amounts import least, most, whole

Workspace = Callable[[str, tuple[Any, ...], Any], int]

_BLOCK = 16
_PLAIN_CHANNELS = 3
"""Images are read as they are."""
_LARGE_KERNEL = 25


def no_workspace(op: str, args: tuple[Any, ...], out: Any) -> int:
    """For devices whose kernels' workspaces are not known."""
    return 0


def cpu_workspace(op: str, args: tuple[Any, ...], out: Any) -> int:
    """Bytes that a CPU convolution (or its backward) holds at its own peak, without its outputs."""
    if op == "aten.convolution":
        x, weight, transposed, groups = (args[i] for i in (0, 1, 6, 8))
        if not transposed and _by_onednn(x, weight):
            forward = _forward_last if _channels_last(x, weight) else _forward
            return forward(x, weight, out, groups)
    if op == "aten.convolution_backward":
        x, weight, transposed = (args[i] for i in (1, 2, 7))
        if not transposed and _by_onednn(x, weight):
            return _backward_last(args) if _channels_last(x, weight) else _backward(args)
    return 0


def _by_onednn(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether ATen hands this convolution to oneDNN (Convolution.cpp), in a layout known here.

    Several threads are taken for granted: a single one computes small batches of 1x1 kernels in
    float32 without oneDNN, and without copies.
    """
    if x.dim() not in (3, 4, 5) or not (x.is_contiguous() or _is_last(x)):
        return False
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if x.dtype != torch.float32:
        return False
    grouped = x.shape[1] != weight.shape[1]
    wide = weight.shape[-1] > 3 and weight.shape[-2] > 3
    return grouped or wide or x.shape[0] > 1 or x.numel() > 20480


def _is_last(x: torch.Tensor) -> bool:
    """Whether this is channels-last, and not row-major at the same time."""
    if x.dim() not in (4, 5) or x.is_contiguous():
        return False
    form = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    return x.is_contiguous(memory_format=form)


def _channels_last(x: torch.Tensor, weight: torch.Tensor) -> bool:
    return _is_last(x) or _is_last(weight)


def _up(size: Any) -> Any:
    return -(-size // _BLOCK) * _BLOCK


def _copy(x: torch.Tensor) -> int:
    """Bytes of a map whose channels are rounded up to a block."""
    return whole(x.element_size() * x.shape[0] * _up(x.shape[1]) * prod(x.shape[2:]))


def _depthwise(weight: torch.Tensor, groups: int) -> bool:
    return groups > 1 and bool(weight.shape[1] == 1) and bool(weight.shape[0] == groups)


def _narrow(weight: torch.Tensor, groups: int) -> bool:
    """Whether the gradient of these groups is computed for each of them on its own, in a block that
    it does not fill."""
    if groups == 1:
        return False
    if _depthwise(weight, groups):
        return prod(weight.shape[2:]) >= _LARGE_KERNEL
    sizes = weight.shape[0] // groups, weight.shape[1]
    if weight.dtype == torch.bfloat16:
        return any(size % _BLOCK for size in sizes)
    return any(size < _BLOCK for size in sizes)


def _weight_copy(weight: torch.Tensor, groups: int, *, each: bool = False) -> int:
    """Bytes of a blocked weight; with ``each`` every group is rounded up to blocks."""
    kernel = weight.element_size() * prod(weight.shape[2:])
    if groups == 1:
        return whole(kernel * _up(weight.shape[0]) * _up(weight.shape[1]))
    if each:
        return whole(kernel * groups * _up(weight.shape[0] // groups) * _up(weight.shape[1]))
    if _depthwise(weight, groups):
        return whole(kernel * _up(groups))
    return whole(kernel * weight.shape[0] * weight.shape[1])


def _bytes(x: torch.Tensor) -> Any:
    return x.element_size() * x.numel()


def _dense(grad_out: torch.Tensor) -> Any:
    """Bytes of the copy that an expanded gradient is made into first, as that of a plain sum is."""
    return 0 if grad_out.is_contiguous() or _is_last(grad_out) else _bytes(grad_out)


def _forward(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, groups: int) -> int:
    plain = x.shape[1] <= _PLAIN_CHANNELS
    copies = (0 if plain else _copy(x)) + _weight_copy(weight, groups)
    if x.dtype == torch.bfloat16 and groups == 1 and prod(weight.shape[2:]) == 1:
        # Sums of one image in float32 for each thread.
        copies += torch.get_num_threads() * 4 * prod(out.shape[1:])
    blocked = _copy(out)
    # The blocked result first, while the other copies live; then the plain one is made from it.
    return whole(most(copies + blocked - _bytes(out), blocked))


def _forward_last(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, groups: int) -> int:
    return whole((0 if _is_last(x) else _bytes(x)) + _weight_copy(weight, groups))


def _backward(args: tuple[Any, ...]) -> int:
    grad_out, x, weight = args[:3]
    stride, groups, mask = args[4], args[9], args[10]
    grad_copy, x_copy, w_copy = _copy(grad_out), _copy(x), _weight_copy(weight, groups)
    grad_x = _bytes(x) if mask[0] else 0
    grad_w = _bytes(weight) if mask[1] else 0
    moments: list[Any] = []
    if mask[0]:
        half = x.dtype == torch.bfloat16 and _depthwise(weight, groups)
        strided = max(stride) > 1 and (groups == 1 or half)
        # A strided gradient is made plain in two steps, through one more copy.
        moments += [grad_copy + w_copy + x_copy, x_copy + grad_x * (2 if strided else 1)]
    if mask[1]:
        # Images are read as they are, and so is all where a group does not fill a block.
        narrow = _narrow(weight, groups)
        read = 0 if narrow else grad_copy
        read += 0 if narrow or x.shape[1] <= _PLAIN_CHANNELS else x_copy
        # Threads sum up gradients of their own.
        sums = w_copy
        if x.dtype == torch.bfloat16:
            pointwise = prod(weight.shape[2:]) == 1
            sums = 0 if narrow or pointwise or _depthwise(weight, groups) else _transposed(args)
        moments += [grad_x + read + w_copy + sums, grad_x + w_copy + grad_w]
    beside = 0
    for moment in moments:
        beside = most(beside, moment - grad_x - grad_w)
    return whole(_dense(grad_out) + beside)


def _backward_last(args: tuple[Any, ...]) -> int:
    grad_out, x, weight = args[:3]
    groups, mask = args[9], args[10]
    dense = _dense(grad_out) + (0 if _is_last(x) else _bytes(x))
    grad_w = _bytes(weight) if mask[1] else 0
    beside = _weight_copy(weight, groups) - grad_w if mask[0] else 0
    if mask[1]:
        narrow = _narrow(weight, groups)
        copy = _weight_copy(weight, groups, each=narrow)
        half = x.dtype == torch.bfloat16 and (narrow or not _depthwise(weight, groups))
        scratch = _transposed(args) if half else 0
        # The gradient is made plain in two steps; the second is the one that is returned.
        beside = most(beside, copy + most(grad_w, scratch - grad_w))
    return whole(dense + beside)


def _transposed(args: tuple[Any, ...]) -> Any:
    """Bytes of one image and its gradient with channels rounded up to blocks, as bfloat16's weight
    gradient reads them, and of the sums in float32. Where groups fill their blocks, threads work on
    images of their own."""
    grad_out, x, weight = args[:3]
    stride, padding, groups = args[4], args[5], args[9]
    width = x.shape[-1] if weight.shape[-1] == 1 else (x.shape[-1] + padding[-1] + 2) // 2 * 2
    read = groups * _up(weight.shape[1]) * prod(x.shape[2:-1]) * width
    read += groups * _up(weight.shape[0] // groups) * prod(grad_out.shape[2:])
    size = 2 * read + 2 * _weight_copy(weight, groups, each=True)
    if _narrow(weight, groups) or max(stride) > 1:
        return size
    return size * least(x.shape[0], torch.get_num_threads())
