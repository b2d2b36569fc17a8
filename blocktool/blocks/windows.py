"""Cutting a map into windows that do not overlap, and putting it together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Windows:
    """The windows of ``size`` (height, width) over maps of ``height`` x ``width``.

    Where the size does not divide the map, the last windows are filled up below and to the right,
    and :meth:`mask` keeps attention off the filling. A window larger than the map is the map.
    """

    def __init__(self, height: int, width: int, size: tuple[int, int]) -> None:
        self.height, self.width = height, width
        self.size_h, self.size_w = min(size[0], height), min(size[1], width)
        self.rows = -(-height // self.size_h)
        self.columns = -(-width // self.size_w)
        self.fill = (self.rows * self.size_h - height, self.columns * self.size_w - width)

    def split(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B * rows * columns, size_h * size_w, C)."""
        if any(self.fill):
            x = F.pad(x, (0, self.fill[1], 0, self.fill[0]))
        batch, channels = x.shape[:2]
        x = x.view(batch, channels, self.rows, self.size_h, self.columns, self.size_w)
        x = x.permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, size_h, size_w, C)
        return x.reshape(-1, self.size_h * self.size_w, channels)

    def join(self, tokens: Tensor, batch: int) -> Tensor:
        """(B * rows * columns, size_h * size_w, C) -> (B, C, H, W)."""
        channels = tokens.shape[2]
        x = tokens.view(batch, self.rows, self.columns, self.size_h, self.size_w, channels)
        x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, rows, size_h, columns, size_w)
        x = x.reshape(batch, channels, self.rows * self.size_h, self.columns * self.size_w)
        return x[:, :, : self.height, : self.width] if any(self.fill) else x

    def mask(self, x: Tensor) -> Tensor | None:
        """Which keys are real, (B * rows * columns, 1, 1, size_h * size_w), None where all are.

        ``x`` is the map that is split: its batch size and its device are used.
        """
        if not any(self.fill):
            return None
        real = torch.ones((1, 1, self.height, self.width), dtype=torch.bool, device=x.device)
        keys = self.split(real).squeeze(2)  # (rows * columns, size_h * size_w)
        return keys.repeat(x.shape[0], 1)[:, None, None, :]
