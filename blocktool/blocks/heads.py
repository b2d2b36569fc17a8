"""Attention in heads over tokens: what all attention blocks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_divides, check_positive, check_rate, check_size
from blocktool.blocks.layers import make_token_norm, reset_parameters
from blocktool.blocks.options import TokenNormSpec
from blocktool.blocks.shapes import ShapeError, check_tokens, shape_error

KeysValues = tuple[Tensor, Tensor]


class Heads(Block):
    """Projections to queries, keys and values, attention in each head, and the way out.

    ``softmax(q k^T / sqrt(head_dim)) v``, https://arxiv.org/abs/1706.03762. Attention to the tokens
    themselves has one packed projection, ``qkv``; attention to others of a width of their own has
    ``q`` and ``kv``. All are plain ``nn.Linear``, which is what quantization knows.
    """

    in_channels: int
    out_channels: int
    qkv: nn.Linear
    q: nn.Linear
    kv: nn.Linear
    proj: nn.Linear
    q_norm: nn.Module | None
    k_norm: nn.Module | None
    proj_drop: nn.Dropout | None

    def _set_heads(
        self,
        name: str,
        dim: int,
        num_heads: int | None,
        num_kv_heads: int | None,
        head_dim: int | None,
    ) -> None:
        """``name`` is what the block calls the width."""
        check_size(**{name: dim})
        check_positive(num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
        if num_heads is None:
            if head_dim is None:
                num_heads = default_num_heads(dim)
            else:
                check_divides("head_dim", head_dim, **{name: dim})
                num_heads = dim // head_dim
        if head_dim is None:
            check_divides("num_heads", num_heads, **{name: dim})
            head_dim = dim // num_heads
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        check_divides("num_kv_heads", num_kv_heads, num_heads=num_heads)
        self.in_channels = self.out_channels = dim
        self.stride = 1
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.head_dim = head_dim

    def _add_projections(
        self,
        kv_dim: int | None,
        qkv_bias: bool,
        qk_norm: TokenNormSpec,
        attn_drop: float,
        proj_drop: float,
        like: dict[str, Any],
    ) -> None:
        """``kv_dim=None`` packs the three projections, for tokens that attend to themselves."""
        check_positive(kv_dim=kv_dim)
        check_rate(attn_drop=attn_drop, proj_drop=proj_drop)
        dim = self.in_channels
        self.kv_dim = dim if kv_dim is None else kv_dim
        self.attn_drop = attn_drop
        of_q = self.num_heads * self.head_dim
        of_kv = 2 * self.num_kv_heads * self.head_dim
        self.packed = kv_dim is None
        if kv_dim is None:
            self.qkv = nn.Linear(dim, of_q + of_kv, bias=qkv_bias, **like)
        else:
            self.q = nn.Linear(dim, of_q, bias=qkv_bias, **like)
            self.kv = nn.Linear(kv_dim, of_kv, bias=qkv_bias, **like)
        self.q_norm = make_token_norm(qk_norm, self.head_dim, what="qk_norm", **like)
        self.k_norm = make_token_norm(qk_norm, self.head_dim, what="qk_norm", **like)
        self.proj = nn.Linear(of_q, dim, **like)
        self.proj_drop = nn.Dropout(proj_drop) if proj_drop else None

    def reset_parameters(self) -> None:
        """Xavier-uniform weights and zero biases, as torch.nn.MultiheadAttention; fresh norms."""
        for layer in self.children():
            if not isinstance(layer, nn.Linear):
                reset_parameters(layer)
            elif not layer.weight.is_meta:
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of tokens that attend to themselves, each (B, heads, N, d)."""
        if not self.packed:
            return self._queries(x), *self._keys_values(x)
        counts = (self.num_heads, self.num_kv_heads, self.num_kv_heads)
        q, k, v = self._in_heads(self.qkv(x)).split(counts, dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    def _queries(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, num_heads, N, head_dim)."""
        rows = slice(0, self.num_heads * self.head_dim)
        q = self._in_heads(_rows(self.qkv, rows, x) if self.packed else self.q(x))
        return q if self.q_norm is None else self.q_norm(q)

    def _keys_values(self, context: Tensor) -> KeysValues:
        """(B, M, kv_dim) -> keys and values, each (B, num_kv_heads, M, head_dim)."""
        rows = slice(self.num_heads * self.head_dim, None)
        made = _rows(self.qkv, rows, context) if self.packed else self.kv(context)
        k, v = self._in_heads(made).chunk(2, dim=1)
        return (k if self.k_norm is None else self.k_norm(k)), v

    def _keys_values_of(
        self, x: Tensor, context: Tensor | None, kv: KeysValues | None
    ) -> KeysValues:
        """Those that are given, or those of the context, for the batch of ``x``."""
        name = type(self).__name__
        if (kv is None) == (context is None):
            raise ValueError(f"{name}: give context or kv{'' if kv is None else ', not both'}")
        if kv is not None:
            self._check_kv(*kv, x)
            return kv
        assert context is not None
        check_tokens(self, context.shape, self.kv_dim, "context")
        self._check_context_batch(context.shape, x.shape)
        return self._keys_values(context)

    def _check_context_batch(self, context: Sequence[int], x: Sequence[int]) -> None:
        """Raise ShapeError unless the context, tokens or a map, is of the batch size of ``x``."""
        # A comparison of two sizes would be a guard of every exported program.
        if not torch.compiler.is_compiling() and context[0] != x[0]:
            rest = f"M, C={self.kv_dim}" if len(context) == 3 else f"C={self.kv_dim}, H, W"
            raise self._batch_error("context", rest, context, x)

    def _batch_error(
        self, what: str, rest: str, given: Sequence[int], x: Sequence[int]
    ) -> ShapeError:
        reason = f"B: {what} has {given[0]}, x has {x[0]} (dim 0)"
        return shape_error(self, f"{what} (B={x[0]}, {rest})", given, reason=reason)

    def _check_kv(self, k: Tensor, v: Tensor, x: Tensor) -> None:
        # Attention on CPU believes what it is given, and would read past the end of the values.
        compiling = torch.compiler.is_compiling()
        given, heads, head_dim = k.shape, self.num_kv_heads, self.head_dim
        fits = len(given) == 4 and given[1] == heads and given[3] == head_dim
        if fits and not compiling and v.shape == given and given[0] == x.shape[0]:
            return
        for name, shape in (("keys", given), ("values", v.shape)):
            if len(shape) != 4 or shape[1] != heads or shape[3] != head_dim:
                expected = f"{name} (B, heads={heads}, M, head_dim={head_dim})"
                hint = "kv is what project_kv of this block gives"
                raise shape_error(self, expected, shape, hint=hint)
        if not compiling and given[0] != x.shape[0]:
            rest = f"heads={heads}, M, head_dim={head_dim}"
            raise self._batch_error("kv", rest, given, x.shape)
        if not compiling and v.shape != given:
            reason = f"the keys are {tuple(given)}"
            raise shape_error(self, "values of the keys' shape", v.shape, reason=reason)

    def _in_heads(self, x: Tensor) -> Tensor:
        """(B, N, heads * head_dim) -> (B, heads, N, head_dim), with stride 1 within a head."""
        heads: Tensor = x.unflatten(2, (-1, self.head_dim))
        return heads.transpose(1, 2)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attention and the projection out: (B, N, dim).

        A query that may attend to nothing gives zeros before the projection.
        """
        if mask is not None:
            mask = self._fitting_mask(mask, q, k)
        grouped = self.num_kv_heads != self.num_heads
        if grouped and mask is not None and q.is_cuda:
            # The only kernel there that takes a mask does not take groups of queries.
            times = self.num_heads // self.num_kv_heads
            k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
            grouped = False
        dropout = self.attn_drop if self.training else 0.0
        heads = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, enable_gqa=grouped
        )
        out: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return out if self.proj_drop is None else self.proj_drop(out)

    def _fitting_mask(self, mask: Tensor, q: Tensor, k: Tensor) -> Tensor:
        """The mask in the queries' type. Raises ShapeError unless it can be broadcast."""
        if mask.dtype is not torch.bool and not mask.is_floating_point():
            # Ones and zeros would be added, and hide nothing.
            raise ValueError(
                f"{type(self).__name__}: a mask is boolean, True keeps, or a float that is added; "
                f"got {mask.dtype}, try mask.bool()"
            )
        while mask.ndim < 2:  # which attention does not broadcast itself
            mask = mask[None]
        if not torch.compiler.is_compiling():
            wanted = (q.shape[0], self.num_heads, q.shape[2], k.shape[2])
            if error := self._mask_error(tuple(mask.shape), wanted):
                raise error
        return mask if mask.dtype is torch.bool else mask.to(q.dtype)

    def _mask_error(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> ShapeError | None:
        pairs = list(zip(reversed(shape), reversed(wanted), strict=False))
        if len(shape) <= 4 and all(size in (1, full) for size, full in pairs):
            return None
        batch, heads, queries, keys = wanted
        expected = f"a mask that broadcasts to (B={batch}, heads={heads}, N={queries}, M={keys})"
        hint = None
        if shape == (batch, queries, keys):
            hint = "a mask for each sample needs a dimension for the heads: mask[:, None]"
        elif shape == (batch, keys):
            hint = "a mask of keys needs dimensions for heads and queries: mask[:, None, None]"
        return shape_error(self, expected, shape, hint=hint)

    def extra_repr(self) -> str:
        """Width and heads, and what is not the default."""
        text = f"{self.in_channels}, num_heads={self.num_heads}, head_dim={self.head_dim}"
        if self.num_kv_heads != self.num_heads:
            text += f", num_kv_heads={self.num_kv_heads}"
        if not self.packed:
            text += f", kv_dim={self.kv_dim}"
        if self.attn_drop:
            text += f", attn_drop={self.attn_drop:g}"
        return text


def default_num_heads(channels: int) -> int:
    """The largest of 8, 4, 2, 1 that divides ``channels`` with at least 16 channels a head."""
    for num_heads in (8, 4, 2):
        if channels % num_heads == 0 and channels // num_heads >= 16:
            return num_heads
    return 1


def _rows(linear: nn.Linear, rows: slice, x: Tensor) -> Tensor:
    """A part of a packed projection."""
    bias = None if linear.bias is None else linear.bias[rows]
    return F.linear(x, linear.weight[rows], bias)
