"""Convolution with its norm and activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_divides, check_pair, check_size
from blocktool.blocks.layers import Device, is_named, make_act, make_norm, reset_parameters
from blocktool.blocks.options import ActSpec, NormSpec, Order, Padding, PaddingMode
from blocktool.blocks.shapes import (
    ShapeError,
    check_map,
    check_map_shape,
    conv_size,
    shape_error,
)

_LAYERS: dict[str, tuple[str, ...]] = {
    "cna": ("conv", "norm", "act"),
    "nac": ("norm", "act", "conv"),
}


class ConvBlock(Block):
    """Convolution, norm, activation: (B, in_channels, H, W) -> (B, out_channels, H', W').

    ``order`` is ``"cna"`` (convolution, norm, activation) or ``"nac"`` (pre-activation, as in
    https://arxiv.org/abs/1603.05027; the norm is then over ``in_channels``).

    ``padding=None`` is ``dilation * (kernel_size - 1) // 2`` at each side: an odd kernel keeps
    H / stride (rounded up), an even one never adds to it. ``bias=None`` is no bias where a norm
    follows the convolution, a bias otherwise. ``norm`` and ``act`` are described in
    :mod:`blocktool.blocks.options`.

    Raises ValueError for widths that ``groups`` does not divide, sizes that are not positive, and
    unknown names; ShapeError, in forward, for a tensor that is not (B, in_channels, H, W).
    """

    conv: nn.Conv2d
    norm: nn.Module | None
    act: nn.Module | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: Padding = None,
        *,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool | None = None,
        padding_mode: PaddingMode = "zeros",
        order: Order = "cna",
        norm: NormSpec = "batch",
        act: ActSpec = "relu",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size(in_channels=in_channels, out_channels=out_channels, groups=groups)
        kernel, strides = check_pair("kernel_size", kernel_size), check_pair("stride", stride)
        dilations = check_pair("dilation", dilation)
        check_divides("groups", groups, in_channels=in_channels, out_channels=out_channels)
        check_choice("order", order, ("cna", "nac"))
        check_choice("padding_mode", padding_mode, get_args(PaddingMode))
        if padding is None:
            padding = _half(kernel[0], dilations[0]), _half(kernel[1], dilations[1])
        elif isinstance(padding, str):
            check_choice("padding", padding, ("same", "valid"))
        else:
            padding = check_pair("padding", padding, least=0)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.order = order

        conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            strides,
            padding,
            dilations,
            groups,
            bias=(norm is None or order == "nac") if bias is None else bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )
        width = out_channels if order == "cna" else in_channels
        normed = make_norm(norm, width, device=device, dtype=dtype)
        # In place on what this block made, never on its input; and not on what an unknown norm
        # gave, which may keep its output for the backward pass.
        inplace = is_named(norm) or (norm is None and order == "cna")
        act_layer = make_act(act, inplace=inplace, device=device, dtype=dtype)
        # Registered in the order of execution, which is the order of every listing.
        layers = {"conv": conv, "norm": normed, "act": act_layer}
        for name in _LAYERS[order]:
            setattr(self, name, layers[name])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation (https://arxiv.org/abs/1502.01852, fan out), zero bias, fresh norm."""
        # Random numbers on meta draw nothing, but load a second's worth of torch's decompositions.
        if not self.conv.weight.is_meta:
            nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
            if self.conv.bias is not None:
                nn.init.zeros_(self.conv.bias)
        reset_parameters(self.norm)
        reset_parameters(self.act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        check_map(self, x, self.in_channels)
        shape = x.shape
        try:
            for name in _LAYERS[self.order]:
                # As attributes they would cost microseconds more.
                if (layer := self._modules.get(name)) is not None:
                    x = layer(x)
            return x
        except (RuntimeError, ValueError, IndexError) as error:
            # What torch refuses is explained only now: checking the size beforehand would be
            # paid for at each call, and make exported programs depend on it.
            try:
                self.output_shape(shape)
            except ShapeError as explained:
                raise explained from error
            raise  # shapes were not it

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that forward gives for this one, without running.

        Raises ShapeError where forward would fail.
        """
        shape = check_map_shape(self, input_shape, self.in_channels)
        sizes = (self._output_size(shape, axis) for axis in (0, 1))
        made = (shape[0], self.out_channels, *sizes)
        check_norm(self, self.norm, made if self.order == "cna" else shape, shape)
        return made

    def _output_size(self, shape: tuple[int, ...], axis: int) -> int:
        """The height or the width that the convolution makes."""
        conv, size = self.conv, shape[2 + axis]
        kernel, dilation = conv.kernel_size[axis], conv.dilation[axis]
        span = dilation * (kernel - 1) + 1
        if conv.padding == "same":
            padding = (span - 1) / 2
            made = size
        else:
            padding = 0 if isinstance(conv.padding, str) else conv.padding[axis]
            made = conv_size(size, kernel, conv.stride[axis], int(padding), dilation)
        # Reflected and wrapped borders are taken from the map itself.
        least = {"reflect": int(padding + 0.5) + 1, "circular": int(padding + 0.5)}.get(
            conv.padding_mode, 1
        )
        if conv.padding_mode == "zeros" and shape[0] == 0:
            least = 0  # of no samples torch also convolves empty maps
        least = max(least, int(span - 2 * padding))
        if size < least or made < 1:
            reason = f"{'HW'[axis]}: wanted at least {least}, got {size} (dim {2 + axis})"
            if least > 1:
                padded = f"{conv.padding_mode} padding {padding:g}"
                reason += f": the kernel spans {span}, with {padded}"
            expected = f"(B, C={self.in_channels}, H>={least}, W>={least})"
            raise shape_error(self, expected, shape, reason=reason)
        return made

    def fuse(self) -> Self:
        """Fold the batch norm into the convolution before it, in place; returns self.

        With ``order="nac"``, a norm that does not follow the convolution, stays, as do norms of
        other kinds, those without running statistics, and layers with hooks or parametrizations.
        Raises ValueError in training mode.
        """
        super().fuse()
        norm = self.norm
        plain = type(self.conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d
        if plain and self.order == "cna" and isinstance(norm, nn.BatchNorm2d):
            still = not (norm.training or self.conv.training) and norm.running_mean is not None
            if still and not (_is_hooked(self.conv) or _is_hooked(norm)):
                self.conv = fuse_conv_bn_eval(self.conv, norm)
                self.norm = None
        return self

    def extra_repr(self) -> str:
        """Widths, and what is not the default."""
        text = f"{self.in_channels}, {self.out_channels}"
        if self.order != "cna":
            text += f", order='{self.order}'"
        return text


def check_norm(
    block: Block, norm: nn.Module | None, normed: Sequence[int], shape: Sequence[int]
) -> None:
    """Raise ShapeError for a map that leaves a norm too few values.

    ``normed`` is the shape that the norm is given, ``shape`` that of the block.
    """
    batch, values = normed[0], normed[2] * normed[3]
    if isinstance(norm, nn.BatchNorm2d):
        values *= batch
        refused = values == 1 and (norm.training or norm.running_mean is None)
        what = "batch norm in training needs more than one value for each channel"
        hint = "a larger batch or map, eval mode, or norm='layer'"
    elif isinstance(norm, nn.GroupNorm):
        # torch counts the batch as well, though it is not normed over.
        values *= batch * (norm.num_channels // norm.num_groups)
        refused = values == 1
        what = "torch's group norm needs more than one value for each group"
        hint = "a larger batch or map, fewer groups, or norm='layer'"
    elif isinstance(norm, nn.InstanceNorm2d):
        statistics = norm.training or not norm.track_running_stats
        nothing = batch == 0 and norm.affine
        refused = (values == 1 and statistics) or nothing
        what, hint = "instance norm needs more than one position", "a larger map"
        if nothing:
            what, values, hint = "torch's instance norm needs a sample", 0, "norm='layer'"
    else:
        return
    if refused:
        expected = f"(B, C={block.in_channels}, H, W)"
        raise shape_error(block, expected, shape, reason=f"{what}, got {values}", hint=hint)


def _is_hooked(layer: nn.Module) -> bool:
    """Whether something else happens when the layer is called."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks)
    return any(hooks) or bool(layer._backward_hooks) or bool(layer._backward_pre_hooks)


def _half(kernel_size: int, dilation: int) -> int:
    return dilation * (kernel_size - 1) // 2
