"""The arithmetic of folding: a norm or a factor per channel, taken into the weights before it."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_weights

Layer = _ConvNd | nn.Linear
"""What has a weight and a bias per output channel."""


def is_layer(module: nn.Module | None) -> TypeGuard[Layer]:
    """Whether a module is a convolution (transposed ones, too) or linear."""
    return isinstance(module, (_ConvNd, nn.Linear))


def out_channels(layer: Layer) -> int:
    """The number of channels that a layer gives."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def channel_axis(layer: Layer) -> int:
    """The axis of the channels in what a layer gives, from the end: -1 for linear ones."""
    return -1 if isinstance(layer, nn.Linear) else 1 - layer.weight.ndim


def fold_norm(layer: Layer, norm: _BatchNorm) -> None:
    """Make ``layer`` give what ``norm`` in eval mode makes of it, in place.

    As in https://arxiv.org/abs/1712.05877, section 3.2; the arithmetic is torch.nn.utils.fusion's,
    in float32 at least.
    """
    weight, bias = fuse_conv_bn_weights(
        _output_first(layer, layer.weight),
        _wide(layer.bias),
        _wide(norm.running_mean),  # type: ignore[arg-type]
        _wide(norm.running_var),  # type: ignore[arg-type]
        norm.eps,
        _wide(norm.weight),
        _wide(norm.bias),
    )
    _assign(layer, weight, bias)


def scale_output(layer: Layer, factor: Tensor) -> None:
    """Multiply what ``layer`` gives by ``factor`` (one for each output channel), in place."""
    scale = _wide(factor.reshape(-1))
    assert scale is not None
    weight = _output_first(layer, layer.weight)
    weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    bias = None if layer.bias is None else layer.bias.detach() * scale
    _assign(layer, weight, bias)


def _assign(layer: Layer, weight: Tensor, bias: Tensor | None) -> None:
    old: Any = layer.weight
    new = _output_second(layer, weight.detach()).to(old.dtype)
    # New parameters: the old ones may have views, or be what an optimizer knows.
    layer.weight = nn.Parameter(new, requires_grad=old.requires_grad)
    if bias is not None:
        like = layer.bias if layer.bias is not None else old
        bias = bias.detach().to(like.dtype)
        layer.bias = nn.Parameter(bias, requires_grad=like.requires_grad)


def _wide(tensor: Tensor | None) -> Tensor | None:
    """In float32 at least: half precision is rounded once, at the end."""
    if tensor is None:
        return None
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


def _output_first(layer: Layer, weight: Tensor) -> Tensor:
    """The weight with its output channels as the first axis.

    Transposed convolutions keep (in, out / groups, ...), of which group after group is turned.
    """
    wide = _wide(weight)
    assert wide is not None
    if not isinstance(layer, _ConvTransposeNd):
        return wide
    return _turned(wide, layer.groups)


def _output_second(layer: Layer, weight: Tensor) -> Tensor:
    return _turned(weight, layer.groups) if isinstance(layer, _ConvTransposeNd) else weight


def _turned(weight: Tensor, groups: int) -> Tensor:
    """(groups * a, b, ...) as (groups * b, a, ...); its own inverse."""
    split = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return split.transpose(1, 2).flatten(0, 1)
