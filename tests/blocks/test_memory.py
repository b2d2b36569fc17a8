"""Blocks need no more memory than the same computation elsewhere, by the trace's peak."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from zoo_stub import import_timm, import_torchvision

import blocktool
from blocktool.blocks import (
    BottleneckBlock,
    DepthwiseSeparableConv,
    FeatureExtractor,
    FeedForward,
    PreActBottleneck,
    SelfAttention,
    SqueezeExcite,
    Stage,
    TransformerBlock,
)
from blocktool.results.trace import Mode

Make = Callable[[], nn.Module]


def _timm(name: str, *args: object, **options: object) -> nn.Module:
    import_timm()
    import timm.layers
    import timm.models._efficientnet_blocks
    import timm.models.vision_transformer

    homes = (timm.layers, timm.models.vision_transformer, timm.models._efficientnet_blocks)
    return next(getattr(home, name) for home in homes if hasattr(home, name))(*args, **options)


def _resnetv2_stage() -> nn.Module:
    return import_timm().create_model("resnetv2_50").stages[1]


def _vit() -> nn.Module:
    stem = {"out_channels": 64, "kernel_size": 8, "stride": 8, "padding": 0}
    return FeatureExtractor(
        {
            "stem": {**stem, "norm": None, "act": None, "pool": None},
            "positions": {"grid": 8},
            "stages": [{"block": "transformer", "num_blocks": 3, "out_channels": 64, "stride": 1}],
            "head": {"num_classes": 10, "norm": "layer", "pool": "token"},
        }
    )


def _timm_vit() -> nn.Module:
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    sizes = {"img_size": 64, "patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 4}
    return VisionTransformer(**sizes, num_classes=10)


PAIRS: dict[str, tuple[Make, Make, tuple[int, ...]]] = {
    "transformer": (
        partial(TransformerBlock, 384, 6),
        partial(_timm, "Block", 384, 6, qkv_bias=True),
        (8, 196, 384),
    ),
    "attention": (
        partial(SelfAttention, 256, 8),
        partial(_timm, "Attention", 256, 8, qkv_bias=True),
        (4, 196, 256),
    ),
    "attention on a map": (
        partial(SelfAttention, 256, 8),
        partial(_timm, "Attention2d", 256, num_heads=8, bias=True),
        (4, 256, 14, 14),
    ),
    "feed-forward": (
        partial(FeedForward, 256),
        partial(_timm, "Mlp", 256, 1024),
        (4, 196, 256),
    ),
    "squeeze-excite": (
        partial(SqueezeExcite, 64),
        partial(_timm, "SqueezeExcite", 64),
        (4, 64, 28, 28),
    ),
    "separable": (
        partial(DepthwiseSeparableConv, 64, 128, act="relu"),
        partial(_timm, "DepthwiseSeparableConv", 64, 128, pw_act=True),
        (4, 64, 28, 28),
    ),
    "bottleneck stage": (
        partial(Stage, BottleneckBlock, 4, 256, 512),
        lambda: import_torchvision().models.resnet50().layer2,
        (4, 256, 28, 28),
    ),
    "pre-activation stage": (
        partial(Stage, PreActBottleneck, 4, 256, 512),
        _resnetv2_stage,
        (4, 256, 28, 28),
    ),
    "vision transformer": (_vit, _timm_vit, (4, 3, 64, 64)),
}


@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("name", PAIRS)
def test_peak_is_no_higher_than_the_references(name: str, mode: Mode) -> None:
    ours, theirs, shape = PAIRS[name]
    with torch.device("meta"):
        pair = ours(), theirs()
    params = [sum(p.numel() for p in module.parameters()) for module in pair]
    assert params[0] == params[1]
    mine, wanted = (blocktool.summarize(module, shape, mode=mode).totals for module in pair)
    assert mine.macs == wanted.macs
    assert mine.peak_live_bytes <= wanted.peak_live_bytes * 1.001
