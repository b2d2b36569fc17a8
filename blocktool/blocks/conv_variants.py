"""Convolutions of other kinds: depthwise separable, grouped, dilated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_size
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import Device
from blocktool.blocks.options import ActSpec, NormSpec, Order, Padding, PaddingMode
from blocktool.blocks.shapes import check_map, check_map_shape


class DepthwiseSeparableConv(Block):
    """A convolution within each channel, then a 1x1 convolution across them.

    (B, in_channels, H, W) -> (B, out_channels, H', W'). The block of MobileNet
    (https://arxiv.org/abs/1704.04861): ``depthwise`` with norm and activation unless ``mid_norm``
    or ``mid_act`` is false, then ``pointwise`` with both. Stride, dilation and padding are the
    depthwise convolution's alone. ``depth_multiplier`` is the number of filters for each channel
    (https://arxiv.org/abs/1610.02357).

    The other arguments, and the errors, are those of :class:`~blocktool.blocks.ConvBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: Padding = None,
        *,
        dilation: int | tuple[int, int] = 1,
        depth_multiplier: int = 1,
        mid_norm: bool = True,
        mid_act: bool = True,
        bias: bool | None = None,
        padding_mode: PaddingMode = "zeros",
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size(in_channels=in_channels, depth_multiplier=depth_multiplier)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        middle = in_channels * depth_multiplier
        like: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        self.depthwise = ConvBlock(
            in_channels,
            middle,
            kernel_size,
            stride,
            padding,
            dilation=dilation,
            groups=in_channels,
            padding_mode=padding_mode,
            norm=norm if mid_norm else None,
            act=act if mid_act else None,
            **like,
        )
        self.pointwise = ConvBlock(middle, out_channels, 1, norm=norm, act=act, **like)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        check_map(self, x, self.in_channels)
        out: Tensor = self.pointwise(self.depthwise(x))
        return out

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Raises ShapeError where forward would fail.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        return self.pointwise.output_shape(self.depthwise.output_shape(shape))

    def extra_repr(self) -> str:
        """Widths."""
        return f"{self.in_channels}, {self.out_channels}"


class GroupedConv(ConvBlock):
    """A convolution in groups of channels that do not see each other, then norm and activation.

    (B, in_channels, H, W) -> (B, out_channels, H', W'); equal to a convolution whose weight is
    block-diagonal, at ``1 / groups`` of its cost (https://arxiv.org/abs/1611.05431). With
    ``shuffle=True`` the output's channels are interleaved, so that the next grouped convolution
    sees all groups (ShuffleNet, https://arxiv.org/abs/1707.01083).

    The other arguments, and the errors, are those of :class:`~blocktool.blocks.ConvBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: Padding = None,
        *,
        groups: int,
        shuffle: bool = False,
        dilation: int | tuple[int, int] = 1,
        bias: bool | None = None,
        padding_mode: PaddingMode = "zeros",
        order: Order = "cna",
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            order=order,
            norm=norm,
            act=act,
            device=device,
            dtype=dtype,
        )
        self.shuffle = nn.ChannelShuffle(groups) if shuffle else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        out = super().forward(x)
        return out if self.shuffle is None else self.shuffle(out)


class DilatedConv(ConvBlock):
    """A convolution with holes, which sees further at the same cost, then norm and activation.

    (B, in_channels, H, W) -> (B, out_channels, H', W'); a kernel of k spans
    ``dilation * (k - 1) + 1`` positions (https://arxiv.org/abs/1511.07122).

    The other arguments, and the errors, are those of :class:`~blocktool.blocks.ConvBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: Padding = None,
        *,
        dilation: int | tuple[int, int] = 2,
        groups: int = 1,
        bias: bool | None = None,
        padding_mode: PaddingMode = "zeros",
        order: Order = "cna",
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            order=order,
            norm=norm,
            act=act,
            device=device,
            dtype=dtype,
        )
