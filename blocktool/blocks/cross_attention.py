"""Attention of one thing to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from blocktool.blocks.checks import check_positive
from blocktool.blocks.heads import Heads, KeysValues
from blocktool.blocks.layers import Device, make_token_norm
from blocktool.blocks.options import TokenNormSpec
from blocktool.blocks.shapes import check_tokens_or_map
from blocktool.blocks.tokens import like_input, to_tokens


class CrossAttention(Heads):
    """Multi-head attention of tokens or a map to a context, which is tokens or a map as well.

    (B, N, C) or (B, C, H, W), and (B, M, context_channels) or (B, context_channels, H', W'); the
    shape of the first stays. The attention is that of :class:`MultiHeadAttention`.

    ``norm`` and ``context_norm`` are applied to the tokens of each first, ``residual=True`` adds
    the input to the output.

    Raises ValueError for heads that do not divide the channels, and unknown names; ShapeError, in
    forward, for tensors of other channels, ranks or batch sizes.
    """

    def __init__(
        self,
        channels: int,
        context_channels: int | None = None,
        num_heads: int | None = None,
        *,
        norm: TokenNormSpec = None,
        context_norm: TokenNormSpec = None,
        residual: bool = False,
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
        check_positive(context_channels=context_channels)
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        kv_dim = channels if context_channels is None else context_channels
        self._set_heads("channels", channels, num_heads, num_kv_heads, head_dim)
        self.residual = residual
        self.norm = make_token_norm(norm, channels, **like)
        self.context_norm = make_token_norm(context_norm, kv_dim, what="context_norm", **like)
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
        """(B, N, C) -> (B, N, C), or (B, C, H, W) -> (B, C, H, W).

        ``context``, or else ``kv``, what :meth:`project_kv` made of it, is required. ``mask`` is as
        in :meth:`MultiHeadAttention.forward`.
        """
        check_tokens_or_map(self, x.shape, self.in_channels)
        tokens, size = to_tokens(x)
        if kv is None and context is not None:
            shape = context.shape
            context = self._context_tokens(context)
            self._check_context_batch(shape, x.shape)
        k, v = self._keys_values_of(tokens, context, kv)
        queries = self._queries(tokens if self.norm is None else self.norm(tokens))
        out = self._attend(queries, k, v, mask)
        if self.residual:
            out = tokens + out
        return like_input(out, size, x)

    def _context_tokens(self, context: Tensor) -> Tensor:
        check_tokens_or_map(self, context.shape, self.kv_dim, "context")
        tokens, _ = to_tokens(context)
        return tokens if self.context_norm is None else self.context_norm(tokens)

    def project_kv(self, context: Tensor) -> KeysValues:
        """Keys and values of a context, each (B, num_kv_heads, M, head_dim), to be used again."""
        return self._keys_values(self._context_tokens(context))

    def output_shape(
        self, input_shape: Sequence[int], context_shape: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """The shape of ``x``; raises ShapeError where forward would."""
        check_tokens_or_map(self, input_shape, self.in_channels)
        if context_shape is not None:
            check_tokens_or_map(self, context_shape, self.kv_dim, "context")
            self._check_context_batch(context_shape, input_shape)
        return tuple(input_shape)
