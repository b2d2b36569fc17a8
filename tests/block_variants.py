"""Every block of the library, with every option that adds a parameter or another way through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal

import pytest
import torch
from block_references import randomize
from torch import Tensor, nn

from blocktool.blocks import (
    AttentionBlock,
    BottleneckBlock,
    ConvBlock,
    CrossAttention,
    DepthwiseSeparableConv,
    DilatedConv,
    FeedForward,
    GroupedConv,
    MultiHeadAttention,
    PositionEmbedding,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    SqueezeExcite,
    TransformerBlock,
)

Kind = Literal["map", "tokens"]
WIDTH = 16
CONTEXT_WIDTH = 24


@dataclass(frozen=True)
class Variant:
    """A block, and what it is called with.

    ``make`` takes device and dtype. The first input is a map (B, 16, H, W) or tokens (B, N, 16);
    ``context``, where the block takes one, is the kind of the second, ``context_width`` wide.
    ``exported`` is the least height and width of the block's exported programs: torch's
    convolutions and views ask whether their result has one row or column.
    """

    make: Callable[..., nn.Module]
    takes: Kind = "map"
    context: Kind | None = None
    context_width: int = CONTEXT_WIDTH
    exported: tuple[int, int] = (1, 1)

    def block(self, **options: Any) -> Any:
        """The block, all its parameters and statistics randomised, the same each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return randomize(self.make(**options))

    def inputs(
        self,
        batch: int = 2,
        size: tuple[int, int] = (9, 10),
        context_size: tuple[int, int] = (5, 4),
        **like: Any,
    ) -> tuple[Tensor, ...]:
        """Inputs of this batch and height and width; tokens are those of such maps."""
        given = [_drawn(self.takes, batch, WIDTH, size)]
        if self.context:
            given.append(_drawn(self.context, batch, self.context_width, context_size))
        return tuple(x.to(**like) for x in given)

    def sizes(self) -> tuple[dict[int, Any], ...]:
        """Which dimensions of each input may be of any size, as torch.export.Dims."""
        batch = torch.export.Dim("batch")
        first: dict[int, Any] = {0: batch, 1: torch.export.Dim("tokens")}
        if self.takes == "map":
            named = zip(("height", "width"), self.exported, strict=True)
            height, width = (_dim(name, least) for name, least in named)
            first = {0: batch, 2: height, 3: width}
        if self.context is None:
            return (first,)
        if self.context == "map":
            return first, {0: batch, 2: torch.export.Dim("rows"), 3: torch.export.Dim("columns")}
        return first, {0: batch, 1: torch.export.Dim("keys")}


def _dim(name: str, least: int) -> Any:
    # Without a minimum where there is none: torch would take even one of 1 for a constraint.
    return torch.export.Dim(name, min=least) if least > 1 else torch.export.Dim(name)


def _drawn(kind: Kind, batch: int, channels: int, size: tuple[int, int]) -> Tensor:
    height, width = size
    shape = (channels, height, width) if kind == "map" else (height * width, channels)
    return torch.randn((batch, *shape), generator=torch.Generator().manual_seed(channels))


def _of(make: Callable[..., nn.Module], *args: Any, **options: Any) -> Callable[..., nn.Module]:
    return partial(make, *args, **options)


_PAIRS = {"kernel_size": (3, 5), "stride": (2, 1), "dilation": (1, 2), "padding": (1, 4)}
_RESIDUAL = {"stride": 2, "drop_path": 0.1, "layer_scale": 0.5}
_BOTTLENECK = {"expansion": 2, "groups": 2, "base_width": 32}
_HEADS = {"num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "qkv_bias": False}
_DROPS = {"attn_drop": 0.1, "proj_drop": 0.1}
_BRANCH = {"layer_scale": 0.5, "drop_path": 0.1}

_VARIANTS = {
    "conv": Variant(_of(ConvBlock, 16, 24)),
    "conv/pairs": Variant(
        _of(ConvBlock, 16, 24, **_PAIRS, padding_mode="reflect"), exported=(3, 5)
    ),
    "conv/nac": Variant(
        _of(ConvBlock, 16, 24, order="nac", norm="group", act="silu", stride=2), exported=(3, 3)
    ),
    "conv/plain": Variant(_of(ConvBlock, 16, 24, 4, 2, norm=None, act=None), exported=(4, 4)),
    "conv/same": Variant(
        _of(ConvBlock, 16, 24, (3, 5), padding="same", norm="instance", act="prelu", bias=True)
    ),
    "conv/valid": Variant(
        _of(ConvBlock, 16, 24, 3, padding="valid", norm="layer"), exported=(4, 4)
    ),
    "conv/circular": Variant(_of(ConvBlock, 16, 24, padding_mode="circular", groups=4, act="gelu")),
    "depthwise-separable": Variant(_of(DepthwiseSeparableConv, 16, 24, stride=2), exported=(3, 3)),
    "depthwise-separable/options": Variant(
        _of(
            DepthwiseSeparableConv,
            16,
            24,
            5,
            depth_multiplier=2,
            mid_norm=False,
            mid_act=False,
            norm="layer",
            act="hardswish",
        )
    ),
    "grouped-conv": Variant(_of(GroupedConv, 16, 24, groups=4)),
    "grouped-conv/shuffle": Variant(
        _of(GroupedConv, 16, 24, groups=4, shuffle=True, stride=2, norm=None), exported=(3, 3)
    ),
    "dilated-conv": Variant(_of(DilatedConv, 16, 24)),
    "dilated-conv/replicate": Variant(
        _of(DilatedConv, 16, 24, dilation=3, groups=2, padding_mode="replicate", act="mish")
    ),
    "multi-head-attention": Variant(_of(MultiHeadAttention, 16, 2), "tokens"),
    "multi-head-attention/heads": Variant(
        _of(MultiHeadAttention, 16, **_HEADS, qk_norm="rms", **_DROPS), "tokens"
    ),
    "multi-head-attention/packed-context": Variant(
        _of(MultiHeadAttention, 16, 2, qk_norm="layer"), "tokens", "tokens", 16
    ),
    "multi-head-attention/context": Variant(
        _of(MultiHeadAttention, 16, kv_dim=24, **_HEADS, qk_norm="layer"), "tokens", "tokens"
    ),
    "self-attention": Variant(_of(SelfAttention, 16, 2)),
    "self-attention/tokens": Variant(_of(SelfAttention, 16, 2, norm="rms"), "tokens"),
    "self-attention/options": Variant(
        _of(SelfAttention, 16, norm="layer", residual=True, qk_norm="rms", **_HEADS, **_DROPS)
    ),
    "self-attention/window": Variant(
        _of(SelfAttention, 16, 2, window=4, norm="layer"), exported=(5, 5)
    ),
    "self-attention/window-pair": Variant(
        _of(SelfAttention, 16, window=(3, 5), residual=True, **_HEADS), exported=(4, 6)
    ),
    "cross-attention": Variant(_of(CrossAttention, 16, 24, 2), "map", "tokens"),
    "cross-attention/tokens": Variant(_of(CrossAttention, 16, 24, 2), "tokens", "tokens"),
    "cross-attention/options": Variant(
        _of(
            CrossAttention,
            16,
            24,
            norm="layer",
            context_norm="rms",
            residual=True,
            qk_norm="layer",
            **_HEADS,
            **_DROPS,
        ),
        "map",
        "map",
    ),
    "feed-forward": Variant(_of(FeedForward, 16), "tokens"),
    "feed-forward/map": Variant(_of(FeedForward, 16, act="silu")),
    "feed-forward/narrow": Variant(_of(FeedForward, 16, 20, bias=False, drop=0.1), "tokens"),
    "feed-forward/glu": Variant(_of(FeedForward, 16, kind="glu"), "tokens"),
    "feed-forward/geglu": Variant(_of(FeedForward, 16, kind="geglu", ratio=1.5), "tokens"),
    "feed-forward/swiglu": Variant(_of(FeedForward, 16, kind="swiglu")),
    "feed-forward/conv": Variant(_of(FeedForward, 16, kind="conv", act="prelu")),
    "attention-block": Variant(_of(AttentionBlock, 16, 2)),
    "attention-block/options": Variant(
        _of(AttentionBlock, 16, norm="rms", **_BRANCH, qk_norm="layer", **_HEADS, **_DROPS),
        "tokens",
    ),
    "attention-block/window": Variant(
        _of(AttentionBlock, 16, 2, window=4, **_BRANCH), exported=(5, 5)
    ),
    "transformer": Variant(_of(TransformerBlock, 16, 2), "tokens"),
    "transformer/map": Variant(_of(TransformerBlock, 16, 2, mlp="conv", mlp_ratio=2)),
    "transformer/options": Variant(
        _of(
            TransformerBlock,
            16,
            norm="rms",
            mlp="swiglu",
            **_BRANCH,
            qk_norm="rms",
            **_HEADS,
            **_DROPS,
        ),
        "tokens",
    ),
    "transformer/window": Variant(
        _of(TransformerBlock, 16, 2, window=(4, 3), mlp="conv"), exported=(5, 4)
    ),
    "residual": Variant(_of(ResidualBlock, 16)),
    "residual/options": Variant(
        _of(ResidualBlock, 16, 24, attn="se", shortcut="avg", **_RESIDUAL), exported=(3, 3)
    ),
    "residual/plain": Variant(_of(ResidualBlock, 16, 24, norm=None, act="prelu", dilation=2)),
    "bottleneck": Variant(_of(BottleneckBlock, 16)),
    "bottleneck/options": Variant(
        _of(
            BottleneckBlock,
            16,
            32,
            stride_on="1x1",
            attn=("se", {"squeeze_channels": 4}),
            norm="group",
            act="gelu",
            **_BOTTLENECK,
            **_RESIDUAL,
        ),
        exported=(3, 3),
    ),
    "preact": Variant(_of(PreActBlock, 16)),
    "preact/options": Variant(
        _of(PreActBlock, 16, 24, attn="se", shortcut="avg", **_RESIDUAL), exported=(3, 3)
    ),
    "preact-bottleneck": Variant(_of(PreActBottleneck, 16)),
    "preact-bottleneck/options": Variant(
        _of(
            PreActBottleneck,
            16,
            32,
            attn="se",
            norm="layer",
            act="prelu",
            **_BOTTLENECK,
            **_RESIDUAL,
        ),
        exported=(3, 3),
    ),
    "se": Variant(_of(SqueezeExcite, 16)),
    "se/options": Variant(
        _of(SqueezeExcite, 16, squeeze_channels=5, act="prelu", gate="hardsigmoid")
    ),
    "se-residual": Variant(_of(SEResidualBlock, 16, reduction=4)),
    "se-residual/options": Variant(
        _of(SEResidualBlock, 16, 24, shortcut="avg", norm="instance", **_RESIDUAL), exported=(3, 3)
    ),
    "position": Variant(_of(PositionEmbedding, 16, (9, 10), class_token=False)),
}
VARIANTS: Mapping[str, Variant] = MappingProxyType(_VARIANTS)
"""By the block's name, and what is special after a slash."""

every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


@cache
def exported(variant: Variant) -> torch.export.ExportedProgram:
    """The block's program for any batch, height and width, or any number of tokens."""
    return torch.export.export(
        variant.block().eval(), variant.inputs(), dynamic_shapes=variant.sizes()
    )


def some_variants(*names: str) -> pytest.MarkDecorator:
    """Only these."""
    return pytest.mark.parametrize("variant", [VARIANTS[name] for name in names], ids=names)


def plain_variants(*more: str) -> pytest.MarkDecorator:
    """Each block once, as it is without options, and these."""
    return some_variants(*(name for name in VARIANTS if "/" not in name), *more)


def distinct_variants() -> pytest.MarkDecorator:
    """Those that make other programs than the rest: other operations, or other sizes."""
    more = """conv/pairs conv/same conv/valid grouped-conv/shuffle multi-head-attention/heads
        multi-head-attention/context self-attention/options self-attention/window
        cross-attention/options feed-forward/swiglu feed-forward/conv transformer/map
        transformer/window residual/options bottleneck/options preact/options"""
    return plain_variants(*more.split())
