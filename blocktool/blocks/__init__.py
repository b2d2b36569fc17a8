"""Vision blocks in plain PyTorch, usable without the rest of blocktool.

Every block takes and gives tensors of one kind, says its widths (``in_channels``,
``out_channels``, ``stride``), checks what it is given (:class:`ShapeError`), tells its output
shape without running (``output_shape``), and can be built on the meta device and initialised later
(``reset_parameters``). Maps are (B, C, H, W), tokens (B, N, C).

The names are imported, and torch with them, when they are first used:
:mod:`blocktool.blocks.config` and :mod:`blocktool.blocks.options` need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocktool.blocks.attention import MultiHeadAttention, SelfAttention
    from blocktool.blocks.block import Block
    from blocktool.blocks.config import (
        ConfigurationError,
        FeatureExtractorConfig,
        HeadConfig,
        PositionConfig,
        StageConfig,
        StemConfig,
    )
    from blocktool.blocks.configuration import from_config, to_config
    from blocktool.blocks.conv import ConvBlock
    from blocktool.blocks.conv_variants import DepthwiseSeparableConv, DilatedConv, GroupedConv
    from blocktool.blocks.cross_attention import CrossAttention
    from blocktool.blocks.feature_extractor import FeatureExtractor
    from blocktool.blocks.feed_forward import FeedForward
    from blocktool.blocks.layers import DropPath, LayerNorm2d, LayerScale
    from blocktool.blocks.position import PositionEmbedding
    from blocktool.blocks.preact import PreActBlock, PreActBottleneck
    from blocktool.blocks.residual import BottleneckBlock, ResidualBlock, SEResidualBlock
    from blocktool.blocks.shapes import ShapeError
    from blocktool.blocks.squeeze_excite import SqueezeExcite
    from blocktool.blocks.stage import Stage
    from blocktool.blocks.transformer import AttentionBlock, TransformerBlock

_HOMES = {
    "Block": "block",
    "ConvBlock": "conv",
    "DepthwiseSeparableConv": "conv_variants",
    "GroupedConv": "conv_variants",
    "DilatedConv": "conv_variants",
    "MultiHeadAttention": "attention",
    "SelfAttention": "attention",
    "CrossAttention": "cross_attention",
    "FeedForward": "feed_forward",
    "AttentionBlock": "transformer",
    "TransformerBlock": "transformer",
    "ResidualBlock": "residual",
    "BottleneckBlock": "residual",
    "SEResidualBlock": "residual",
    "PreActBlock": "preact",
    "PreActBottleneck": "preact",
    "SqueezeExcite": "squeeze_excite",
    "Stage": "stage",
    "FeatureExtractor": "feature_extractor",
    "FeatureExtractorConfig": "config",
    "StemConfig": "config",
    "PositionConfig": "config",
    "PositionEmbedding": "position",
    "StageConfig": "config",
    "HeadConfig": "config",
    "DropPath": "layers",
    "LayerNorm2d": "layers",
    "LayerScale": "layers",
    "ShapeError": "shapes",
    "ConfigurationError": "config",
    "from_config": "configuration",
    "to_config": "configuration",
}

__all__ = [
    "Block",
    "ConvBlock",
    "DepthwiseSeparableConv",
    "GroupedConv",
    "DilatedConv",
    "MultiHeadAttention",
    "SelfAttention",
    "CrossAttention",
    "FeedForward",
    "AttentionBlock",
    "TransformerBlock",
    "ResidualBlock",
    "BottleneckBlock",
    "SEResidualBlock",
    "PreActBlock",
    "PreActBottleneck",
    "SqueezeExcite",
    "Stage",
    "FeatureExtractor",
    "FeatureExtractorConfig",
    "StemConfig",
    "PositionConfig",
    "StageConfig",
    "HeadConfig",
    "PositionEmbedding",
    "DropPath",
    "LayerNorm2d",
    "LayerScale",
    "ShapeError",
    "ConfigurationError",
    "from_config",
    "to_config",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
