"""Pre-activation blocks against timm's ResNetV2."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from block_keys import resnetv2_stage_keys
from block_references import assert_same, copy_over, every_dtype, every_mode, randomize, waves
from torch import Tensor, nn
from zoo_stub import import_timm

from blocktool.blocks import PreActBlock, PreActBottleneck, Stage

every_block = pytest.mark.parametrize("block", [PreActBlock, PreActBottleneck])


def _timm_stage(model: str, number: int) -> nn.Module:
    """Only the stage that is wanted is given values."""
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        # Random numbers on meta load a second's worth of torch's decompositions.
        for method in ("normal_", "uniform_"):
            patch.setattr(Tensor, method, lambda tensor, *_, **__: tensor)
        stage = import_timm().create_model(model, pretrained=False).stages[number - 1]
    stage.to_empty(device="cpu")
    for module in stage.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return stage


@every_dtype
@every_mode
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_bottleneck_stage_equals_timms_resnetv2_50(
    number: int, training: bool, dtype: torch.dtype
) -> None:
    theirs = _timm_stage("resnetv2_50", number).to(dtype).train(training)
    before, width = (64 if number == 1 else 128 * 2 ** (number - 1)), 128 * 2**number
    stride = 1 if number == 1 else 2
    theirs.blocks = theirs.blocks[:2]  # those that follow are like the second
    ours = Stage(PreActBottleneck, 2, before, width, stride=stride, dtype=dtype)
    copy_over(ours.train(training), theirs, resnetv2_stage_keys)
    x = waves(2, before, 7, 6, dtype=dtype)
    assert_same(ours, theirs, x, resnetv2_stage_keys)


@every_dtype
@every_mode
def test_basic_stage_equals_timms_resnetv2_18(training: bool, dtype: torch.dtype) -> None:
    theirs = _timm_stage("resnetv2_18", 2).to(dtype).train(training)
    ours = Stage(PreActBlock, 2, 64, 128, dtype=dtype).train(training)
    copy_over(ours, theirs, resnetv2_stage_keys)
    assert_same(ours, theirs, waves(2, 64, 9, 8, dtype=dtype), resnetv2_stage_keys)


@every_mode
@pytest.mark.parametrize(
    ("model", "block", "widths"),
    [("resnetv2_18d", PreActBlock, (64, 128)), ("resnetv2_50d", PreActBottleneck, (256, 512))],
)
def test_averaged_shortcut_equals_timms(
    model: str, block: type, widths: tuple[int, int], training: bool
) -> None:
    theirs = _timm_stage(model, 2).train(training)
    ours = Stage(block, len(theirs.blocks), *widths, shortcut="avg").train(training)
    copy_over(ours, theirs, resnetv2_stage_keys)
    assert_same(ours, theirs, waves(2, widths[0], 9, 8), resnetv2_stage_keys)


@every_block
def test_is_the_papers_formula(block: type) -> None:
    """The identity takes raw x, the projection what is normed and activated."""
    for stride in (1, 2):
        made = randomize(block(16, stride=stride)).eval()
        x = waves(2, 16, 8, 9)
        ready = torch.relu(made.norm(x))
        out = made.conv1(ready)
        for conv in (made.conv2, *([made.conv3] if block is PreActBottleneck else [])):
            out = conv.conv(torch.relu(conv.norm(out)))
        shortcut = x if made.shortcut is None else made.shortcut.conv(ready)
        assert (made.shortcut is None) == (stride == 1)
        assert torch.equal(made(x), out + shortcut)


@every_block
def test_starts_as_the_identity_unless_told_otherwise(block: type) -> None:
    x = waves(2, 16, 5, 5)
    assert torch.equal(block(16).eval()(x), x)
    assert not torch.equal(block(16, zero_init_last=False).eval()(x), x)
    made = randomize(block(16))
    assert not torch.equal(made.eval()(x), x)
    made.reset_parameters()
    assert torch.equal(made(x), x)


@every_block
def test_input_stays_as_it_was(block: type) -> None:
    for norm in ("batch", None, "group"):
        x = waves(2, 16, 6, 6) - 0.2
        before = x.clone()
        randomize(block(16, norm=norm, zero_init_last=False))(x)
        assert torch.equal(x, before)


@every_block
def test_what_an_unknown_attention_keeps_is_not_overwritten(block: type) -> None:
    # Tanh needs its output in the backward pass; a sum in place would destroy it.
    made = randomize(block(16, attn=lambda channels: nn.Tanh()))
    made(waves(2, 16, 6, 6)).sum().backward()
    assert made.norm.weight.grad.abs().sum() > 0


@every_block
@pytest.mark.parametrize("shortcut", ["conv", "avg"])
@pytest.mark.parametrize(("width", "stride"), [(16, 2), (24, 1), (24, 2), (16, 3)])
@pytest.mark.parametrize("size", [(8, 9), (1, 1), (7, 3)])
def test_projects_where_the_shape_changes(
    block: type, shortcut: Any, width: int, stride: int, size: tuple[int, int]
) -> None:
    made = block(16, width, stride=stride, shortcut=shortcut)
    x = torch.zeros(2, 16, *size)
    assert made.shortcut is not None
    assert made(x).shape == made.output_shape(x.shape)


def test_layer_scale_and_attention_end_the_branch() -> None:
    made = randomize(PreActBottleneck(16, 32, attn="se", layer_scale=0.5)).eval()
    x = waves(2, 16, 8, 9)
    ready = torch.relu(made.norm(x))
    branch = made.attn(made.conv3(made.conv2(made.conv1(ready))))
    wanted = branch * made.layer_scale.gamma + made.shortcut(ready)
    torch.testing.assert_close(made(x), wanted, rtol=0, atol=0)


def test_bottleneck_widths() -> None:
    assert PreActBottleneck(64, 256, groups=32, base_width=4).bottleneck_channels == 128
    assert PreActBottleneck(64, 256, bottleneck_channels=48, groups=4).bottleneck_channels == 48
    with pytest.raises(ValueError, match="bottleneck_channels=50 is not divisible by groups=4"):
        PreActBottleneck(64, 256, bottleneck_channels=50, groups=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortcut": "avgg"}, "unknown shortcut 'avgg'; choose from conv, avg"),
        ({"stride": 0}, "stride must be a positive integer, got 0"),
        ({"dilation": 0}, "dilation must be a positive integer, got 0"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1, got 1.0"),
        ({"norm": "bacth"}, "unknown norm 'bacth'; .*did you mean 'batch'"),
    ],
)
@every_block
def test_bad_arguments(block: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(16, **options)


def test_autocast_does_not_round_the_sum() -> None:
    block = PreActBlock(16).eval()  # as built, the identity
    x = torch.rand(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(block(x), x)
