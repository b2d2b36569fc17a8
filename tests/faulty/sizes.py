"""Faulty modules whose output has the wrong sizes, or that fail at the sizes nobody tried."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OffByOnePadding(nn.Module):
    """The padding of a 3x3 convolution is 2 instead of 1: the map grows by two."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class HardCodedSize(nn.Module):
    """The head is made for maps of 32x32: features are flattened, not pooled."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(16, 4, 3, padding=1)
        self.head = nn.Linear(4 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class SwappedSides(nn.Module):
    """Tokens become a map again with height and width swapped."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = self.mix(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(b, c, w, h)


class SwappedGrid(nn.Module):
    """A grid of positions is made as width by height, and added to a map of height by width."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(2, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        ys = torch.linspace(0, 1, h, dtype=x.dtype, device=x.device)
        xs = torch.linspace(0, 1, w, dtype=x.dtype, device=x.device)
        grid = torch.stack(torch.meshgrid(xs, ys, indexing="ij"))
        return x + self.embed(grid[None])


class NormOverWidth(nn.Module):
    """A LayerNorm that is meant for channels-last tensors gets a map: it norms the width, which
    only in the example is as large as the number of channels."""

    example_inputs = "1x32x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.conv = nn.Conv2d(32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


class LeftInChannelsLast(nn.Module):
    """The map is permuted for a Linear, and never permuted back."""

    example_inputs = "1x16x16x16"

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.permute(0, 2, 3, 1))


class EvenSizesOnly(nn.Module):
    """Down by a stride of 2 and up again, then added to the input: odd sizes do not come back."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class OddSizesOnly(nn.Module):
    """A transposed convolution without output_padding comes out one short of an even skip."""

    example_inputs = "1x16x33x33"

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(16, 16, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class WindowsOfEight(nn.Module):
    """Windows of 8x8 are cut out of maps without padding them to a multiple of 8."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        windows = x.reshape(b, c, h // 8, 8, w // 8, 8).transpose(3, 4)
        mixed = self.mix(windows.flatten(4)).unflatten(4, (8, 8))
        return mixed.transpose(3, 4).reshape(b, c, h, w)


class HeadsAcrossTokens(nn.Module):
    """The tokens are divided among the heads, and not the channels."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.project(x.flatten(2).transpose(1, 2))
        b, n, c = tokens.shape
        heads = tokens.reshape(b, 4, n // 4, c)
        attended = F.scaled_dot_product_attention(heads, heads, heads)
        return attended.reshape(b, n, c).transpose(1, 2).reshape(x.shape)


class PositionTable(nn.Module):
    """One position for each token of a map of 32x32, which no other map has."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 32 * 32, 16))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2) + self.position
        return tokens.transpose(1, 2).reshape(x.shape)


class UpsampledToFixedSize(nn.Module):
    """The output is brought to 32x32 instead of the size of the input."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(16, 16, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.down(x), size=(32, 32), mode="bilinear")


class FloorInsteadOfCeil(nn.Module):
    """A pooling without ceil_mode, where the last row of an odd map was to be kept."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)


class NormOverTokens(nn.Module):
    """A BatchNorm1d whose features are the 1024 tokens of a map of 32x32, not the channels."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(32 * 32)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(x.shape)
