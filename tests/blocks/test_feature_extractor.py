from __future__ import annotations

import dataclasses
import re
import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from block_keys import resnet_keys
from block_references import assert_same, copy_over
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    FeatureExtractor,
    FeatureExtractorConfig,
    HeadConfig,
    ResidualBlock,
    ShapeError,
    StageConfig,
    StemConfig,
)
from blocktool.blocks.config import ConfigurationError


def _stages(*options: dict[str, Any]) -> tuple[StageConfig, ...]:
    common = {"block": ResidualBlock, "num_blocks": 1, "out_channels": 8}
    return tuple(StageConfig(**{**common, **own}) for own in options)


def _built(config: Any, **options: Any) -> FeatureExtractor:
    return FeatureExtractor(config, device="meta", **options)


def test_resnet18_equals_torchvision_in_training() -> None:
    theirs = import_torchvision().models.resnet18(weights=None, num_classes=10)
    depths = [(64, 1), (128, 2), (256, 2), (512, 2)]
    ours = FeatureExtractor(
        FeatureExtractorConfig(
            stem=StemConfig(out_channels=64),
            stages=_stages(*({"num_blocks": 2, "out_channels": c, "stride": s} for c, s in depths)),
            head=HeadConfig(num_classes=10),
        )
    )
    copy_over(ours, theirs, resnet_keys)
    x = torch.linspace(-3, 3, 2 * 3 * 40 * 33).sin().view(2, 3, 40, 33)
    assert_same(ours, theirs, x, resnet_keys)


@dataclass
class Seed:
    num_stages: int = 3
    blocks_per_stage: Any = (1, 2, 1)
    channels: Any = (3, 8, 16, 32)


@pytest.mark.parametrize(
    "config",
    [
        Seed(),
        SimpleNamespace(num_stages=3, blocks_per_stage=[1, 2, 1], channels=[3, 8, 16, 32]),
        {"num_stages": 3, "blocks_per_stage": [1, 2, 1], "channels": [3, 8, 16, 32]},
        {
            "num_stages": 3,
            "blocks_per_stage": [1, 2, 1],
            "channels": [8, 16, 32],
            "in_channels": 3,
        },
    ],
)
def test_short_form(config: Any) -> None:
    """The seed's FeatureExtractor would fail at the second block of a stage: widths repeat."""
    model = FeatureExtractor(config)
    assert [len(stage) for stage in model.stages] == [1, 2, 1]
    widths = [(b.in_channels, b.out_channels) for stage in model.stages for b in stage]
    assert widths == [(3, 8), (8, 16), (16, 16), (16, 32)]
    assert all(isinstance(block, ResidualBlock) for stage in model.stages for block in stage)
    maps = model(torch.zeros(1, 3, 32, 32))
    assert [tuple(m.shape) for m in maps] == [(1, 8, 16, 16), (1, 16, 8, 8), (1, 32, 4, 4)]
    assert model.feature_info == [(8, 2), (16, 4), (32, 8)]
    assert model.feature_info[1].reduction == 4


def test_short_form_with_everything() -> None:
    model = _built(
        {
            "num_stages": 2,
            "blocks_per_stage": 3,
            "channels": [64, 128],
            "strides": [1, 2],
            "block": BottleneckBlock,
            "stem": StemConfig(out_channels=16),
            "head": HeadConfig(num_classes=7),
            "drop_path": 0.1,
        }
    )
    assert [len(stage) for stage in model.stages] == [3, 3]
    assert model.stages[0].in_channels == 16
    assert model.output_shape((2, 3, 64, 64)) == (2, 7)
    rates = [b.drop_path.drop_prob if b.drop_path else 0 for s in model.stages for b in s]
    assert rates == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": [8, 16]}, r"channels: 2 widths for num_stages=3; wanted 4"),
        ({"channels": [8, 16, 32]}, r"3 widths for num_stages=3; wanted 4 .* or 3 with a stem"),
        ({"channels": [8] * 5, "in_channels": 3}, r"5 widths for num_stages=3; wanted 4 .* or 3$"),
        ({"channels": [8] * 4, "in_channels": 3}, "channels: starts with 8, but in_channels is 3"),
        (
            {"channels": [8] * 4, "stem": StemConfig(out_channels=4)},
            "channels: starts with 8, but stem.out_channels is 4",
        ),
        ({"blocks_per_stage": [1, 2]}, "blocks_per_stage: 2 values for num_stages=3"),
        ({"strides": [1]}, "strides: 1 values for num_stages=3"),
        ({"num_stages": "3"}, "num_stages: must be a positive integer, got '3'"),
        ({"channels": 64}, "channels: must be a list of integers, got 64"),
        ({"stem": {"out_channel": 64}}, "stem.out_channel: unknown; known: out_channels"),
        ({"num_stage": 3}, "num_stage: unknown; known: num_stages"),
        ({"out_indices": [3]}, r"out_indices\[0\]: 3 is not one of the 3 stages"),
        ({"out_indices": []}, "out_indices: there must be at least one"),
        ({"out_indices": [0], "head": HeadConfig()}, "out_indices: a model with a head gives no"),
        ({"block": 5}, r"stages\[0\].block: must be a class or a block's name, got 5"),
        ({"block": "residul"}, r"stages\[0\].block: unknown block 'residul'.*mean 'residual'"),
        ({"drop_path": 1.0}, "drop_path: drop_path must be at least 0 and below 1"),
        ({"blocks_per_stage": 0}, r"stages\[0\]: num_blocks must be a positive integer, got 0"),
        ({"num_stages": 0, "channels": [3]}, "num_stages: must be a positive integer, got 0"),
        ({"channels": [3, 8, 16, -1]}, r"stages\[2\]: out_channels must be a positive integer"),
    ],
)
def test_bad_short_form(changes: dict[str, Any], message: str) -> None:
    config = {"num_stages": 3, "blocks_per_stage": 1, "channels": [3, 8, 16, 32], **changes}
    with pytest.raises(ConfigurationError, match=message):
        _built(config)


def test_missing_key() -> None:
    with pytest.raises(ConfigurationError, match="channels: missing"):
        _built({"num_stages": 1, "blocks_per_stage": 1})
    with pytest.raises(ConfigurationError, match="num_stages: missing"):
        _built(object())


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"stages": _stages({}, {"options": {"groups": 3}})}, ("stages", 1)),
        ({"stages": _stages({}), "head": HeadConfig(num_classes=0)}, ("head",)),
        ({"stages": _stages({}), "stem": StemConfig(out_channels=0)}, ("stem",)),
        ({"stages": _stages({}), "in_channels": 0}, ("in_channels",)),
        ({"stages": _stages({"options": {"norm": "bacth"}})}, ("stages", 0)),
    ],
)
def test_what_cannot_be_built_is_located(config: Any, path: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _built(FeatureExtractorConfig(**config))
    assert caught.value.path == path


def test_out_indices_choose_maps_and_spare_what_lies_behind() -> None:
    config = {"num_stages": 3, "blocks_per_stage": 1, "channels": [3, 8, 16, 32]}
    every = _built(config)
    some = _built({**config, "out_indices": [1, -3]})
    assert len(every.stages) == 3
    assert len(some.stages) == 2
    assert some.out_indices == (1, 0)
    assert some.feature_info == [(16, 4), (8, 2)]
    x = torch.zeros(1, 3, 16, 16, device="meta")
    assert [tuple(m.shape) for m in some(x)] == some.output_shape(x.shape)
    assert some.output_shape(x.shape) == [(1, 16, 4, 4), (1, 8, 8, 8)]


@pytest.mark.parametrize(
    ("stem", "reduction"),
    [
        (StemConfig(out_channels=8), 4),
        (StemConfig(out_channels=8, pool="avg"), 4),
        (StemConfig(out_channels=8, pool=None), 2),
        (StemConfig(out_channels=8, kernel_size=4, stride=4, padding=0, pool=None), 4),
        (StemConfig(out_channels=8, kernel_size=3, stride=1, pool=None, norm=None, act="gelu"), 1),
    ],
)
def test_stems(stem: StemConfig, reduction: int) -> None:
    model = _built(FeatureExtractorConfig(stem=stem, stages=_stages({"stride": 1})))
    assert model.feature_info == [(8, reduction)]
    for size in (32, 33):
        x = torch.zeros(1, 3, size, size, device="meta")
        assert [tuple(m.shape) for m in model(x)] == model.output_shape(x.shape)


def test_head() -> None:
    config = FeatureExtractorConfig(stages=_stages({}), head=HeadConfig(num_classes=5))
    model = FeatureExtractor(config).eval()
    x = torch.rand(2, 3, 9, 9)
    wanted = model.head.fc(model.stages[0](x).mean((2, 3)))
    torch.testing.assert_close(model(x), wanted)
    maximum = FeatureExtractorConfig(stages=_stages({}), head=HeadConfig(pool="max", dropout=0.5))
    model = FeatureExtractor(maximum)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model.head.fc(model.stages[0](x).amax((2, 3))))


def test_stage_settings_reach_the_stage() -> None:
    config = FeatureExtractorConfig(
        stages=_stages(
            {"num_blocks": 2, "drop_path": (0.3, 0.4), "checkpoint": True},
            {"num_blocks": 2, "options": {"attn": "se"}},
            {"block": ConvBlock, "stride": 1},
        ),
        drop_path=0.0,
    )
    first, second, third = _built(config).stages
    assert [block.drop_path.drop_prob for block in first] == [0.3, 0.4]
    assert (first.checkpoint, second.checkpoint) == (True, False)
    assert all(block.attn is not None for block in second)
    assert isinstance(third[0], ConvBlock)


def test_third_party_blocks_need_not_know_device_and_dtype() -> None:
    class Theirs(nn.Conv2d):
        def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
            super().__init__(in_channels, out_channels, 3, stride, 1)

    model = FeatureExtractor(FeatureExtractorConfig(stages=_stages({"block": Theirs})))
    assert model(torch.zeros(1, 3, 8, 8))[0].shape == (1, 8, 4, 4)


def test_wrong_input() -> None:
    model = _built(FeatureExtractorConfig(stages=_stages({})))
    with pytest.raises(ShapeError, match=r"FeatureExtractor: expected \(B, C=3, H, W\)"):
        model(torch.zeros(1, 8, 8, 3, device="meta"))


LONG: dict[str, Any] = {
    "stem": {"out_channels": 16, "kernel_size": 3, "bias": True, "norm": None, "pool": None},
    "stages": [
        {"block": "bottleneck", "num_blocks": 2, "out_channels": 32, "groups": 2},
        {"block": ResidualBlock, "num_blocks": 1, "out_channels": 64, "options": {"attn": "se"}},
    ],
    "head": {"num_classes": 5, "norm": "batch", "act": "relu"},
}


def test_long_form_as_a_mapping() -> None:
    model = FeatureExtractor(LONG).eval()
    assert isinstance(model.stages[0][0], BottleneckBlock)
    assert model.stages[0][1].conv2.conv.groups == 2
    assert model.stages[1][0].attn is not None
    assert model.stem.conv.conv.bias is not None
    assert [name for name, _ in model.head.named_children()] == ["norm", "act", "pool", "fc"]
    assert model(torch.rand(2, 3, 32, 32)).shape == model.output_shape((2, 3, 32, 32)) == (2, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": {"classes": 5}}, "head.classes: unknown; known: num_classes"),
        ({"stages": [{"block": "conv"}]}, r"stages\[0\].num_blocks: missing"),
        ({"heads": {}}, "heads: unknown; known: stages"),
        ({"head": {"pool": "token"}}, "head: pool: 'token' needs positions with a class token"),
        (
            {"stem": None, "in_channels": 32, "positions": {"grid": 4}},
            r"stages\[0\]: must keep 32 channels and stride 1: there is a class token",
        ),
        ({"stem": 64}, "stem: must be keys and values, got 64"),
        ({"head": [10]}, r"head: must be keys and values, got \[10\]"),
        ({"stages": 3}, "stages: must be a list of stages, got 3"),
        ({"stages": [3]}, r"stages\[0\]: must be keys and values, got 3"),
        ({"head": None, "out_indices": 0}, "out_indices: must be a list of integers, got 0"),
        ({"head": None, "out_indices": ["a"]}, r"out_indices\[0\]: must be an integer, got 'a'"),
        ({"positions": {"grid": 0}}, "positions: grid must be a positive integer, got 0"),
    ],
)
def test_bad_long_form(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _built({**LONG, **changes})


VIT: dict[str, Any] = {
    "stem": {
        "out_channels": 32,
        "kernel_size": 4,
        "stride": 4,
        "padding": 0,
        "norm": None,
        "act": None,
        "pool": None,
    },
    "positions": {"grid": [4, 6]},
    "stages": [
        {"block": "transformer", "num_blocks": 1, "out_channels": 32, "stride": 1, "num_heads": 4},
        {"block": "transformer", "num_blocks": 2, "out_channels": 32, "stride": 1, "num_heads": 4},
    ],
}


def _timm_vit(**options: Any) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    sizes = {"img_size": (16, 24), "patch_size": 4, "embed_dim": 32, "depth": 3, "num_heads": 4}
    return VisionTransformer(**sizes, dynamic_img_size=True, **options)


def _vit_keys(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's VisionTransformer, of three blocks, under the names of VIT."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"^blocks\.0\.", "stages.0.0.", key)
        key = re.sub(r"^blocks\.([12])\.", lambda m: f"stages.1.{int(m[1]) - 1}.", key)
        for theirs, ours in (
            ("patch_embed.proj.", "stem.conv.conv."),
            ("cls_token", "positions.class_token"),
            ("pos_embed", "positions.positions"),
            ("norm.", "head.norm."),
            ("head.", "head.fc."),
        ):
            if key.startswith(theirs):
                key = ours + key.removeprefix(theirs)
                break
        renamed[key] = value
    return renamed


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("size", [(16, 24), (24, 20)])
def test_transformer_equals_timm(size: tuple[int, int], pool: str) -> None:
    """Also where the positions are resampled to another size."""
    import_timm()
    # timm norms what it has pooled unless told otherwise.
    theirs = _timm_vit(
        num_classes=7, global_pool="token" if pool == "token" else "avg", fc_norm=False
    )
    ours = FeatureExtractor({**VIT, "head": {"num_classes": 7, "norm": "layer", "pool": pool}})
    copy_over(ours, theirs, _vit_keys)
    x = torch.linspace(-3, 3, 2 * 3 * size[0] * size[1]).sin().view(2, 3, *size)
    assert_same(ours, theirs, x, _vit_keys, tolerance=2e-5)


def test_maps_of_a_transformer_equal_timm() -> None:
    import_timm()
    theirs = _timm_vit(num_classes=0)
    ours = FeatureExtractor(VIT).eval()
    state = {k: v for k, v in _vit_keys(theirs.state_dict()).items() if "head" not in k}
    ours.load_state_dict(state)
    assert ours.feature_info == [(32, 4), (32, 4)]
    for size in ((16, 24), (20, 32)):
        x = torch.rand(2, 3, *size)
        maps = ours(x)
        assert [tuple(m.shape) for m in maps] == ours.output_shape(x.shape)
        wanted = theirs.eval().forward_intermediates(x, indices=[0, 2], intermediates_only=True)
        for mine, other in zip(maps, wanted, strict=True):
            torch.testing.assert_close(mine, other)


def test_positions_without_a_class_token_keep_the_map() -> None:
    config = {**VIT, "positions": {"grid": [4, 6], "class_token": False}}
    model = FeatureExtractor(config)
    assert model.positions.class_token is None
    x = torch.rand(1, 32, 4, 6)
    wanted = x + model.positions.positions.transpose(1, 2).unflatten(2, (4, 6))
    assert torch.equal(model.positions(x), wanted)
    assert [tuple(m.shape) for m in model(torch.rand(1, 3, 16, 24))] == [(1, 32, 4, 6)] * 2


def test_positions_are_resampled_in_a_program_of_any_size() -> None:
    model = FeatureExtractor({**VIT, "head": {"norm": "layer", "pool": "token"}}).eval()
    step = torch.export.Dim
    sizes = {0: step("b"), 2: 4 * step("h"), 3: 4 * step("w")}
    program = torch.export.export(model, (torch.rand(2, 3, 20, 28),), dynamic_shapes=(sizes,))
    for size in ((16, 24), (20, 28), (32, 12)):
        x = torch.rand(3, 3, *size)
        torch.testing.assert_close(program.module()(x), model(x), rtol=1e-4, atol=1e-5)


def test_channels_last() -> None:
    config = {"num_stages": 2, "blocks_per_stage": 1, "channels": [3, 8, 16]}
    plain = FeatureExtractor(config).eval()
    last = FeatureExtractor(dataclasses.replace(plain.config, channels_last=True)).eval()
    last.load_state_dict(plain.state_dict())
    weights = [m.weight for m in last.modules() if isinstance(m, nn.Conv2d)]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    x = torch.rand(2, 3, 16, 16)
    for mine, wanted in zip(last(x), plain(x), strict=True):
        assert mine.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(mine, wanted)


def test_a_map_that_nobody_wants_is_not_kept() -> None:
    model = FeatureExtractor(
        {"num_stages": 3, "blocks_per_stage": 1, "channels": [3, 8, 8, 8], "out_indices": [2]}
    )
    first: list[weakref.ref[torch.Tensor]] = []
    gone: list[bool] = []
    model.stages[0].register_forward_hook(lambda module, args, out: first.append(weakref.ref(out)))
    model.stages[2].register_forward_hook(lambda *_: gone.append(first[0]() is None))
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, 16, 16))
    assert gone == [True]


def test_a_head_does_not_work_in_place_on_what_it_was_given() -> None:
    head = {"num_classes": 5, "norm": lambda channels: nn.Identity(), "act": "relu"}
    model = FeatureExtractor({**LONG, "head": head})
    model(torch.rand(2, 3, 32, 32)).sum().backward()
