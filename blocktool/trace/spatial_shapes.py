"""Shape rules of convolution and pooling. See shapes.py."""

from __future__ import annotations

from typing import Any

import torch

from blocktool.trace.asked import contiguous
from blocktool.trace.layouts import ShapeMismatchError, Tensor, empty, new, plain, same_kind

_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _spatial(values: Any, count: int) -> list[int]:
    """One value per dimension; -1, which no rule accepts, where their number does not fit."""
    if len(values) not in (1, count):
        return [-1] * count
    return list(values) * count if len(values) == 1 else list(values)


def convolution(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``aten.convolution``, of one to three spatial dimensions."""
    if len(args) != 9:
        return NotImplemented
    x, w, bias, stride, padding, dilation, transposed, output_padding, groups = args
    rank = x.dim() - 2
    if rank < 1 or rank > 3 or w.dim() != rank + 2 or not same_kind(x, w):
        return NotImplemented
    if not (_regular(x) and _regular(w)):
        return NotImplemented
    channels = w.shape[0] if transposed else w.shape[1] * groups
    out_channels = w.shape[1] * groups if transposed else w.shape[0]
    if groups < 1 or w.shape[0] % groups or w.shape[0] == 0:
        return NotImplemented
    if x.shape[1] != channels:
        # As the CPU says it; the meta kernel only says "invalid channel dimensions".
        raise ShapeMismatchError(
            f"Given groups={groups}, weight of size {list(w.shape)}, expected input"
            f"{list(x.shape)} to have {channels} channels, but got {x.shape[1]} channels instead"
        )
    if bias is not None and (not same_kind(x, bias) or tuple(bias.shape) != (out_channels,)):
        return NotImplemented
    shape = [x.shape[0], out_channels]
    settings = (stride, padding, dilation, output_padding)
    for size, kernel, s, p, d, extra in zip(
        x.shape[2:], w.shape[2:], *(_spatial(v, rank) for v in settings), strict=True
    ):
        if s < 1 or d < 1 or p < 0 or extra < 0 or extra >= max(s, d) or kernel < 1:
            return NotImplemented
        if transposed:
            out = (size - 1) * s - 2 * p + d * (kernel - 1) + extra + 1
        else:
            out = (size + 2 * p - d * (kernel - 1) - 1) // s + 1
        if out < 1:
            return NotImplemented
        shape.append(out)
    return _laid_out(x, shape, _channels_last(x, w))


def convolution_backward(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``aten.convolution_backward``: the gradients to input, weight and bias that are asked for."""
    grad_out, x, w, bias_sizes, mask = *args[:4], args[10]
    if not same_kind(grad_out, x, w) or x.dim() != w.dim():
        return NotImplemented
    if not (_regular(x) and _regular(w)):
        return NotImplemented
    layout = _channels_last(x, w)
    grad_x = _laid_out(x, x.shape, layout) if mask[0] else None
    grad_w = _laid_out(w, w.shape, layout) if mask[1] else None
    if mask[2] and not bias_sizes:
        return NotImplemented
    return grad_x, grad_w, new(x, bias_sizes) if mask[2] else None


def _regular(tensor: Tensor) -> bool:
    """Contiguous, or channels-last where there is such a layout."""
    layout = _LAST.get(tensor.dim())
    return contiguous(tensor) or (layout is not None and contiguous(tensor, layout))


def _channels_last(*tensors: Tensor) -> torch.memory_format:
    """Convolutions keep to channels-last where any operand is; torch's meta kernel forgets it."""
    layout = _LAST.get(tensors[0].dim())
    if layout is not None:
        for tensor in tensors:
            if not contiguous(tensor) and contiguous(tensor, layout):
                return layout
    return torch.contiguous_format


def _laid_out(like: Tensor, shape: Any, layout: torch.memory_format) -> Tensor:
    if layout is torch.contiguous_format:
        return new(like, shape)
    return torch.empty(shape, dtype=like.dtype, device="meta", memory_format=layout)


def max_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``aten.max_pool2d_with_indices``."""
    shape = _pooled(args[0], args[1], *args[2:], kind="max")
    if shape is None:
        return NotImplemented
    return new(args[0], shape), empty(shape, torch.int64)


def avg_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``aten.avg_pool2d``."""
    shape = _pooled(args[0], args[1], *args[2:4], kind="avg")
    return NotImplemented if shape is None or (len(args) > 4 and args[4]) else new(args[0], shape)


def _pooled(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0,),
    dilation: Any = (1,),
    ceil_mode: bool = False,
    *,
    kind: str,
) -> list[int] | None:
    if x.dim() != 4 or ceil_mode or not plain(x) or any(size < 1 for size in x.shape):
        return None
    kernel = _spatial(kernel, 2)
    stride = _spatial(stride, 2) if stride else kernel
    shape = list(x.shape[:2])
    for size, k, s, p, d in zip(
        x.shape[2:], kernel, stride, _spatial(padding, 2), _spatial(dilation, 2), strict=True
    ):
        out = (size + 2 * p - d * (k - 1) - 1) // s + 1 if s > 0 else 0
        if out < 1 or p < 0 or p > k // 2 or k < 1:
            return None
        shape.append(out)
    return shape
