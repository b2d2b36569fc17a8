"""The position-wise feed-forward network of transformers, plain, gated, or with a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import (
    check_choice,
    check_number,
    check_positive,
    check_rate,
    check_size,
)
from blocktool.blocks.layers import Device, make_act
from blocktool.blocks.options import ActName, ActSpec, FeedForwardKind
from blocktool.blocks.shapes import check_tokens_or_map, shape_error
from blocktool.blocks.tokens import Size, like_input, size_of, to_tokens

_GATES: dict[str, ActName] = {"glu": "sigmoid", "geglu": "gelu", "swiglu": "silu"}


class FeedForward(Block):
    """Two linear layers at each position: tokens (B, N, dim) or a map (B, dim, H, W), which stays.

    ``kind`` is one of

    - ``"mlp"``: ``fc2(act(fc1(x)))``, https://arxiv.org/abs/1706.03762;
    - ``"glu"``, ``"geglu"``, ``"swiglu"``: ``fc2(value * gate)``, where ``fc1`` gives both halves
      and sigmoid, GELU or SiLU is applied to the gate, https://arxiv.org/abs/2002.05202;
    - ``"conv"``: a depthwise 3x3 convolution before the activation
      (https://arxiv.org/abs/2105.15203); tokens then need their ``size``.

    ``hidden_dim`` is the width between, ``dim * ratio`` when left out; of a gated kind it is the
    width of each half. ``drop`` acts behind both layers, in training only.

    Raises ValueError for sizes that are not positive, unknown names, and an ``act`` for a kind that
    has its own; ShapeError, in forward, for a tensor of other width or rank.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int | None = None,
        *,
        ratio: float = 4.0,
        kind: FeedForwardKind = "mlp",
        act: ActSpec = "gelu",
        drop: float = 0.0,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size(dim=dim)
        check_positive(hidden_dim=hidden_dim)
        check_number(ratio=ratio)
        check_choice("kind", kind, get_args(FeedForwardKind))
        check_rate(drop=drop)
        if hidden_dim is None:
            hidden_dim = int(dim * ratio)
            if hidden_dim < 1:
                raise ValueError(f"ratio={ratio:g} leaves nothing of dim={dim}")
        gated = kind in _GATES
        if gated and act != "gelu":
            raise ValueError(f"kind='{kind}' has an activation of its own; leave act out")
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_channels = self.out_channels = dim
        self.stride = 1
        self.hidden_dim = hidden_dim
        self.kind = kind
        self.gated = gated
        self.fc1 = nn.Linear(dim, hidden_dim * (2 if gated else 1), bias=bias, **like)
        self.conv: nn.Conv2d | None = None
        if kind == "conv":
            self.conv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim, **like)
        self.act = make_act(_GATES.get(kind, act), **like)
        self.drop1 = nn.Dropout(drop) if drop else None
        self.fc2 = nn.Linear(hidden_dim, dim, bias=bias, **like)
        self.drop2 = nn.Dropout(drop) if drop else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform linear layers and zero biases; the convolution as torch.nn.Conv2d's."""
        for linear in (self.fc1, self.fc2):
            if not linear.weight.is_meta:
                nn.init.xavier_uniform_(linear.weight)
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)
        if self.conv is not None:
            self.conv.reset_parameters()

    def forward(self, x: Tensor, *, size: Size | None = None) -> Tensor:
        """(B, N, dim) -> (B, N, dim), or (B, dim, H, W) -> (B, dim, H, W).

        ``size`` is (H, W) where ``x`` are the tokens of a map; ``kind="conv"`` needs it.
        """
        check_tokens_or_map(self, x.shape, self.in_channels)
        tokens, grid = to_tokens(x)
        size = size_of(self, x, grid, size)
        hidden: Tensor = self.fc1(tokens)
        if self.gated:
            value, gate = hidden.chunk(2, dim=-1)
            hidden = value * self._activated(gate)
        else:
            if self.conv is not None:
                hidden = self._convolved(self.conv, hidden, size)
            hidden = self._activated(hidden)
        if self.drop1 is not None:
            hidden = self.drop1(hidden)
        out: Tensor = self.fc2(hidden)
        if self.drop2 is not None:
            out = self.drop2(out)
        return like_input(out, grid, x)

    def _activated(self, x: Tensor) -> Tensor:
        return x if self.act is None else self.act(x)

    def _convolved(self, conv: nn.Conv2d, hidden: Tensor, size: Size | None) -> Tensor:
        if size is None:
            expected = f"(B, C={self.in_channels}, H, W)"
            shape = (*hidden.shape[:2], self.in_channels)
            hint = "kind='conv' needs a map, or the size of one: size=(H, W)"
            raise shape_error(self, expected, shape, hint=hint)
        if hidden.shape[1] == 0:
            return hidden  # torch convolves no empty map
        out: Tensor = conv(hidden.transpose(1, 2).unflatten(2, size))
        return out.flatten(2).transpose(1, 2)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError where forward would."""
        check_tokens_or_map(self, input_shape, self.in_channels)
        if self.kind == "conv" and len(input_shape) == 3:
            expected = f"(B, C={self.in_channels}, H, W)"
            raise shape_error(self, expected, input_shape, hint="kind='conv' needs a map")
        return tuple(input_shape)

    def extra_repr(self) -> str:
        """Width, hidden width and kind."""
        return f"{self.in_channels}, hidden_dim={self.hidden_dim}, kind='{self.kind}'"
