"""Shape rules of what moves or copies: padding, resizing, clones. See shapes.py."""

from __future__ import annotations

from typing import Any

import torch

from blocktool.trace.asked import contiguous
from blocktool.trace.layouts import dense, like, new, plain, same_kind


def resized(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``upsample_*``: (x, output size, ...)."""
    x, sizes = args[0], args[1]
    if not plain(x) or x.dim() != len(sizes) + 2 or any(n < 1 for n in (*x.shape, *sizes)):
        return NotImplemented
    return new(x, (x.shape[0], x.shape[1], *sizes))


def clone(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``aten.clone``, in the same layout or in row-major order."""
    x, layout = args[0], kwargs.get("memory_format")
    if len(args) > 1 or not same_kind(x):
        return NotImplemented
    if layout is torch.contiguous_format:
        return new(x, x.shape)
    keeps = layout is None or layout is torch.preserve_format
    return like(x) if keeps and (contiguous(x) or dense(x)) else NotImplemented


def constant_pad(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``(x, pad, value)``, pairs from the last dimension on; a negative one cuts."""
    x, pad = args[0], args[1]
    if not plain(x) or len(pad) % 2 or len(pad) > 2 * x.dim() or any(n < 0 for n in pad):
        return NotImplemented
    shape = list(x.shape)
    for position in range(len(pad) // 2):
        shape[-1 - position] += pad[2 * position] + pad[2 * position + 1]
    return new(x, shape)
