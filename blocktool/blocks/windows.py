"""Cutting a grid of tokens into windows that do not overlap, and putting it together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from blocktool.blocks.shapes import surely
from blocktool.blocks.tokens import Size


class Windows:
    """The windows of ``size`` (height, width) over grids of ``height`` x ``width`` tokens.

    Where the size does not divide the grid, the last windows are filled up below and to the right,
    and :meth:`mask` keeps attention off the filling. A window larger than the grid is the grid. In
    an exported program for grids of any size all windows are whole, and masked: what holds for some
    grids only is not asked.
    """

    def __init__(self, grid: Size, size: Size) -> None:
        self.height, self.width = grid
        self.size_h = self.height if surely(self.height <= size[0]) else size[0]
        self.size_w = self.width if surely(self.width <= size[1]) else size[1]
        # Rounded up without a negative number, which ONNX's division would round towards zero.
        self.rows = (self.height + self.size_h - 1) // self.size_h
        self.columns = (self.width + self.size_w - 1) // self.size_w
        self.fill = (
            self.rows * self.size_h - self.height,
            self.columns * self.size_w - self.width,
        )
        self.filled = not (surely(self.fill[0] == 0) and surely(self.fill[1] == 0))

    def split(self, tokens: Tensor) -> Tensor:
        """(B, height * width, C) -> (B * rows * columns, size_h * size_w, C)."""
        x: Tensor = tokens.unflatten(1, (self.height, self.width))
        if self.filled:
            x = F.pad(x, (0, 0, 0, self.fill[1], 0, self.fill[0]))
        x = x.unflatten(2, (self.columns, self.size_w)).unflatten(1, (self.rows, self.size_h))
        return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)

    def join(self, tokens: Tensor) -> Tensor:
        """(B * rows * columns, size_h * size_w, C) -> (B, height * width, C)."""
        if self.filled and torch.compiler.is_exporting():
            return self._gather(tokens)
        x: Tensor = tokens.unflatten(1, (self.size_h, self.size_w))
        x = x.unflatten(0, (-1, self.rows, self.columns)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)  # (B, rows * size_h, columns * size_w, C)
        if self.filled:
            x = x[:, : self.height, : self.width]
        return x.flatten(1, 2)

    def _gather(self, tokens: Tensor) -> Tensor:
        """What :meth:`join` does, each token taken from where it is.

        To cut the filling off, or to merge dimensions that are not contiguous, torch compares
        sizes, of which it cannot prove for all grids what is so.
        """
        i = torch.arange(self.height, device=tokens.device)[:, None]
        j = torch.arange(self.width, device=tokens.device)
        window = i // self.size_h * self.columns + j // self.size_w
        place = i % self.size_h * self.size_w + j % self.size_w
        index = window * (self.size_h * self.size_w) + place
        x: Tensor = tokens.unflatten(0, (-1, self.rows * self.columns))
        return x.flatten(1, 2).index_select(1, index.flatten())

    def mask(self, tokens: Tensor) -> Tensor | None:
        """Which keys are real, (B * rows * columns, 1, 1, size_h * size_w), None where all are.

        ``tokens`` are what is split: their batch size and device are used.
        """
        if not self.filled:
            return None
        shape = (1, self.height * self.width, 1)
        real = torch.ones(shape, dtype=torch.bool, device=tokens.device)
        keys = self.split(real).squeeze(2)  # (rows * columns, size_h * size_w)
        return keys.repeat(tokens.shape[0], 1)[:, None, None, :]
