"""Chains of equal layers, for ``gate_trials.py``: one more in ten is a slowdown of 10%."""

from __future__ import annotations

from torch import nn

from blocktool.blocks import BottleneckBlock, ConvBlock, TransformerBlock

_LAYERS = {
    "conv": lambda: ConvBlock(48, 48),
    "bottleneck": lambda: BottleneckBlock(128),
    "transformer": lambda: TransformerBlock(96, num_heads=3),
}
SHAPES = {"conv": "1x48x28x28", "bottleneck": "1x128x28x28", "transformer": "1x49x96"}


class Chain(nn.Sequential):
    """So many layers of a kind, one after another; of all kinds a few ms."""

    def __init__(self, kind: str, layers: int) -> None:
        super().__init__(*(_LAYERS[kind]() for _ in range(layers)))
