"""Average pooling over windows that do not overlap, cut at the edge."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.blocks.shapes import surely


class CutAvgPool2d(nn.AvgPool2d):
    """The mean of each ``size`` x ``size`` window: (B, C, H, W) -> (B, C, H / size, W / size).

    Rounded up: windows that reach over the lower or right edge are cut there, which is
    nn.AvgPool2d's ``ceil_mode`` without the padding counted.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, size, ceil_mode=True, count_include_pad=False)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / size, W / size), rounded up."""
        size = self.size
        height, width = x.shape[2:]
        exporting = torch.compiler.is_exporting()
        if not exporting or (surely(height % size == 0) and surely(width % size == 0)):
            return super().forward(x)
        # With ceil_mode torch asks whether the last window begins inside, which it cannot prove
        # for all sizes; and runtimes do not agree on what it counts.
        fill = (0, size - 1, 0, size - 1)
        real = torch.ones((1, 1, height, width), dtype=x.dtype, device=x.device)
        return F.avg_pool2d(F.pad(x, fill), size) / F.avg_pool2d(F.pad(real, fill), size)
