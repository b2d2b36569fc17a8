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
    from blocktool.blocks.attention import SelfAttention
    from blocktool.blocks.config import (
        FeatureExtractorConfig,
        HeadConfig,
        StageConfig,
        StemConfig,
    )
    from blocktool.blocks.conv import ConvBlock
    from blocktool.blocks.feature_extractor import FeatureExtractor
    from blocktool.blocks.layers import DropPath, LayerNorm2d, LayerScale
    from blocktool.blocks.residual import BottleneckBlock, ResidualBlock
    from blocktool.blocks.shapes import ShapeError
    from blocktool.blocks.squeeze_excite import SqueezeExcite
    from blocktool.blocks.stage import Stage

_HOMES = {
    "ConvBlock": "conv",
    "SelfAttention": "attention",
    "ResidualBlock": "residual",
    "BottleneckBlock": "residual",
    "SqueezeExcite": "squeeze_excite",
    "Stage": "stage",
    "FeatureExtractor": "feature_extractor",
    "FeatureExtractorConfig": "config",
    "StemConfig": "config",
    "StageConfig": "config",
    "HeadConfig": "config",
    "DropPath": "layers",
    "LayerNorm2d": "layers",
    "LayerScale": "layers",
    "ShapeError": "shapes",
}

__all__ = [
    "ConvBlock",
    "SelfAttention",
    "ResidualBlock",
    "BottleneckBlock",
    "SqueezeExcite",
    "Stage",
    "FeatureExtractor",
    "FeatureExtractorConfig",
    "StemConfig",
    "StageConfig",
    "HeadConfig",
    "DropPath",
    "LayerNorm2d",
    "LayerScale",
    "ShapeError",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
