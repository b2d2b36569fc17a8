"""The blocks by the names that configurations and the command line use. Needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from blocktool.blocks.checks import check_choice

BLOCK_PATHS: Mapping[str, str] = MappingProxyType(
    {
        "conv": "blocktool.blocks.conv:ConvBlock",
        "depthwise-separable": "blocktool.blocks.conv_variants:DepthwiseSeparableConv",
        "grouped-conv": "blocktool.blocks.conv_variants:GroupedConv",
        "dilated-conv": "blocktool.blocks.conv_variants:DilatedConv",
        "multi-head-attention": "blocktool.blocks.attention:MultiHeadAttention",
        "self-attention": "blocktool.blocks.attention:SelfAttention",
        "cross-attention": "blocktool.blocks.cross_attention:CrossAttention",
        "feed-forward": "blocktool.blocks.feed_forward:FeedForward",
        "attention-block": "blocktool.blocks.transformer:AttentionBlock",
        "transformer": "blocktool.blocks.transformer:TransformerBlock",
        "residual": "blocktool.blocks.residual:ResidualBlock",
        "bottleneck": "blocktool.blocks.residual:BottleneckBlock",
        "preact": "blocktool.blocks.preact:PreActBlock",
        "preact-bottleneck": "blocktool.blocks.preact:PreActBottleneck",
        "se": "blocktool.blocks.squeeze_excite:SqueezeExcite",
        "se-residual": "blocktool.blocks.residual:SEResidualBlock",
    }
)
"""Import path of each block's class, in the order of a listing."""


def load_block(name: str) -> Callable[..., Any]:
    """The class of the block of this name. Raises ValueError, with a suggestion, for another."""
    check_choice("block", name, BLOCK_PATHS)
    module, _, attribute = BLOCK_PATHS[name].partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def name_of(cls: type) -> str | None:
    """The name of a block's class, None for a class that is not in the list."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    return next((name for name, known in BLOCK_PATHS.items() if known == path), None)
