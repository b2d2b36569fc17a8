"""The way from the last map to logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_positive, check_rate
from blocktool.blocks.config import HeadConfig
from blocktool.blocks.layers import Device
from blocktool.blocks.shapes import check_map, check_map_shape

_POOLS: dict[str, Any] = {"avg": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}


class ClassifierHead(Block):
    """Global pooling, dropout and a linear layer: (B, C, H, W) -> (B, num_classes)."""

    def __init__(
        self,
        in_channels: int,
        config: HeadConfig,
        *,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_classes=config.num_classes)
        check_rate(dropout=config.dropout)
        check_choice("pool", config.pool, _POOLS)
        self.in_channels = in_channels
        self.out_channels = config.num_classes
        self.pool = _POOLS[config.pool](1)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else None
        self.fc = nn.Linear(in_channels, config.num_classes, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Initialise the linear layer as torch.nn.Linear does."""
        self.fc.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        check_map(self, x, self.in_channels)
        x = self.pool(x).flatten(1)
        if self.dropout is not None:
            x = self.dropout(x)
        logits: Tensor = self.fc(x)
        return logits

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """(B, num_classes)."""
        return check_map_shape(self, input_shape, self.in_channels)[0], self.out_channels
