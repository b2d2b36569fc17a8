"""Cutting a grid of tokens into windows that do not overlap, and putting it together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from blocktool.blocks.tokens import Size


class Windows:
    """The windows of ``size`` (height, width) over grids of ``height`` x ``width`` tokens.

    Where the size does not divide the grid, the last windows are filled up below and to the right,
    and :meth:`mask` keeps attention off the filling. A window larger than the grid is the grid.
    """

    def __init__(self, grid: Size, size: Size) -> None:
        self.height, self.width = grid
        self.size_h, self.size_w = min(size[0], self.height), min(size[1], self.width)
        self.rows = -(-self.height // self.size_h)
        self.columns = -(-self.width // self.size_w)
        self.fill = (
            self.rows * self.size_h - self.height,
            self.columns * self.size_w - self.width,
        )

    def split(self, tokens: Tensor) -> Tensor:
        """(B, height * width, C) -> (B * rows * columns, size_h * size_w, C)."""
        x: Tensor = tokens.unflatten(1, (self.height, self.width))
        if any(self.fill):
            x = F.pad(x, (0, 0, 0, self.fill[1], 0, self.fill[0]))
        x = x.unflatten(2, (self.columns, self.size_w)).unflatten(1, (self.rows, self.size_h))
        return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)

    def join(self, tokens: Tensor) -> Tensor:
        """(B * rows * columns, size_h * size_w, C) -> (B, height * width, C)."""
        x: Tensor = tokens.unflatten(1, (self.size_h, self.size_w))
        x = x.unflatten(0, (-1, self.rows, self.columns)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)  # (B, rows * size_h, columns * size_w, C)
        if any(self.fill):
            x = x[:, : self.height, : self.width]
        return x.flatten(1, 2)

    def mask(self, tokens: Tensor) -> Tensor | None:
        """Which keys are real, (B * rows * columns, 1, 1, size_h * size_w), None where all are.

        ``tokens`` are what is split: their batch size and device are used.
        """
        if not any(self.fill):
            return None
        shape = (1, self.height * self.width, 1)
        real = torch.ones(shape, dtype=torch.bool, device=tokens.device)
        keys = self.split(real).squeeze(2)  # (rows * columns, size_h * size_w)
        return keys.repeat(tokens.shape[0], 1)[:, None, None, :]
