"""The way from the last map, or the last tokens, to logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_positive, check_rate
from blocktool.blocks.config import HeadConfig
from blocktool.blocks.layers import Device, is_named, make_act, make_norm, make_token_norm
from blocktool.blocks.shapes import check_map, check_map_shape, check_tokens

_POOLS: dict[str, Any] = {"avg": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}


class ClassifierHead(Block):
    """Norm, activation, global pooling, dropout and a linear layer: -> (B, num_classes).

    From maps (B, C, H, W), or, with ``tokens=True``, from tokens (B, 1 + N, C) whose first is the
    class token: ``pool="token"`` takes it, the other kinds pool the rest.
    """

    def __init__(
        self,
        in_channels: int,
        config: HeadConfig,
        *,
        tokens: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_classes=config.num_classes)
        check_rate(dropout=config.dropout)
        check_choice("pool", config.pool, (*_POOLS, "token"))
        if config.pool == "token" and not tokens:
            raise ValueError("pool: 'token' needs positions with a class token")
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_channels = in_channels
        self.out_channels = config.num_classes
        self.stride = 1
        self.tokens = tokens
        self.pooling = config.pool
        make: Any = make_token_norm if tokens else make_norm
        self.norm: nn.Module | None = make(config.norm, in_channels, **like)
        # In place on what a norm of ours gave, never on the input.
        inplace = config.norm is not None and is_named(config.norm)
        self.act = make_act(config.act, inplace=inplace, **like)
        self.pool = None if tokens else _POOLS[config.pool](1)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else None
        self.fc = nn.Linear(in_channels, config.num_classes, **like)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), or tokens (B, 1 + N, C) -> (B, num_classes)."""
        if self.tokens:
            check_tokens(self, x.shape, self.in_channels)
            # A norm of tokens sees each by itself: those that are not wanted need none.
            x = x[:, 0] if self.pooling == "token" else x[:, 1:]
        else:
            check_map(self, x, self.in_channels)
        if self.norm is not None:
            x = self.norm(x)
        if self.act is not None:
            x = self.act(x)
        if self.pool is not None:
            x = self.pool(x).flatten(1)
        elif self.pooling != "token":
            x = x.mean(1) if self.pooling == "avg" else x.amax(1)
        if self.dropout is not None:
            x = self.dropout(x)
        logits: Tensor = self.fc(x)
        return logits

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """(B, num_classes)."""
        if self.tokens:
            check_tokens(self, input_shape, self.in_channels)
        else:
            check_map_shape(self, input_shape, self.in_channels)
        return input_shape[0], self.out_channels
