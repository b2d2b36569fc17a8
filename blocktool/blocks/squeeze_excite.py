"""Squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_positive, check_size
from blocktool.blocks.layers import Device, make_act
from blocktool.blocks.options import ActSpec
from blocktool.blocks.shapes import check_map, check_map_shape


class SqueezeExcite(Block):
    """Scale each channel by a gate computed from all of them: (B, C, H, W) -> (B, C, H, W).

    ``x * gate(fc2(act(fc1(mean(x)))))``, https://arxiv.org/abs/1709.01507. The squeezed width is
    ``squeeze_channels``, or ``channels / reduction`` rounded to a multiple of ``divisor``, at
    least one ``divisor``.

    Raises ValueError for sizes that are not positive and unknown names; ShapeError, in forward, for
    a tensor that is not (B, channels, H, W).
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        squeeze_channels: int | None = None,
        divisor: int = 8,
        act: ActSpec = "relu",
        gate: ActSpec = "sigmoid",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size(channels=channels, reduction=reduction, divisor=divisor)
        check_positive(squeeze_channels=squeeze_channels)
        if squeeze_channels is None:
            # Rounded half up, and never to zero, which would make an empty convolution.
            multiples = int(channels / reduction + divisor / 2) // divisor
            squeeze_channels = max(multiples, 1) * divisor
        self.in_channels = self.out_channels = channels
        self.squeeze_channels = squeeze_channels
        self.stride = 1
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1, device=device, dtype=dtype)
        self.act = make_act(act, inplace=True, device=device, dtype=dtype)
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1, device=device, dtype=dtype)
        self.gate = make_act(gate, inplace=True, what="gate", device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        check_map(self, x, self.in_channels)
        scale = x
        for name in ("pool", "fc1", "act", "fc2", "gate"):
            # As attributes they would cost microseconds more.
            if (layer := self._modules.get(name)) is not None:
                scale = layer(scale)
        return x * scale

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError unless it is (B, channels, H, W)."""
        return check_map_shape(self, input_shape, self.in_channels)

    def extra_repr(self) -> str:
        """The width and the squeezed width."""
        return f"{self.in_channels}, squeeze_channels={self.squeeze_channels}"
