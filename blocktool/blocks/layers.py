"""The small parts that blocks share: norms and activations by name, DropPath, LayerScale."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.blocks.checks import check_choice, check_number, check_rate
from blocktool.blocks.options import ActName, ActSpec, NormName, NormSpec, TokenNormSpec

Device = torch.device | str | int | None


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a map (B, C, H, W), at each position by itself.

    As in ConvNeXt (https://arxiv.org/abs/2201.03545); eps is 1e-6, the habit of vision models.
    """

    def __init__(self, channels: int, eps: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(channels, eps=eps, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """Stochastic depth: in training, zero a sample's whole branch with probability ``drop_prob``.

    What is kept is scaled by 1 / (1 - drop_prob). https://arxiv.org/abs/1603.09382
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        check_rate(drop_prob=drop_prob)
        self.drop_prob = float(drop_prob)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or self.drop_prob == 0.0:
            return x
        keep = 1.0 - self.drop_prob
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """The probability."""
        return f"{self.drop_prob:g}"


def drop_path_rates(rate: float, num_blocks: int) -> list[float]:
    """Rates that rise linearly from 0 to ``rate`` over the blocks; a single block gets 0.

    In plain Python: ``torch.linspace(...).item()`` cannot run on the meta device.
    """
    check_rate(drop_path=rate)
    steps = max(num_blocks - 1, 1)
    return [rate * index / steps for index in range(num_blocks)]


class LayerScale(nn.Module):
    """A learned factor for each channel of a branch, small at first.

    https://arxiv.org/abs/2103.17239. ``spatial`` says how many dimensions follow the channels: 2
    for maps (B, C, H, W), 0 for tokens (B, N, C).
    """

    def __init__(
        self,
        channels: int,
        init_value: float = 1e-5,
        *,
        spatial: int = 2,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_number(layer_scale=init_value)
        self.init_value = init_value
        shape = (channels,) + (1,) * spatial
        self.gamma = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every factor to ``init_value``."""
        nn.init.constant_(self.gamma, self.init_value)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each channel by its factor; the shape stays."""
        return x * self.gamma

    def extra_repr(self) -> str:
        """Channels and initial value."""
        return f"{self.gamma.shape[0]}, init_value={self.init_value:g}"


def _group_norm(channels: int, num_groups: int | None = None, **kwargs: Any) -> nn.GroupNorm:
    """GroupNorm with the largest of 32, 16, ... groups that divides the channels."""
    if num_groups is None:
        num_groups = next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0)
    return nn.GroupNorm(num_groups, channels, **kwargs)


def _instance_norm(channels: int, affine: bool = True, **kwargs: Any) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=affine, **kwargs)


def _layer_norm(channels: int, eps: float = 1e-6, **kwargs: Any) -> nn.LayerNorm:
    return nn.LayerNorm(channels, eps=eps, **kwargs)


def _rms_norm(channels: int, eps: float = 1e-6, **kwargs: Any) -> nn.RMSNorm:
    return nn.RMSNorm(channels, eps=eps, **kwargs)


_NORMS: dict[NormName, Callable[..., nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": _group_norm,
    "layer": LayerNorm2d,
    "instance": _instance_norm,
}
_TOKEN_NORMS: dict[str, Callable[..., nn.Module]] = {"layer": _layer_norm, "rms": _rms_norm}
_ACTS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
assert set(_ACTS) == set(get_args(ActName))
_IN_PLACE = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
)


def make_norm(
    norm: NormSpec, channels: int, *, device: Device = None, dtype: torch.dtype | None = None
) -> nn.Module | None:
    """The norm for maps of this width, None for None.

    A callable is called with the number of channels and the pair's arguments.

    Raises ValueError, listing the choices, for an unknown name.
    """
    return make_layer("norm", norm, _NORMS, channels, device=device, dtype=dtype)


def make_token_norm(
    norm: TokenNormSpec,
    dim: int,
    *,
    what: str = "norm",
    device: Device = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """The norm over the last dimension of tokens (B, N, ``dim``), None for None.

    ``what`` is the argument, in errors.
    """
    return make_layer(what, norm, _TOKEN_NORMS, dim, device=device, dtype=dtype)


def make_act(
    act: ActSpec,
    *,
    inplace: bool = False,
    what: str = "act",
    device: Device = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """The activation, a new instance each time, None for None.

    ``inplace`` is used where the activation can, and only for names: what a callable makes is
    its own affair. ``what`` is the argument, in errors.

    Raises ValueError, listing the choices, for an unknown name.
    """
    factory, arguments = _resolve(what, act, _ACTS)
    if inplace and factory in _IN_PLACE and is_named(act):
        arguments = {"inplace": True, **arguments}
    return factory and _make(what, factory, (), arguments, device, dtype)


def is_named(spec: object) -> bool:
    """Whether a spec names one of our own layers, with arguments or without."""
    return isinstance(spec[0] if isinstance(spec, (tuple, list)) and spec else spec, str)


def make_layer(
    what: str,
    spec: object,
    named: Mapping[Any, Callable[..., nn.Module]],
    channels: int,
    *,
    device: Device = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """Any layer that is made from a width: by name from ``named``, by a callable, or a pair.

    Raises ValueError, listing the choices and calling the argument ``what``, for an unknown name.
    """
    factory, arguments = _resolve(what, spec, named)
    return factory and _make(what, factory, (channels,), arguments, device, dtype)


def _resolve(
    what: str, spec: object, named: Mapping[Any, Callable[..., nn.Module]]
) -> tuple[Callable[..., nn.Module] | None, Mapping[str, Any]]:
    """The callable and its keyword arguments that a spec means."""
    arguments: Mapping[str, Any] = {}
    if isinstance(spec, (tuple, list)):  # a list, since that is how YAML writes a pair
        if len(spec) != 2 or not isinstance(spec[1], Mapping):
            raise ValueError(f"{what} as a pair is (name or callable, arguments), got {spec!r}")
        spec, arguments = spec
    if spec is None:
        return None, arguments
    if isinstance(spec, str):
        check_choice(what, spec, named)
        return named[spec], arguments
    if isinstance(spec, nn.Module):
        raise ValueError(f"{what} must be a class or another callable that makes a layer, not one")
    if callable(spec):
        return spec, arguments
    raise ValueError(f"{what} must be a name, a callable, a pair of one and its arguments, or None")


def _make(
    what: str,
    factory: Callable[..., nn.Module],
    positional: tuple[int, ...],
    arguments: Mapping[str, Any],
    device: Device,
    dtype: torch.dtype | None,
) -> nn.Module:
    """Call a factory that may know nothing of device and dtype."""
    context = contextlib.nullcontext() if device is None else torch.device(device)
    with context:
        try:
            module = factory(*positional, **arguments)
        except TypeError as error:
            raise ValueError(f"{what}: {str(error).splitlines()[0]}") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{what} must make a layer, not {type(module).__name__}")
    return module if dtype is None else module.to(dtype)


def reset_parameters(module: nn.Module | None) -> None:
    """Initialise a module anew: by its own ``reset_parameters``, else that of its children."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
    elif module is not None:
        for child in module.children():
            reset_parameters(child)
