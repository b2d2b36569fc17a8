"""Learned positions of a vision transformer, and its class token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_pair, check_size
from blocktool.blocks.layers import Device
from blocktool.blocks.shapes import check_map, check_map_shape, shape_error, surely
from blocktool.blocks.tokens import Size, like_input, to_tokens


class PositionEmbedding(Block):
    """Add a learned vector to each position of a map, and put a class token before them all.

    (B, C, H, W) -> tokens (B, 1 + H * W, C), or, with ``class_token=False``, the map again. From
    ViT, https://arxiv.org/abs/2010.11929. ``grid`` is the size that is learned; for maps of another
    size the positions are resampled (bicubic with antialiasing, as in timm).

    Raises ValueError for sizes that are not positive; ShapeError, in forward, for a tensor that is
    not (B, channels, H, W), or that is empty.
    """

    def __init__(
        self,
        channels: int,
        grid: int | tuple[int, int],
        *,
        class_token: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size(channels=channels)
        self.grid: Size = check_pair("grid", grid)
        self.in_channels = self.out_channels = channels
        self.stride = 1
        count = self.grid[0] * self.grid[1] + bool(class_token)
        self.class_token: nn.Parameter | None = None
        if class_token:
            self.class_token = nn.Parameter(torch.empty(1, 1, channels, device=device, dtype=dtype))
        self.positions = nn.Parameter(torch.empty(1, count, channels, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Positions of standard deviation 0.02, a class token near zero, as in timm."""
        if not self.positions.is_meta:
            nn.init.trunc_normal_(self.positions, std=0.02)
            if self.class_token is not None:
                nn.init.normal_(self.class_token, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1 + H * W, C), or (B, C, H, W) without a class token."""
        check_map(self, x, self.in_channels)
        tokens, size = to_tokens(x)
        assert size is not None
        if surely(size[0] * size[1] == 0):
            self._refuse_nothing(x.shape)
        positions = self._positions(size)
        if self.class_token is None:
            return like_input(tokens + positions, size, x)
        first = self.class_token.expand(tokens.shape[0], -1, -1)
        return torch.cat((first, tokens), 1) + positions

    def _positions(self, size: Size) -> Tensor:
        """(1, prefix + H * W, C)."""
        # A program of any size always resamples, which for the learned one changes nothing.
        if surely(size[0] == self.grid[0]) and surely(size[1] == self.grid[1]):
            return self.positions
        count = self.positions.shape[1] - self.grid[0] * self.grid[1]
        first, learned = self.positions[:, :count], self.positions[:, count:]
        grid = learned.transpose(1, 2).unflatten(2, self.grid).float()
        made = F.interpolate(grid, size, mode="bicubic", antialias=True, align_corners=False)
        resampled = made.flatten(2).transpose(1, 2).to(learned.dtype)
        return torch.cat((first, resampled), 1)

    def _refuse_nothing(self, shape: Sequence[int]) -> NoReturn:
        raise shape_error(self, f"(B, C={self.in_channels}, H>=1, W>=1)", shape)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Raises ShapeError unless it is (B, channels, H, W), with at least one position.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        if shape[2] * shape[3] == 0:
            self._refuse_nothing(shape)
        if self.class_token is None:
            return shape
        return shape[0], 1 + shape[2] * shape[3], self.in_channels

    def extra_repr(self) -> str:
        """Width and grid."""
        text = f"{self.in_channels}, grid={self.grid[0]}x{self.grid[1]}"
        return f"{text}, class_token={self.class_token is not None}"
