"""Residual blocks that begin with norm and activation: basic and bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.blocks.checks import check_divides, check_positive, check_size
from blocktool.blocks.conv import ConvBlock, check_norm
from blocktool.blocks.layers import Device, is_named, make_act, make_norm
from blocktool.blocks.options import ActSpec, AttnSpec, NormSpec, Shortcut
from blocktool.blocks.residual import bottleneck_width
from blocktool.blocks.residual_base import Residual
from blocktool.blocks.shapes import ShapeError, check_map, check_map_shape


class PreActivation(Residual):
    """``branch(act(norm(x))) + shortcut``, https://arxiv.org/abs/1603.05027.

    The identity takes ``x`` itself, a projection what is normed and activated, as in the paper's
    own code and timm's ResNetV2.
    """

    norm: nn.Module | None
    act: nn.Module | None

    def _begin(self, norm: NormSpec, act: ActSpec, like: dict[str, Any]) -> None:
        self.norm = make_norm(norm, self.in_channels, **like)
        # Never on the input itself, nor on what an unknown norm may keep.
        self.act = make_act(act, inplace=norm is not None and is_named(norm), **like)

    def _finish(
        self,
        attn: AttnSpec,
        shortcut: Shortcut,
        drop_path: float,
        layer_scale: float | None,
        like: dict[str, Any],
    ) -> None:
        # A convolution does not need its own output for the backward pass.
        self._add_in_place = attn is None or is_named(attn)
        self._end_branch(attn, layer_scale, drop_path, like)
        self._add_shortcut(shortcut, None, False, like)
        self._zero_last()

    def _zero_last(self) -> None:
        """The last convolution is zero, so that the block starts as the identity."""
        last: ConvBlock = getattr(self, self._branch[-1])
        if self._zero_init_last:
            nn.init.zeros_(last.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride), rounded up."""
        check_map(self, x, self.in_channels)
        ready = x if self.norm is None else self._normed(self.norm, x)
        if self.act is not None:
            ready = self.act(ready)
        out = self._run_branch(ready)
        x = x if self.shortcut is None else self._run_shortcut(ready)
        # Under autocast the branch is rounded; the sum of all blocks before it should not be.
        return out.add_(x) if self._add_in_place and out.dtype == x.dtype else out + x

    def _normed(self, norm: nn.Module, x: Tensor) -> Tensor:
        try:
            out: Tensor = norm(x)
        except (RuntimeError, ValueError, IndexError) as error:
            try:
                check_norm(self, norm, x.shape, x.shape)
            except ShapeError as explained:
                raise explained from error
            raise
        return out

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Raises ShapeError where forward would fail.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        check_norm(self, self.norm, shape, shape)
        return super().output_shape(shape)


class PreActBlock(PreActivation):
    """Norm, activation, 3x3 convolution, twice, and a shortcut.

    (B, in_channels, H, W) -> (B, out_channels, H', W'). The basic block of ResNet-v2,
    https://arxiv.org/abs/1603.05027. Nothing follows the sum: after the last of such blocks a
    norm and an activation are still due (``head: {norm: batch, act: relu}`` in a configuration).
    ``zero_init_last`` makes the last convolution zero.

    The other arguments, and the errors, are those of :class:`~blocktool.blocks.ResidualBlock`.
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
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        plain: dict[str, Any] = {"norm": None, "act": None, "bias": False, **like}
        nac: dict[str, Any] = {"norm": norm, "act": act, "bias": False, "order": "nac", **like}
        self._begin(norm, act, like)
        self.conv1 = ConvBlock(in_channels, width, 3, stride, dilation=dilation, **plain)
        self.conv2 = ConvBlock(width, width, 3, dilation=dilation, **nac)
        self._finish(attn, shortcut, drop_path, layer_scale, like)


class PreActBottleneck(PreActivation):
    """Norm, activation, convolution, three times (1x1, 3x3, 1x1), and a shortcut.

    (B, in_channels, H, W) -> (B, out_channels, H', W'). The bottleneck of ResNet-v2,
    https://arxiv.org/abs/1603.05027, with the stride on the 3x3 convolution. The widths are those
    of :class:`~blocktool.blocks.BottleneckBlock`; see :class:`PreActBlock` for the rest.
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
        width = bottleneck_channels
        if width is None:
            width = bottleneck_width(self.out_channels, expansion, base_width, groups)
        check_divides("groups", groups, bottleneck_channels=width)
        self.bottleneck_channels = width
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        plain: dict[str, Any] = {"norm": None, "act": None, "bias": False, **like}
        nac: dict[str, Any] = {"norm": norm, "act": act, "bias": False, "order": "nac", **like}
        self._begin(norm, act, like)
        self.conv1 = ConvBlock(in_channels, width, 1, **plain)
        self.conv2 = ConvBlock(width, width, 3, stride, dilation=dilation, groups=groups, **nac)
        self.conv3 = ConvBlock(width, self.out_channels, 1, **nac)
        self._finish(attn, shortcut, drop_path, layer_scale, like)

    def extra_repr(self) -> str:
        """Widths, and the stride where it is not 1."""
        return f"{super().extra_repr()}, bottleneck_channels={self.bottleneck_channels}"
