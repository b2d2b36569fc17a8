"""From maps to tokens and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from blocktool.blocks.shapes import shape_error

Size = tuple[int, int]


def to_tokens(x: Tensor) -> tuple[Tensor, Size | None]:
    """Tokens (B, H * W, C), contiguous, and (H, W), of a map (B, C, H, W); tokens stay as they are.

    A Linear on a transposed map would not fuse its bias, and attention on it would leave the fast
    kernels, which want a stride of 1 within a head; a map that is channels-last is not copied.
    """
    if x.ndim == 3:
        return x, None
    return x.flatten(2).transpose(1, 2).contiguous(), (x.shape[2], x.shape[3])


def size_of(block: nn.Module, x: Tensor, grid: Size | None, size: Size | None) -> Size | None:
    """(H, W) of what ``x`` is: ``grid`` of a map, or the ``size`` that is given for its tokens.

    Raises ShapeError for a size that is not that of ``x``.
    """
    if size is None:
        return grid
    # A comparison of sizes would be a guard of every exported program.
    if not torch.compiler.is_compiling():
        height, width = size
        if grid is not None and grid != (height, width):
            expected = f"a map (B, C, H={height}, W={width}), as size says"
            hint = "a map knows its size; leave size out"
            raise shape_error(block, expected, x.shape, hint=hint)
        if grid is None and x.shape[1] != height * width:
            reason = f"N: wanted {height * width}, got {x.shape[1]} (dim 1)"
            expected = f"tokens (B, N={height}*{width}, C), as size says"
            raise shape_error(block, expected, x.shape, reason=reason)
    return size


def like_input(tokens: Tensor, size: Size | None, x: Tensor) -> Tensor:
    """Tokens (B, H * W, C) as the map (B, C, H, W) in the memory format of ``x``, or as they are
    where ``size`` is None."""
    if size is None:
        return tokens
    out: Tensor = tokens.transpose(1, 2).unflatten(2, size)
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return out.contiguous(memory_format=torch.channels_last) if last else out.contiguous()
