"""Faulty modules that hold as they stand, and break with another argument or mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MissingProjection(nn.Module):
    """A shortcut without projection: it breaks as soon as the number of channels changes."""

    example_inputs = "1x16x32x32"

    def __init__(self, out_channels: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class UnstridedShortcut(nn.Module):
    """The branch has a stride, its shortcut has none."""

    example_inputs = "1x16x32x32"

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, stride=stride, padding=1)
        self.shortcut = nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv(x)


class EvenKernel(nn.Module):
    """Padding of half the kernel keeps the size of a map for odd kernels only."""

    example_inputs = "1x16x32x32"

    def __init__(self, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class RoundedChannels(nn.Module):
    """Three branches of a third of the channels each: a rest of the division is lost."""

    example_inputs = "1x16x32x32"

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(16, width, 1)
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width // 3, kernel, padding=kernel // 2) for kernel in (1, 3, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return x + torch.cat([branch(x) for branch in self.branches], 1)


class MisspeltLayer(nn.Module):
    """A layer that does not exist, on a way of the constructor that only a stride takes."""

    example_inputs = "1x16x32x32"

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.pool = nn.AvgPool2D(stride) if stride > 1 else nn.Identity()  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(x))


class TrainOnlyCrash(nn.Module):
    """An auxiliary head that is used in training only, and expects other channels."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.auxiliary = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.conv(x)
        return (x, self.auxiliary(x)) if self.training else x


class FloatOnly(nn.Module):
    """The result is returned in float32, whatever came in."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).float()


class TableOutsideTheModule(nn.Module):
    """A table that is no buffer: it stays float32 when the module is cast, and so does the sum."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.table = torch.linspace(0, 1, 16).reshape(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.table


class ZerosWithoutDtype(nn.Module):
    """Zeros are made in float32 in forward, and joined to a map of another dtype."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(20, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        return self.conv(torch.cat([x, torch.zeros(b, 4, h, w, device=x.device)], 1))


class ViewOfAnyMemory(nn.Module):
    """``view`` over all dimensions, which a channels-last map does not allow."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        size = x.view(x.shape[0], -1).norm(dim=1)
        return x * (self.scale / (1 + size)).view(-1, 1, 1, 1)


class LosesMemoryFormat(nn.Module):
    """A needless ``contiguous`` turns channels-last maps into plain ones."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).contiguous()
