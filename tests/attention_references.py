"""torch's multi-head attention as a reference for ours."""

from __future__ import annotations

from typing import Any

import torch
from block_keys import State, multihead_attention_keys, renamed, separate_attention_keys
from torch import Tensor, nn


class TorchAttention(nn.Module):
    """torch's attention with the arguments of ours."""

    def __init__(self, *args: Any, mask: dict[str, Tensor] | None = None, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(*args, batch_first=True, **options)
        self.mask = mask or {}

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        return self.attention(x, context, context, need_weights=False, **self.mask)[0]


def packed_keys(state: State) -> State:
    return multihead_attention_keys(renamed(state, (r"^attention\.", "")))


def separate_keys(state: State) -> State:
    return separate_attention_keys(renamed(state, (r"^attention\.", "")))


# torch's module attends with the batch in the middle: its gradients sum over tokens in another
# order. In single precision the outputs are nevertheless the same, bit for bit.
TOLERANCES: dict[torch.dtype, dict[str, float]] = {
    torch.float32: {"tolerance": 0.0, "gradients": 1e-5},
    torch.float64: {"tolerance": 1e-14, "gradients": 1e-13},
}
