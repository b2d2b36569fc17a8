"""Residual blocks: basic and bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_divides, check_positive, check_rate
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import (
    Device,
    DropPath,
    LayerScale,
    is_named,
    make_act,
    make_layer,
    reset_parameters,
)
from blocktool.blocks.options import ActSpec, AttnSpec, NormSpec, Shortcut, StrideOn
from blocktool.blocks.shapes import check_map, check_map_shape
from blocktool.blocks.squeeze_excite import SqueezeExcite


class _Residual(Block):
    """What residual blocks have in common: ``act(shortcut(x) + branch(x))``.

    A subclass registers its convolutions, names them in ``_branch``, and calls :meth:`_finish`,
    which adds what comes after them, in the order of execution.
    """

    _branch: tuple[str, ...]
    attn: nn.Module | None
    layer_scale: LayerScale | None
    drop_path: DropPath | None
    shortcut_pool: nn.AvgPool2d | None
    shortcut: ConvBlock | None
    act: nn.Module | None

    def __init__(self, in_channels: int, out_channels: int | None, stride: int) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.stride = stride

    def _finish(
        self,
        *,
        attn: AttnSpec,
        shortcut: Shortcut,
        drop_path: float,
        layer_scale: float | None,
        zero_init_last: bool,
        norm: NormSpec,
        act: ActSpec,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        check_choice("shortcut", shortcut, ("conv", "avg"))
        check_rate(drop_path=drop_path)
        width, stride = self.out_channels, self.stride
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self._zero_init_last = zero_init_last
        # Only where it is known that nobody keeps the branch's result for the backward pass.
        self._add_in_place = is_named(norm) and (attn is None or is_named(attn))
        self.attn = make_layer("attn", attn, {"se": SqueezeExcite}, width, **like)
        self.layer_scale = None if layer_scale is None else LayerScale(width, layer_scale, **like)
        self.drop_path = DropPath(drop_path) if drop_path else None
        self.shortcut_pool = self.shortcut = None
        if stride != 1 or self.in_channels != width:
            if shortcut == "avg" and stride != 1:
                # ResNet-D, https://arxiv.org/abs/1812.01187: no input pixel is thrown away. The
                # sizes of odd maps are those of the strided convolution.
                pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
                self.shortcut_pool, stride = pool, 1
            projection = ConvBlock(self.in_channels, width, 1, stride, norm=norm, act=None, **like)
            self.shortcut = projection
        self.act = make_act(act, inplace=True, **like)
        self._zero_last_norm()

    def _zero_last_norm(self) -> None:
        """Start as the identity: the last norm's weight is zero (https://arxiv.org/abs/1706.02677).

        Where the norm has no weight, or there is no norm, the block starts as it is.
        """
        if not self._zero_init_last:
            return
        last: ConvBlock = getattr(self, self._branch[-1])
        weight = getattr(last.norm, "weight", None)
        if isinstance(weight, nn.Parameter):
            nn.init.zeros_(weight)

    def reset_parameters(self) -> None:
        """Initialise every layer anew, the last norm of the branch to zero if so constructed."""
        for layer in self.children():
            reset_parameters(layer)
        self._zero_last_norm()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride), rounded up."""
        check_map(self, x, self.in_channels)
        out = x
        for name in self._branch:
            out = getattr(self, name)(out)
        if self.attn is not None:
            out = self.attn(out)
        if self.layer_scale is not None:
            out = self.layer_scale(out)
        if self.drop_path is not None:
            out = self.drop_path(out)
        if self.shortcut_pool is not None:
            x = self.shortcut_pool(x)
        if self.shortcut is not None:
            x = self.shortcut(x)
        out = out.add_(x) if self._add_in_place else out + x
        return out if self.act is None else self.act(out)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Raises ShapeError where forward would fail.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        for name in self._branch:
            shape = getattr(self, name).output_shape(shape)
        return shape

    def extra_repr(self) -> str:
        """Widths, and the stride where it is not 1."""
        text = f"{self.in_channels}, {self.out_channels}"
        return text if self.stride == 1 else f"{text}, stride={self.stride}"


class ResidualBlock(_Residual):
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
        super().__init__(in_channels, out_channels, stride)
        width = self.out_channels
        like: dict[str, Any] = {"norm": norm, "device": device, "dtype": dtype}
        self.conv1 = ConvBlock(in_channels, width, 3, stride, dilation=dilation, act=act, **like)
        self.conv2 = ConvBlock(width, width, 3, dilation=dilation, act=None, **like)
        self._finish(
            attn=attn,
            shortcut=shortcut,
            drop_path=drop_path,
            layer_scale=layer_scale,
            zero_init_last=zero_init_last,
            act=act,
            **like,
        )


class BottleneckBlock(_Residual):
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
        super().__init__(in_channels, out_channels, stride)
        check_positive(expansion=expansion, groups=groups, base_width=base_width)
        check_positive(bottleneck_channels=bottleneck_channels)
        check_choice("stride_on", stride_on, ("3x3", "1x1"))
        width = bottleneck_channels
        if width is None:
            width = max(self.out_channels * base_width // (expansion * 64), 1) * groups
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
            zero_init_last=zero_init_last,
            act=act,
            **like,
        )

    def extra_repr(self) -> str:
        """Widths, and the stride where it is not 1."""
        return f"{super().extra_repr()}, bottleneck_channels={self.bottleneck_channels}"
