"""From maps to tokens and back."""

from __future__ import annotations

import torch
from torch import Tensor

Size = tuple[int, int]


def to_tokens(x: Tensor) -> tuple[Tensor, Size | None]:
    """Tokens (B, H * W, C), contiguous, and (H, W), of a map (B, C, H, W); tokens stay as they are.

    A Linear on a transposed map would not fuse its bias, and attention on it would leave the fast
    kernels, which want a stride of 1 within a head; a map that is channels-last is not copied.
    """
    if x.ndim == 3:
        return x, None
    return x.flatten(2).transpose(1, 2).contiguous(), (x.shape[2], x.shape[3])


def like_input(tokens: Tensor, size: Size | None, x: Tensor) -> Tensor:
    """Tokens (B, H * W, C) as the map (B, C, H, W) in the memory format of ``x``, or as they are
    where ``size`` is None."""
    if size is None:
        return tokens
    out: Tensor = tokens.transpose(1, 2).unflatten(2, size)
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return out.contiguous(memory_format=torch.channels_last) if last else out.contiguous()
