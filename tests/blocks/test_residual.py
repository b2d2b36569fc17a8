from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from block_keys import resnet_stage_keys
from block_references import assert_same, copy_over, every_dtype, every_mode, randomize, waves
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import BottleneckBlock, ResidualBlock, SEResidualBlock, Stage


def _torchvision_stage(model: str, number: int, **options: Any) -> nn.Module:
    return _stage(lambda: import_torchvision().models.get_model(model, **options), number)


def _timm_stage(model: str, number: int) -> nn.Module:
    return _stage(lambda: import_timm().create_model(model, pretrained=False), number)


def _stage(build: Callable[[], nn.Module], number: int) -> nn.Module:
    """Only the stage that is wanted is given values."""
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        # Random numbers on meta load a second's worth of torch's decompositions.
        patch.setattr(torch.Tensor, "normal_", lambda tensor, *_, **__: tensor)
        stage = getattr(build(), f"layer{number}")
    stage.to_empty(device="cpu")
    for module in stage.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return stage


@every_dtype
@every_mode
@pytest.mark.parametrize("number", [1, 2])
def test_basic_stage_equals_torchvision(number: int, training: bool, dtype: torch.dtype) -> None:
    theirs = _torchvision_stage("resnet18", number).to(dtype).train(training)
    ours = Stage(ResidualBlock, 2, 64, 64 * number, stride=number, dtype=dtype).train(training)
    copy_over(ours, theirs, resnet_stage_keys)
    assert_same(ours, theirs, waves(2, 64, 15, 10, dtype=dtype), resnet_stage_keys)


@every_dtype
@every_mode
@pytest.mark.parametrize(
    ("model", "number", "options"),
    [
        *(("resnet50", number, {}) for number in (1, 2, 3, 4)),
        ("resnext50_32x4d", 2, {"groups": 32, "base_width": 4}),
        ("wide_resnet50_2", 1, {"base_width": 128}),
    ],
)
def test_bottleneck_stage_equals_torchvision(
    model: str, number: int, options: dict[str, int], training: bool, dtype: torch.dtype
) -> None:
    # Two blocks: those that follow are like the second.
    theirs = _torchvision_stage(model, number)[:2].to(dtype).train(training)
    before, width = (64 if number == 1 else 128 * 2 ** (number - 1)), 128 * 2**number
    stride = 1 if number == 1 else 2
    ours = Stage(BottleneckBlock, 2, before, width, stride=stride, dtype=dtype, **options)
    copy_over(ours.train(training), theirs, resnet_stage_keys)
    assert_same(ours, theirs, waves(2, before, 8, 7, dtype=dtype), resnet_stage_keys)


@every_dtype
@every_mode
@pytest.mark.parametrize(
    ("model", "block", "options"),
    [
        ("resnet50", BottleneckBlock, {}),
        ("resnet50d", BottleneckBlock, {"shortcut": "avg"}),
        ("resnet18d", ResidualBlock, {"shortcut": "avg"}),
        ("seresnet18", SEResidualBlock, {}),
        ("seresnet18", ResidualBlock, {"attn": "se"}),
        ("seresnet50", BottleneckBlock, {"attn": "se"}),
        ("seresnext50_32x4d", BottleneckBlock, {"attn": "se", "groups": 32, "base_width": 4}),
    ],
)
def test_stage_equals_timm(
    model: str, block: type, options: dict[str, Any], training: bool, dtype: torch.dtype
) -> None:
    theirs = _timm_stage(model, 2)[:2].to(dtype).train(training)
    widths = (256, 512) if block is BottleneckBlock else (64, 128)
    ours = Stage(block, 2, *widths, dtype=dtype, **options).train(training)
    copy_over(ours, theirs, resnet_stage_keys)
    assert_same(ours, theirs, waves(2, widths[0], 7, 6, dtype=dtype), resnet_stage_keys)


def test_dilation_equals_torchvision() -> None:
    options = {"replace_stride_with_dilation": [True, False, False]}
    theirs = _torchvision_stage("resnet50", 2, **options)[1:2]  # the first one is not dilated
    ours = Stage(BottleneckBlock, 1, 512, 512, stride=1, dilation=2)
    keys = lambda state: {f"0.{k[2:]}": v for k, v in resnet_stage_keys(state).items()}  # noqa: E731
    copy_over(ours, theirs, keys)
    assert_same(ours, theirs, waves(1, 512, 6, 6), keys)


def test_stride_on_the_first_convolution() -> None:
    block = BottleneckBlock(16, 32, stride=2, stride_on="1x1")
    assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3)] == [2, 1, 1]
    assert block(torch.zeros(1, 16, 9, 9)).shape == (1, 32, 5, 5)


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
def test_out_channels_default_to_in_channels(block: type) -> None:
    for made in (block(16), block(in_channels=16), block(in_channels=16, out_channels=16)):
        assert (made.in_channels, made.out_channels, made.stride) == (16, 16, 1)
        assert made.shortcut is None
        assert made(torch.zeros(1, 16, 4, 4)).shape == (1, 16, 4, 4)


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
@pytest.mark.parametrize("shortcut", ["conv", "avg"])
@pytest.mark.parametrize(("width", "stride"), [(16, 2), (24, 1), (24, 2), (16, 3)])
@pytest.mark.parametrize("size", [(8, 9), (1, 1), (7, 3)])
def test_projects_where_the_shape_changes(
    block: type, shortcut: Any, width: int, stride: int, size: tuple[int, int]
) -> None:
    # detectron2's blocks crash with stride 2 at equal width, for want of a projection.
    made = block(16, width, stride=stride, shortcut=shortcut)
    x = torch.zeros(2, 16, *size)
    assert made.shortcut is not None
    assert made(x).shape == made.output_shape(x.shape)


@pytest.mark.parametrize("activations", ["relu", "silu"])
@pytest.mark.parametrize(
    ("block", "options"),
    [
        (ResidualBlock, {}),
        (ResidualBlock, {"stride": 2, "shortcut": "avg", "attn": "se", "layer_scale": 0.5}),
        (BottleneckBlock, {"stride": 2, "stride_on": "1x1"}),
        (BottleneckBlock, {"norm": "group", "attn": "se"}),
    ],
)
def test_is_the_papers_formula(block: type, options: dict[str, Any], activations: Any) -> None:
    made = randomize(block(16, act=activations, **options)).eval()
    x = waves(2, 16, 8, 10)
    convs = [module for name, module in made.named_children() if name.startswith("conv")]
    act = {"relu": torch.relu, "silu": nn.functional.silu}[activations]
    out = x
    for conv in convs:
        out = conv.norm(conv.conv(out))
        out = out if conv is convs[-1] else act(out)
    if made.attn is not None:
        out = made.attn(out)
    if made.layer_scale is not None:
        out = out * made.layer_scale.gamma
    shortcut = x
    if made.shortcut is not None:
        pooled = nn.functional.avg_pool2d(x, 2) if options.get("shortcut") == "avg" else x
        shortcut = made.shortcut.norm(made.shortcut.conv(pooled))
    torch.testing.assert_close(made(x), act(out + shortcut), rtol=0, atol=0)


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
def test_starts_as_the_identity_unless_told_otherwise(block: type) -> None:
    x = torch.rand(2, 16, 5, 5)
    assert torch.equal(block(16).eval()(x), x)
    assert not torch.equal(block(16, zero_init_last=False).eval()(x), x)
    made = block(16)
    made.reset_parameters()
    assert torch.equal(made.eval()(x), x)


def test_layer_scale_and_drop_path_act_on_the_branch_only() -> None:
    x = torch.rand(64, 8, 4, 4)
    plain = ResidualBlock(8, zero_init_last=False, act=None, norm=None)
    scaled = ResidualBlock(8, zero_init_last=False, act=None, norm=None, layer_scale=0.5)
    dropped = ResidualBlock(8, zero_init_last=False, act=None, norm=None, drop_path=0.25)
    for made in (scaled, dropped):
        made.load_state_dict(plain.state_dict(), strict=False)
    branch = plain(x) - x
    torch.testing.assert_close(scaled(x) - x, 0.5 * branch)
    # In eval nothing is dropped; in training a sample's branch is gone or scaled by 1 / 0.75.
    torch.testing.assert_close(dropped.eval()(x) - x, branch)
    torch.manual_seed(0)
    ratio = ((dropped.train()(x) - x) / branch).flatten(1)
    kept = ratio.mean(1) > 0.5
    torch.testing.assert_close(
        ratio[kept], torch.full_like(ratio[kept], 1 / 0.75), rtol=2e-2, atol=0
    )
    assert torch.all(ratio[~kept].abs() < 1e-2)
    assert 0.5 < kept.float().mean() < 0.95


def test_attn_is_any_layer_made_from_the_width() -> None:
    made = ResidualBlock(8, 16, attn=lambda channels: nn.Conv2d(channels, channels, 1))
    assert made.attn.weight.shape == (16, 16, 1, 1)
    pair = ResidualBlock(8, attn=("se", {"squeeze_channels": 3}))
    assert pair.attn.squeeze_channels == 3


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
@pytest.mark.parametrize("what", ["norm", "attn"])
def test_what_an_unknown_layer_keeps_is_not_overwritten(what: str, block: type) -> None:
    # Tanh needs its output in the backward pass; a sum in place would destroy it.
    made = block(8, **{what: lambda channels: nn.Tanh()})
    randomize(made)(waves(2, 8, 6, 6)).square().sum().backward()
    assert made.conv1.conv.weight.grad.abs().sum() > 0


def test_bottleneck_width() -> None:
    assert BottleneckBlock(256).bottleneck_channels == 64
    assert BottleneckBlock(64, 256, groups=32, base_width=4).bottleneck_channels == 128
    assert BottleneckBlock(64, 256, bottleneck_channels=48, groups=4).bottleneck_channels == 48
    assert BottleneckBlock(2).bottleneck_channels == 1
    with pytest.raises(ValueError, match="bottleneck_channels=50 is not divisible by groups=4"):
        BottleneckBlock(64, 256, bottleneck_channels=50, groups=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortcut": "avgg"}, "unknown shortcut 'avgg'; choose from conv, avg"),
        ({"attn": "es"}, "unknown attn 'es'; choose from se"),
        ({"stride": 0}, "stride must be a positive integer, got 0"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1, got 1.0"),
        ({"out_channels": 0}, "out_channels must be a positive integer"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    for block in (ResidualBlock, BottleneckBlock):
        with pytest.raises(ValueError, match=message):
            block(16, **options)
