"""The way from the image into the first stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice
from blocktool.blocks.config import StemConfig
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import Device
from blocktool.blocks.shapes import conv_size

_POOLS: dict[str, Any] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class Stem(Block):
    """A convolution and, unless it is left out, 3x3 pooling with stride 2."""

    def __init__(
        self,
        in_channels: int,
        config: StemConfig,
        *,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = config.out_channels
        self.conv = ConvBlock(
            in_channels,
            config.out_channels,
            config.kernel_size,
            config.stride,
            config.padding,
            bias=config.bias,
            norm=config.norm,
            act=config.act,
            device=device,
            dtype=dtype,
        )
        self.pool: nn.Module | None = None
        if config.pool is not None:
            check_choice("pool", config.pool, _POOLS)
            self.pool = _POOLS[config.pool](3, 2, 1)
        self.stride: int = config.stride if self.pool is None else 2 * config.stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride)."""
        x = self.conv(x)
        return x if self.pool is None else self.pool(x)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running."""
        shape = self.conv.output_shape(input_shape)
        if self.pool is None:
            return shape
        return (*shape[:2], *(conv_size(size, 3, 2, 1, 1) for size in shape[2:]))

    def extra_repr(self) -> str:
        """Widths and stride."""
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"
