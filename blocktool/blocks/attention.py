"""Multi-head attention over tokens, and self-attention over tokens or maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from blocktool.blocks.checks import check_pair
from blocktool.blocks.heads import Heads, KeysValues
from blocktool.blocks.layers import Device, make_token_norm
from blocktool.blocks.options import TokenNormSpec
from blocktool.blocks.shapes import (
    check_tokens,
    check_tokens_or_map,
    shape_error,
)
from blocktool.blocks.tokens import Size, like_input, size_of, to_tokens
from blocktool.blocks.windows import Windows


class MultiHeadAttention(Heads):
    """Multi-head attention of tokens (B, N, dim) to themselves or to a context (B, M, kv_dim).

    ``softmax(q k^T / sqrt(head_dim)) v`` in each head (https://arxiv.org/abs/1706.03762).
    ``num_heads=None`` takes the largest of 8, 4, 2, 1 that divides ``dim`` with at least 16
    channels a head. ``num_kv_heads`` below ``num_heads`` shares keys and values among groups of
    queries (https://arxiv.org/abs/2305.13245). ``qk_norm`` (``"layer"``, ``"rms"``, a callable, a
    pair) norms queries and keys within each head (https://arxiv.org/abs/2302.05442).

    Without ``kv_dim`` the projection is packed (``qkv``), with it there are ``q`` and ``kv``.
    ``attn_drop`` and ``proj_drop`` act in training only.

    Raises ValueError for numbers that do not divide each other and unknown names; ShapeError, in
    forward, for tensors of other widths or ranks, and masks that cannot be broadcast.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int | None = None,
        *,
        kv_dim: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        qkv_bias: bool = True,
        qk_norm: TokenNormSpec = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self._set_heads("dim", dim, num_heads, num_kv_heads, head_dim)
        self._add_projections(kv_dim, qkv_bias, qk_norm, attn_drop, proj_drop, like)
        self.reset_parameters()

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        kv: KeysValues | None = None,
    ) -> Tensor:
        """(B, N, dim) -> (B, N, dim).

        Attends to ``context`` (B, M, kv_dim), or to the keys and values that :meth:`project_kv`
        made of one, or, with neither, to ``x`` itself. ``mask`` is as in
        torch.nn.functional.scaled_dot_product_attention, broadcastable to (B, num_heads, N, M): a
        boolean keeps where True, a float is added. A query that may attend to nothing gives zeros
        before the projection.
        """
        check_tokens(self, x.shape, self.in_channels)
        if kv is None and context is None:
            if self.kv_dim != self.in_channels:
                raise ValueError(
                    f"{type(self).__name__}: kv_dim={self.kv_dim} is not the width of x, "
                    f"{self.in_channels}; give context"
                )
            return self._attend(*self._project(x), mask)
        k, v = self._keys_values_of(x, context, kv)
        return self._attend(self._queries(x), k, v, mask)

    def project_kv(self, context: Tensor) -> KeysValues:
        """Keys and values of (B, M, kv_dim), each (B, num_kv_heads, M, head_dim), to be used again.

        For a context that stays while the queries change.
        """
        check_tokens(self, context.shape, self.kv_dim, "context")
        return self._keys_values(context)

    def output_shape(
        self, input_shape: Sequence[int], context_shape: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """The shape of ``x``; raises ShapeError where forward would."""
        check_tokens(self, input_shape, self.in_channels)
        if context_shape is not None:
            check_tokens(self, context_shape, self.kv_dim, "context")
            self._check_context_batch(context_shape, input_shape)
        return tuple(input_shape)


class SelfAttention(Heads):
    """Multi-head self-attention over tokens (B, N, C) or a map (B, C, H, W); the shape stays.

    The attention is that of :class:`MultiHeadAttention`. A map is attended as its H * W tokens, or,
    with ``window`` (a size or a pair), within windows that do not overlap
    (https://arxiv.org/abs/2103.14030); those that reach over the lower or right edge are cut there.

    ``norm`` (``"layer"``, ``"rms"``, a callable, a pair) is applied to the tokens first,
    ``residual=True`` adds the input to the output.

    Raises ValueError for heads that do not divide the channels, and unknown names; ShapeError, in
    forward, for a tensor of other channels or rank.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int | None = None,
        *,
        norm: TokenNormSpec = None,
        residual: bool = False,
        window: int | tuple[int, int] | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        qkv_bias: bool = True,
        qk_norm: TokenNormSpec = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self._set_heads("channels", channels, num_heads, num_kv_heads, head_dim)
        self.window = None if window is None else check_pair("window", window)
        self.residual = residual
        self.norm = make_token_norm(norm, channels, **like)
        self._add_projections(None, qkv_bias, qk_norm, attn_drop, proj_drop, like)
        self.reset_parameters()

    def forward(self, x: Tensor, *, mask: Tensor | None = None, size: Size | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C), or (B, C, H, W) -> (B, C, H, W).

        ``mask`` is as in torch.nn.functional.scaled_dot_product_attention, broadcastable to
        (B, num_heads, N, N): a boolean keeps where True, a float is added. A query that may attend
        to nothing gives zeros before the projection. ``size`` is (H, W) where ``x`` are the tokens
        of a map: windows need it.
        """
        check_tokens_or_map(self, x.shape, self.in_channels)
        if self.window is not None and mask is not None:
            raise ValueError(f"{type(self).__name__}: a mask cannot be combined with window")
        tokens, grid = to_tokens(x)
        size = size_of(self, x, grid, size)
        if self.window is not None and size is None:
            self._refuse_tokens(x.shape)
        normed = tokens if self.norm is None else self.norm(tokens)
        if self.window is None or size is None or tokens.shape[1] == 0:
            out = self._attend(*self._project(normed), mask)
        else:
            windows = Windows(size, self.window)
            within = windows.mask(normed)
            out = windows.join(self._attend(*self._project(windows.split(normed)), within))
        if self.residual:
            out = tokens + out
        return like_input(out, grid, x)

    def _refuse_tokens(self, shape: Sequence[int]) -> NoReturn:
        expected = f"(B, C={self.in_channels}, H, W)"
        hint = "window needs a map, or the size of one; without window, tokens (B, N, C) do"
        raise shape_error(self, expected, shape, hint=hint)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError where forward would."""
        check_tokens_or_map(self, input_shape, self.in_channels)
        if self.window is not None and len(input_shape) == 3:
            self._refuse_tokens(input_shape)
        return tuple(input_shape)

    def extra_repr(self) -> str:
        """Width and heads, and what is not the default."""
        text = super().extra_repr()
        if self.window is not None:
            text += f", window={self.window[0]}x{self.window[1]}"
        return f"{text}, residual=True" if self.residual else text
