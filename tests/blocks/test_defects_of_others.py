"""Defects that other libraries have or had, each with a test that ours do not.

Where the other library is at hand, the test shows the defect in it first.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from block_references import randomize, waves
from torch import Tensor, nn
from zoo_stub import import_timm, import_torchvision

import blocktool.blocks
from blocktool.blocks import (
    AttentionBlock,
    BottleneckBlock,
    ConvBlock,
    CrossAttention,
    DepthwiseSeparableConv,
    DilatedConv,
    FeatureExtractor,
    FeedForward,
    GroupedConv,
    MultiHeadAttention,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    SqueezeExcite,
    Stage,
    TransformerBlock,
)

MAP = waves(2, 16, 8, 8)
TOKENS = MAP.flatten(2).transpose(1, 2)
RATES = {"attn_drop": 0.5, "proj_drop": 0.5}

Make = Callable[..., nn.Module]
BLOCKS: dict[str, tuple[Make, tuple[Tensor, ...]]] = {
    "conv": (partial(ConvBlock, 16, 16), (MAP,)),
    "separable": (partial(DepthwiseSeparableConv, 16, 16), (MAP,)),
    "grouped": (partial(GroupedConv, 16, 16, groups=4, shuffle=True), (MAP,)),
    "dilated": (partial(DilatedConv, 16, 16), (MAP,)),
    "residual": (partial(ResidualBlock, 16, drop_path=0.5, layer_scale=0.5), (MAP,)),
    "bottleneck": (partial(BottleneckBlock, 16, drop_path=0.5), (MAP,)),
    "preact": (partial(PreActBlock, 16, drop_path=0.5), (MAP,)),
    "preact-bottleneck": (partial(PreActBottleneck, 16, drop_path=0.5), (MAP,)),
    "se": (partial(SqueezeExcite, 16), (MAP,)),
    "se-residual": (partial(SEResidualBlock, 16, drop_path=0.5), (MAP,)),
    "multi-head": (partial(MultiHeadAttention, 16, 2, **RATES), (TOKENS,)),
    "self": (partial(SelfAttention, 16, 2, window=3, **RATES), (MAP,)),
    "cross": (partial(CrossAttention, 16, 16, 2, **RATES), (TOKENS, TOKENS.flip(1))),
    "feed-forward": (partial(FeedForward, 16, kind="conv", drop=0.5), (MAP,)),
    "attention-block": (partial(AttentionBlock, 16, 2, drop_path=0.5, **RATES), (MAP,)),
    "transformer": (partial(TransformerBlock, 16, 2, drop_path=0.5, **RATES), (TOKENS,)),
}
every_block = pytest.mark.parametrize(("make", "inputs"), BLOCKS.values(), ids=BLOCKS.keys())


@every_block
def test_nothing_is_dropped_in_eval(make: Make, inputs: tuple[Tensor, ...]) -> None:
    """MONAI's SABlock drops attention weights in eval as well."""
    block = randomize(make()).eval()
    assert torch.equal(block(*inputs), block(*inputs))
    rates = [name for name in make.keywords if "drop" in name]
    plain = make(**dict.fromkeys(rates, 0.0))
    plain.load_state_dict(block.state_dict())
    assert torch.equal(block(*inputs), plain.eval()(*inputs))
    if rates:
        torch.manual_seed(0)
        assert not torch.equal(block.train()(*inputs), block(*inputs))


def test_padding_does_not_reach_the_pointwise_convolution() -> None:
    """timm's SeparableConvNormAct(8, 16, 3, padding=1) turns 16x16 into 18x18."""
    import_timm()
    from timm.layers import SeparableConvNormAct

    x = torch.zeros(1, 8, 16, 16)
    assert SeparableConvNormAct(8, 16, 3, padding=1)(x).shape[2:] == (18, 18)
    assert DepthwiseSeparableConv(8, 16, 3, padding=1)(x).shape[2:] == (16, 16)


def test_an_even_kernel_with_stride_does_not_add_a_row() -> None:
    """Symmetric padding for kernel 2 and stride 2 turns 32 into 17."""
    import_timm()
    from timm.layers import create_conv2d

    x = torch.zeros(1, 3, 32, 32)
    assert create_conv2d(3, 4, 2, stride=2)(x).shape[2:] == (17, 17)
    assert ConvBlock(3, 4, 2, 2)(x).shape[2:] == (16, 16)
    assert DepthwiseSeparableConv(3, 4, 2, 2)(x).shape[2:] == (16, 16)


def test_padding_of_zero_is_not_the_default() -> None:
    """``if not padding`` takes 0 for None."""
    x = torch.zeros(1, 8, 16, 16)
    for block in (
        ConvBlock(8, 8, 3, padding=0),
        DepthwiseSeparableConv(8, 8, 3, padding=0),
        GroupedConv(8, 8, 3, padding=0, groups=2),
    ):
        assert block(x).shape[2:] == (14, 14)
    assert DilatedConv(8, 8, 3, padding=0)(x).shape[2:] == (12, 12)


def test_a_single_block_with_drop_path_is_built() -> None:
    """A rate for each of n blocks as rate * i / (n - 1) divides by zero."""
    import_timm()
    from timm.models.resnet import BasicBlock, make_blocks

    with pytest.raises(ZeroDivisionError):
        make_blocks((BasicBlock,), (16,), (1,), 16, drop_path_rate=0.1)
    config = {"num_stages": 1, "blocks_per_stage": 1, "channels": [16, 24], "drop_path": 0.1}
    assert Stage(ResidualBlock, 1, 16, 24, drop_path=0.1)(MAP).shape == (2, 24, 4, 4)
    assert FeatureExtractor(config).eval()(MAP)[0].shape[1] == 24


def test_drop_path_rates_are_made_on_meta() -> None:
    """``torch.linspace(...).item()`` has no value there."""
    with torch.device("meta"):
        stage = Stage(TransformerBlock, 3, 16, 16, stride=1, drop_path=0.2)
        with pytest.raises(RuntimeError, match="meta"):
            torch.linspace(0, 0.2, 3)[1].item()
    assert [block.drop_path1 and block.drop_path1.drop_prob for block in stage] == [None, 0.1, 0.2]


@pytest.mark.parametrize(
    "block", [ResidualBlock, BottleneckBlock, PreActBlock, PreActBottleneck, SEResidualBlock]
)
def test_stride_at_equal_width_has_a_projection(block: Any) -> None:
    """detectron2's blocks crash, as does torchvision's when it is given none."""
    import_torchvision()
    from torchvision.models.resnet import BasicBlock

    with pytest.raises(RuntimeError, match="must match the size"):
        BasicBlock(16, 16, stride=2)(MAP)
    made = block(16, 16, stride=2)
    assert made(MAP).shape == made.output_shape(MAP.shape) == (2, 16, 4, 4)


def test_arguments_are_not_changed() -> None:
    """Options in a dictionary that a constructor pops from are gone for the next block."""
    norm: Any = ("group", {"num_groups": 4})
    attn: Any = ("se", {"reduction": 4})
    options: dict[str, Any] = {"norm": norm, "attn": attn}
    config: dict[str, Any] = {
        "in_channels": 16,
        "stages": [
            {
                "block": "residual",
                "num_blocks": 1,
                "out_channels": 24,
                "options": copy.deepcopy(options),
            },
            {
                "block": "residual",
                "num_blocks": 2,
                "out_channels": 32,
                "attn": ("se", {"reduction": 4}),
            },
        ],
    }
    before = copy.deepcopy((options, config))
    pairs = [
        [Stage(ResidualBlock, 2, 16, 24, **options) for _ in range(2)],
        [FeatureExtractor(config) for _ in range(2)],
    ]
    assert (options, config) == before
    assert all(repr(one) == repr(other) for one, other in pairs)
    first = pairs[0][0]
    norm[1]["num_groups"] = 2
    assert first[0].conv1.norm.num_groups == 4


def test_no_default_can_be_changed() -> None:
    """A list or dictionary as default is shared by all calls."""
    checked = 0
    for name in blocktool.blocks.__all__:
        exported = getattr(blocktool.blocks, name)
        if isinstance(exported, type) and issubclass(exported, nn.Module):
            for parameter in inspect.signature(exported).parameters.values():
                hash(parameter.default)
                checked += 1
    assert checked > 100


@every_block
@pytest.mark.parametrize("training", [True, False])
def test_no_activation_is_stored(training: bool, make: Make, inputs: tuple[Tensor, ...]) -> None:
    """MONAI's SABlock keeps ``att_mat``, whose graph then stays in memory."""
    block = make().train(training)

    def tensors() -> list[tuple[str, ...]]:
        return [
            (name, attribute, str(key))
            for name, module in block.named_modules()
            for attribute, value in vars(module).items()
            for key, each in _items(value)
            if isinstance(each, Tensor)
        ]

    before = tensors()
    block(*inputs)
    assert tensors() == before


def _items(value: object) -> list[tuple[object, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, (list, tuple)) else [(None, value)]


@pytest.mark.parametrize("channels", [1, 2, 8, 15])
def test_squeezed_channels_are_never_none(channels: int) -> None:
    """segmentation_models_pytorch divides: 8 channels // 16 are none, and the gate is constant."""
    for divisor in (1, 8):
        block = randomize(SqueezeExcite(channels, divisor=divisor))
        assert block.squeeze_channels >= 1
        x = waves(2, channels, 3, 3)
        assert not torch.equal(block(x) / x, block(x + 1) / (x + 1))
    made = SEResidualBlock(channels, reduction=64)
    assert made.attn.squeeze_channels >= 1


@pytest.mark.parametrize("training", [True, False])
def test_a_sample_with_nothing_to_attend_to_gives_no_nan(training: bool) -> None:
    """torch's module gives NaN for a sample of which every key is padding."""
    theirs = nn.MultiheadAttention(16, 2, batch_first=True).train(training)
    keep = torch.tensor([[True] * 64, [False] * 64])
    out, _ = theirs(TOKENS, TOKENS, TOKENS, key_padding_mask=~keep)
    assert out[1].isnan().all()
    mask = keep[:, None, None]
    added = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
    blocks = (
        (MultiHeadAttention(16, 2), (TOKENS,)),
        (SelfAttention(16, 2), (TOKENS,)),
        (CrossAttention(16, 16, 2), (TOKENS, TOKENS)),
        (AttentionBlock(16, 2), (TOKENS,)),
        (TransformerBlock(16, 2), (TOKENS,)),
    )
    for block, inputs in blocks:
        randomize(block).train(training)
        for given in (mask, added):
            leaf = inputs[0].clone().requires_grad_()
            out = block(leaf, *inputs[1:], mask=given)
            out.square().sum().backward()
            assert torch.isfinite(out).all()
            assert torch.isfinite(leaf.grad).all()
