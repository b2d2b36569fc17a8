"""Faulty modules whose sizes are right: they damage, forget or do not repeat values, or lose
gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Convolution(nn.Module):
    """What the modules below have in common."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)


class DamagesItsInput(_Convolution):
    """An activation in place, which is the first thing that happens to the input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(x, inplace=True))


class ReturnsItsInputChanged(_Convolution):
    """Half of the channels are written into the input, which is returned."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x[:, :8] = 0
        return self.conv(x) + x


class DropoutInEval(_Convolution):
    """``F.dropout`` without ``training=``: it drops in eval as well."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.conv(x), 0.5)


class NoiseInEval(_Convolution):
    """Noise is added whatever the mode is."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + 0.1 * torch.randn_like(x)


class KeepsState(_Convolution):
    """A mean of everything that was seen is kept between calls, in eval as well."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        with torch.no_grad():
            self.mean += 0.1 * (x.mean((0, 2, 3), keepdim=True) - self.mean)
        return x - self.mean


class UnusedParameter(_Convolution):
    """A layer that is never called: its parameters get no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class DetachedBranch(_Convolution):
    """The gate is detached, and so learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.gate(x).sigmoid().detach()


class DataOfParameter(_Convolution):
    """``.data`` of a parameter is used: autograd does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale.data


class DetachedOutput(_Convolution):
    """The whole forward runs without gradients, left over from an evaluation."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class InPlaceBreaksBackward(_Convolution):
    """The result of a sigmoid, which its backward needs, is multiplied in place."""

    def forward(self, x: Tensor) -> Tensor:
        gate = self.conv(x).sigmoid()
        gate *= 2
        return gate


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return x * scale[:, None, None]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * scale[:, None, None], (gradient * x).sum((0, 1))


class WrongGradientShape(_Convolution):
    """The backward of a function of its own sums over the wrong dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = _Scale.apply(self.conv(x), self.scale)
        return scaled
