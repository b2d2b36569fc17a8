"""Residual blocks that end with their activation: basic, squeeze-and-excitation, bottleneck."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.checks import check_choice, check_divides, check_positive, check_size
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import Device, is_named, make_act
from blocktool.blocks.options import ActSpec, AttnSpec, NormSpec, Shortcut, StrideOn
from blocktool.blocks.residual_base import Residual
from blocktool.blocks.shapes import check_map


class PostActivation(Residual):
    """``act(branch(x) + shortcut(x))``, as in the first ResNet."""

    act: nn.Module | None

    def _finish(
        self,
        *,
        attn: AttnSpec,
        shortcut: Shortcut,
        drop_path: float,
        layer_scale: float | None,
        norm: NormSpec,
        act: ActSpec,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        # Only where it is known that nobody keeps the branch's result for the backward pass.
        self._add_in_place = is_named(norm) and (attn is None or is_named(attn))
        self._end_branch(attn, layer_scale, drop_path, like)
        self._add_shortcut(shortcut, norm, None, like)
        self.act = make_act(act, inplace=True, **like)
        self._zero_last()

    def _zero_last(self) -> None:
        """The last norm's weight is zero (https://arxiv.org/abs/1706.02677).

        Where the norm has no weight, or there is no norm, the block starts as it is.
        """
        if not self._zero_init_last:
            return
        last: ConvBlock = getattr(self, self._branch[-1])
        weight = getattr(last.norm, "weight", None)
        if isinstance(weight, nn.Parameter):
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride), rounded up."""
        check_map(self, x, self.in_channels)
        out = self._run_branch(x)
        x = self._run_shortcut(x)
        out = out.add_(x) if self._add_in_place else out + x
        return out if self.act is None else self.act(out)


class ResidualBlock(PostActivation):
    """Two 3x3 convolutions and a shortcut: (B, in_channels, H, W) -> (B, out_channels, H', W').

    The basic block of ResNet, https://arxiv.org/abs/1512.03385. ``out_channels`` is ``in_channels``
    when left out. The shortcut is the input itself where stride and width allow it, otherwise a 1x1
    convolution with norm (``shortcut="conv"``), or average pooling and a 1x1 convolution
    (``"avg"``).

    ``attn`` is put on the end of the branch (``"se"``, a callable that takes the width, a pair),
    then ``layer_scale`` (the initial factor) and ``drop_path`` (the probability to drop the
    branch of a sample in training).

    Raises ValueError for sizes that are not positive and unknown names; ShapeError, in forward,
    for a tensor that is not (B, in_channels, H, W).
    """

    _branch = ("conv1", "conv2")

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        stride: int = 1,
        dilation: int = 1,
        attn: AttnSpec = None,
        shortcut: Shortcut = "conv",
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        zero_init_last: bool = True,
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, dilation, zero_init_last)
        width = self.out_channels
        like: dict[str, Any] = {"norm": norm, "device": device, "dtype": dtype}
        self.conv1 = ConvBlock(in_channels, width, 3, stride, dilation=dilation, act=act, **like)
        self.conv2 = ConvBlock(width, width, 3, dilation=dilation, act=None, **like)
        self._finish(
            attn=attn,
            shortcut=shortcut,
            drop_path=drop_path,
            layer_scale=layer_scale,
            act=act,
            **like,
        )


class SEResidualBlock(ResidualBlock):
    """The basic block with squeeze-and-excitation at the end of its branch.

    The basic block of SE-ResNet, https://arxiv.org/abs/1709.01507: :class:`ResidualBlock` with
    ``attn="se"``, whose ``reduction`` is that of :class:`~blocktool.blocks.SqueezeExcite`. The
    other arguments, and the errors, are those of ResidualBlock.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        reduction: int = 16,
        stride: int = 1,
        dilation: int = 1,
        shortcut: Shortcut = "conv",
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        zero_init_last: bool = True,
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            stride=stride,
            dilation=dilation,
            attn=("se", {"reduction": reduction}),
            shortcut=shortcut,
            drop_path=drop_path,
            layer_scale=layer_scale,
            zero_init_last=zero_init_last,
            norm=norm,
            act=act,
            device=device,
            dtype=dtype,
        )


class BottleneckBlock(PostActivation):
    """1x1, 3x3, 1x1 convolutions and a shortcut: (B, in_channels, H, W) -> (B, out_channels, ...).

    The bottleneck of ResNet (https://arxiv.org/abs/1512.03385) and, with ``groups``, of ResNeXt
    (https://arxiv.org/abs/1611.05431). ``out_channels`` is the width of the result, ``in_channels``
    when left out. The width of the 3x3 convolution is ``bottleneck_channels``, or
    ``out_channels / expansion * base_width / 64 * groups``: ResNeXt-50 32x4d has ``groups=32,
    base_width=4``, Wide ResNet-50-2 ``base_width=128``. ``stride_on`` says which convolution
    has the stride: the 3x3 one (as in torchvision, "v1.5"), or the first 1x1 one, as in the paper.

    The other arguments, and the errors, are those of :class:`ResidualBlock`.
    """

    _branch = ("conv1", "conv2", "conv3")

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        stride: int = 1,
        dilation: int = 1,
        expansion: int = 4,
        bottleneck_channels: int | None = None,
        groups: int = 1,
        base_width: int = 64,
        stride_on: StrideOn = "3x3",
        attn: AttnSpec = None,
        shortcut: Shortcut = "conv",
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        zero_init_last: bool = True,
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, dilation, zero_init_last)
        check_size(expansion=expansion, groups=groups, base_width=base_width)
        check_positive(bottleneck_channels=bottleneck_channels)
        check_choice("stride_on", stride_on, ("3x3", "1x1"))
        width = bottleneck_channels
        if width is None:
            width = bottleneck_width(self.out_channels, expansion, base_width, groups)
        check_divides("groups", groups, bottleneck_channels=width)
        first, second = (1, stride) if stride_on == "3x3" else (stride, 1)
        self.bottleneck_channels = width
        like: dict[str, Any] = {"norm": norm, "device": device, "dtype": dtype}
        self.conv1 = ConvBlock(in_channels, width, 1, first, act=act, **like)
        self.conv2 = ConvBlock(
            width, width, 3, second, dilation=dilation, groups=groups, act=act, **like
        )
        self.conv3 = ConvBlock(width, self.out_channels, 1, act=None, **like)
        self._finish(
            attn=attn,
            shortcut=shortcut,
            drop_path=drop_path,
            layer_scale=layer_scale,
            act=act,
            **like,
        )

    def extra_repr(self) -> str:
        """Widths, and the stride where it is not 1."""
        return f"{super().extra_repr()}, bottleneck_channels={self.bottleneck_channels}"


def bottleneck_width(out_channels: int, expansion: int, base_width: int, groups: int) -> int:
    """The width of the 3x3 convolution, as in torchvision and timm."""
    return max(out_channels * base_width // (expansion * 64), 1) * groups
