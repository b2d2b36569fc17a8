"""Faulty modules that confuse the items of a batch, or take its size for granted."""

from __future__ import annotations

from torch import Tensor, nn


class MixesBatchAndSpace(nn.Module):
    """A reshape after a permutation in which the batch is no longer first."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = x.permute(2, 3, 0, 1).reshape(b, h * w, c)
        return self.mix(tokens).transpose(1, 2).reshape(b, c, h, w)


class BatchFoldedIntoTokens(nn.Module):
    """Attention without batch_first gets its batch first: each token attends to the same token
    of the other items."""

    example_inputs = "2x16x8x8"

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return attended.transpose(1, 2).reshape(x.shape)


class BatchStatisticsInEval(nn.Module):
    """A batch norm without running statistics, which norms by its batch in eval as well."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class SoftmaxOverBatch(nn.Module):
    """The softmax runs over dimension 0, not over the classes."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean((2, 3))).softmax(0)


class MeanOverBatch(nn.Module):
    """The gate of a squeeze-and-excitation is the mean over the batch as well."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((0, 2, 3), keepdim=True)).sigmoid()


class ItemsChangePlaces(nn.Module):
    """Flipped over dimension 0 instead of the height: the items come out in another order."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.flip(0))


class SqueezesTheBatch(nn.Module):
    """``squeeze()`` removes the two sides of a pooled map, and a batch of one with them."""

    example_inputs = "2x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(x).squeeze())


class HardCodedBatch(nn.Module):
    """A reshape for a batch of one: further items are appended to the first one's tokens."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.permute(0, 2, 3, 1).reshape(1, -1, 16))


class FlattensTheBatch(nn.Module):
    """``flatten()`` without a first dimension: all items become one vector."""

    example_inputs = "1x16x32x32"

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(x).flatten())
