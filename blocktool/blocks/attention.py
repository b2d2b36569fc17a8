"""Self-attention over tokens or maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocktool.blocks.checks import check_divides, check_positive, check_rate
from blocktool.blocks.layers import Device, make_token_norm, reset_parameters
from blocktool.blocks.options import TokenNormSpec
from blocktool.blocks.shapes import ShapeError, map_error, pair
from blocktool.blocks.windows import Windows


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens (B, N, C) or a map (B, C, H, W); the shape stays.

    ``softmax(q k^T / sqrt(head_dim)) v`` in each head (https://arxiv.org/abs/1706.03762). A map is
    attended as its H * W tokens, or, with ``window`` (a size or a pair), within windows that do
    not overlap (https://arxiv.org/abs/2103.14030); windows that reach over the lower or right edge
    are cut there.

    ``num_heads=None`` takes the largest of 8, 4, 2, 1 that divides ``channels`` with at least 16
    channels a head. ``norm`` (``"layer"``, ``"rms"``, a callable, a pair) is applied to the tokens
    first, ``qk_norm`` to queries and keys within each head, ``residual=True`` adds the input to
    the output. ``attn_drop`` and ``proj_drop`` act in training only.

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
        qkv_bias: bool = True,
        qk_norm: TokenNormSpec = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(channels=channels, num_heads=num_heads)
        check_rate(attn_drop=attn_drop, proj_drop=proj_drop)
        if num_heads is None:
            num_heads = default_num_heads(channels)
        check_divides("num_heads", num_heads, channels=channels)
        self.window = None if window is None else pair(window)
        for size in self.window or ():
            check_positive(window=size)
        self.in_channels = self.out_channels = channels
        self.stride = 1
        self.num_heads = num_heads
        self.head_dim = channels // num_heads
        self.residual = residual
        self.attn_drop = attn_drop

        self.norm = make_token_norm(norm, channels, device=device, dtype=dtype)
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, device=device, dtype=dtype)
        self.q_norm = make_token_norm(qk_norm, self.head_dim, device=device, dtype=dtype)
        self.k_norm = make_token_norm(qk_norm, self.head_dim, device=device, dtype=dtype)
        self.proj = nn.Linear(channels, channels, device=device, dtype=dtype)
        self.proj_drop = nn.Dropout(proj_drop) if proj_drop else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights and zero biases, as torch.nn.MultiheadAttention; fresh norms."""
        for layer in (self.norm, self.q_norm, self.k_norm):
            reset_parameters(layer)
        for linear in (self.qkv, self.proj):
            if linear.weight.is_meta:
                continue
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C), or (B, C, H, W) -> (B, C, H, W).

        ``mask`` is as in torch.nn.functional.scaled_dot_product_attention, broadcastable to
        (B, num_heads, N, N): a boolean keeps where True, a float is added. A query that may attend
        to nothing gives zeros before the projection.
        """
        self._check(x, mask)
        if x.ndim == 3:
            out = self._attend(x, mask)
        elif self.window is None:
            out = self._attend(x.flatten(2).transpose(1, 2), mask)
            out = out.transpose(1, 2).unflatten(2, x.shape[2:])
        else:
            windows = Windows(x.shape[2], x.shape[3], self.window)
            out = self._attend(windows.split(x), windows.mask(x))
            out = windows.join(out, x.shape[0])
        return x + out if self.residual else out

    def _attend(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        # Contiguous tokens: a Linear on the transposed map would not fuse its bias, and the heads
        # must have stride 1 along head_dim, or CPU attention leaves its fast kernel.
        tokens = tokens.contiguous() if self.norm is None else self.norm(tokens)
        qkv = self.qkv(tokens).unflatten(2, (3, self.num_heads, self.head_dim))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, num_heads, N, head_dim)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        dropout = self.attn_drop if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        out: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return out if self.proj_drop is None else self.proj_drop(out)

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        self._check_shape(x.shape)
        if mask is not None and self.window is not None:
            raise ValueError("SelfAttention: a mask cannot be combined with window")

    def _check_shape(self, shape: Sequence[int]) -> None:
        channels = self.in_channels
        if len(shape) == 4:
            if shape[1] != channels:
                raise map_error(self, shape, channels)
            return
        name = type(self).__name__
        expected = f"(B, C={channels}, H, W)"
        if self.window is not None:
            hint = "window needs a map; without window, tokens (B, N, C) do"
            raise ShapeError(name, expected, shape, hint=hint)
        expected = f"(B, N, C={channels}) or {expected}"
        if len(shape) != 3:
            raise ShapeError(name, expected, shape, reason=f"{len(shape)} dimensions")
        if shape[2] != channels:
            reason = f"C: wanted {channels}, got {shape[2]} (dim 2)"
            first = shape[1] == channels
            hint = "looks channels-first (B, C, N); try x.transpose(1, 2)" if first else ""
            raise ShapeError(name, expected, shape, reason=reason, hint=hint or None)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError where forward would."""
        self._check_shape(input_shape)
        return tuple(input_shape)

    def extra_repr(self) -> str:
        """Width and heads, and what is not the default."""
        text = f"{self.in_channels}, num_heads={self.num_heads}, head_dim={self.head_dim}"
        if self.window is not None:
            text += f", window={self.window[0]}x{self.window[1]}"
        if self.residual:
            text += ", residual=True"
        if self.attn_drop:
            text += f", attn_drop={self.attn_drop:g}"
        return text


def default_num_heads(channels: int) -> int:
    """The largest of 8, 4, 2, 1 that divides ``channels`` with at least 16 channels a head."""
    for num_heads in (8, 4, 2):
        if channels % num_heads == 0 and channels // num_heads >= 16:
            return num_heads
    return 1
