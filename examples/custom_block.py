"""Your own block and your own backbone, put together from blocktool's blocks.

blocktool summary examples/custom_block.py:CustomBlock in_channels=3 out_channels=64 -i 1x3x32x32
blocktool summary examples/custom_block.py:feature_extractor -i 1x3x64x64
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from blocktool.blocks import ConvBlock, ResidualBlock, SelfAttention


class CustomBlock(nn.Module):
    """Convolution, self-attention over the map, and a residual block."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(in_channels, out_channels)
        self.attention = SelfAttention(out_channels)
        self.residual = ResidualBlock(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.attention(x)
        return self.residual(x)


@dataclass(frozen=True)
class Config:
    """``channels`` are the widths between the stages: one more than there are stages."""

    num_stages: int = 3
    blocks_per_stage: tuple[int, ...] = (2, 2, 2)
    channels: tuple[int, ...] = (3, 64, 128, 256)


class FeatureExtractor(nn.Module):
    """Stages of residual blocks, each of which changes the width with its first block."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.stages = nn.ModuleList([self._make_stage(config, i) for i in range(config.num_stages)])

    def _make_stage(self, config: Config, stage_idx: int) -> nn.Sequential:
        in_channels = config.channels[stage_idx]
        out_channels = config.channels[stage_idx + 1]
        layers = []
        for _ in range(config.blocks_per_stage[stage_idx]):
            layers.append(ResidualBlock(in_channels=in_channels, out_channels=out_channels))
            in_channels = out_channels
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def feature_extractor(
    channels: tuple[int, ...] = (3, 64, 128, 256), blocks_per_stage: int = 2
) -> FeatureExtractor:
    """A FeatureExtractor from the command line: a factory makes its config from KEY=VALUE."""
    num_stages = len(channels) - 1
    return FeatureExtractor(Config(num_stages, (blocks_per_stage,) * num_stages, tuple(channels)))
