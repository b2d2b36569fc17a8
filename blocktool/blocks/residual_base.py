"""What residual blocks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_positive, check_rate, check_size
from blocktool.blocks.conv import ConvBlock
from blocktool.blocks.layers import DropPath, LayerScale, make_layer
from blocktool.blocks.options import AttnSpec, NormSpec, Shortcut
from blocktool.blocks.pooling import CutAvgPool2d
from blocktool.blocks.shapes import check_map_shape
from blocktool.blocks.squeeze_excite import SqueezeExcite


class Residual(Block):
    """What residual blocks have in common: a branch, a shortcut, and their sum.

    A subclass registers its convolutions and names them in ``_branch``, then calls
    :meth:`_end_branch` and :meth:`_add_shortcut`, so that everything stands in the order of
    execution.
    """

    _branch: tuple[str, ...]
    attn: nn.Module | None
    layer_scale: LayerScale | None
    drop_path: DropPath | None
    shortcut_pool: CutAvgPool2d | None
    shortcut: ConvBlock | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None,
        stride: int,
        dilation: int,
        zero_init_last: bool,
    ) -> None:
        super().__init__()
        check_size(in_channels=in_channels, stride=stride, dilation=dilation)
        check_positive(out_channels=out_channels)
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.stride: int = stride
        self._zero_init_last = zero_init_last

    def _end_branch(
        self, attn: AttnSpec, layer_scale: float | None, drop_path: float, like: dict[str, Any]
    ) -> None:
        check_rate(drop_path=drop_path)
        width = self.out_channels
        self.attn = make_layer("attn", attn, {"se": SqueezeExcite}, width, **like)
        self.layer_scale = None if layer_scale is None else LayerScale(width, layer_scale, **like)
        self.drop_path = DropPath(drop_path) if drop_path else None

    def _add_shortcut(
        self, shortcut: Shortcut, norm: NormSpec, bias: bool | None, like: dict[str, Any]
    ) -> None:
        check_choice("shortcut", shortcut, ("conv", "avg"))
        width, stride = self.out_channels, self.stride
        self.shortcut_pool = self.shortcut = None
        if stride != 1 or self.in_channels != width:
            if shortcut == "avg" and stride != 1:
                # ResNet-D, https://arxiv.org/abs/1812.01187: no input pixel is thrown away. The
                # sizes of odd maps are those of the strided convolution.
                self.shortcut_pool, stride = CutAvgPool2d(stride), 1
            self.shortcut = ConvBlock(
                self.in_channels, width, 1, stride, bias=bias, norm=norm, act=None, **like
            )

    def _zero_last(self) -> None:
        """Start as the identity: what ends the branch gives zero."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Initialise every layer anew, the end of the branch to zero if so constructed."""
        super().reset_parameters()
        self._zero_last()

    def _run_branch(self, out: Tensor) -> Tensor:
        """The convolutions, and what ends the branch."""
        return self._run((*self._branch, "attn", "layer_scale", "drop_path"), out)

    def _run_shortcut(self, x: Tensor) -> Tensor:
        return self._run(("shortcut_pool", "shortcut"), x)

    def _run(self, names: tuple[str, ...], x: Tensor) -> Tensor:
        """Those of the layers that there are, one after the other."""
        for name in names:
            # As attributes they would cost microseconds more.
            if (layer := self._modules.get(name)) is not None:
                x = layer(x)
        return x

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
