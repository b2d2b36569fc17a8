"""Pre-norm blocks with attention: AttentionBlock, TransformerBlock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from blocktool.blocks.attention import SelfAttention
from blocktool.blocks.block import Block
from blocktool.blocks.checks import check_choice, check_number, check_rate, check_size
from blocktool.blocks.feed_forward import FeedForward
from blocktool.blocks.layers import Device, DropPath, LayerScale, make_token_norm
from blocktool.blocks.options import ActSpec, FeedForwardKind, TokenNormSpec
from blocktool.blocks.shapes import check_tokens_or_map
from blocktool.blocks.tokens import Size, like_input, size_of, to_tokens


class AttentionBlock(Block):
    """``x + attention(norm(x))`` over tokens (B, N, C) or a map (B, C, H, W); the shape stays.

    Pre-norm self-attention with its residual, the first half of a transformer's block
    (https://arxiv.org/abs/2002.04745), to stand between convolutional blocks. ``layer_scale`` is
    the initial factor of the branch's channels (https://arxiv.org/abs/2103.17239), ``drop_path``
    the probability to drop the branch of a sample in training.

    The other arguments, and the errors, are those of :class:`~blocktool.blocks.SelfAttention`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int | None = None,
        *,
        norm: TokenNormSpec = "layer",
        layer_scale: float | None = None,
        drop_path: float = 0.0,
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
        check_size(channels=channels)
        check_rate(drop_path=drop_path)
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_channels = self.out_channels = channels
        self.stride = 1
        self.norm = make_token_norm(norm, channels, **like)
        self.attn = SelfAttention(
            channels,
            num_heads,
            window=window,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            qkv_bias=qkv_bias,
            qk_norm=qk_norm,
            attn_drop=attn_drop,
            proj_drop=proj_drop,
            **like,
        )
        self.layer_scale, self.drop_path = _branch_end(channels, layer_scale, drop_path, like)

    def forward(self, x: Tensor, *, mask: Tensor | None = None, size: Size | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C), or (B, C, H, W) -> (B, C, H, W).

        ``mask`` and ``size`` are those of :class:`~blocktool.blocks.SelfAttention`.
        """
        check_tokens_or_map(self, x.shape, self.in_channels)
        tokens, grid = to_tokens(x)
        size = size_of(self, x, grid, size)
        out = self.attn(_normed(self.norm, tokens), mask=mask, size=size)
        out = tokens + _end(out, self.layer_scale, self.drop_path)
        return like_input(out, grid, x)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError where forward would."""
        return self.attn.output_shape(input_shape)

    def extra_repr(self) -> str:
        """The width."""
        return f"{self.in_channels}"


class TransformerBlock(Block):
    """Pre-norm attention and feed-forward network, each with its residual.

    Over tokens (B, N, dim) or a map (B, dim, H, W); the shape stays. The encoder block of ViT
    (https://arxiv.org/abs/2010.11929): equal to torchvision's EncoderBlock, timm's Block and
    ``nn.TransformerEncoderLayer(norm_first=True, activation="gelu")``, whose norms have an eps of
    1e-5.

    ``mlp_ratio`` and ``mlp`` are ``ratio`` and ``kind`` of :class:`~blocktool.blocks.FeedForward`,
    ``proj_drop`` is the dropout behind attention and in the network; the other arguments are those
    of :class:`AttentionBlock`, and of :class:`~blocktool.blocks.SelfAttention`, as are the errors.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int | None = None,
        *,
        mlp_ratio: float = 4.0,
        mlp: FeedForwardKind = "mlp",
        act: ActSpec = "gelu",
        norm: TokenNormSpec = "layer",
        layer_scale: float | None = None,
        drop_path: float = 0.0,
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
        check_size(dim=dim)
        check_number(mlp_ratio=mlp_ratio)
        if dim * mlp_ratio < 1:
            raise ValueError(f"mlp_ratio={mlp_ratio:g} leaves nothing of dim={dim}")
        check_choice("mlp", mlp, get_args(FeedForwardKind))
        check_rate(drop_path=drop_path)
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_channels = self.out_channels = dim
        self.stride = 1
        self.norm1 = make_token_norm(norm, dim, **like)
        self.attn = SelfAttention(
            dim,
            num_heads,
            window=window,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            qkv_bias=qkv_bias,
            qk_norm=qk_norm,
            attn_drop=attn_drop,
            proj_drop=proj_drop,
            **like,
        )
        self.layer_scale1, self.drop_path1 = _branch_end(dim, layer_scale, drop_path, like)
        self.norm2 = make_token_norm(norm, dim, **like)
        self.mlp = FeedForward(dim, ratio=mlp_ratio, kind=mlp, act=act, drop=proj_drop, **like)
        self.layer_scale2, self.drop_path2 = _branch_end(dim, layer_scale, drop_path, like)

    def forward(self, x: Tensor, *, mask: Tensor | None = None, size: Size | None = None) -> Tensor:
        """(B, N, dim) -> (B, N, dim), or (B, dim, H, W) -> (B, dim, H, W).

        ``mask`` and ``size`` are those of :class:`~blocktool.blocks.SelfAttention`.
        """
        check_tokens_or_map(self, x.shape, self.in_channels)
        tokens, grid = to_tokens(x)
        size = size_of(self, x, grid, size)
        # Without names for what is between, so that none of it is kept longer than it is needed.
        tokens = tokens + _end(
            self.attn(_normed(self.norm1, tokens), mask=mask, size=size),
            self.layer_scale1,
            self.drop_path1,
        )
        tokens = tokens + _end(
            self.mlp(_normed(self.norm2, tokens), size=size),
            self.layer_scale2,
            self.drop_path2,
        )
        return like_input(tokens, grid, x)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """The same shape; raises ShapeError where forward would."""
        return self.mlp.output_shape(self.attn.output_shape(input_shape))

    def extra_repr(self) -> str:
        """The width."""
        return f"{self.in_channels}"


def _branch_end(
    dim: int, layer_scale: float | None, drop_path: float, like: dict[str, Any]
) -> tuple[LayerScale | None, DropPath | None]:
    """What a branch ends with, before it is added."""
    scale = None if layer_scale is None else LayerScale(dim, layer_scale, spatial=0, **like)
    return scale, DropPath(drop_path) if drop_path else None


def _normed(norm: nn.Module | None, tokens: Tensor) -> Tensor:
    return tokens if norm is None else norm(tokens)


def _end(out: Tensor, scale: nn.Module | None, drop_path: nn.Module | None) -> Tensor:
    if scale is not None:
        out = scale(out)
    return out if drop_path is None else drop_path(out)
