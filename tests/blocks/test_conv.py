from __future__ import annotations

from typing import Any

import pytest
import torch
from block_keys import conv_norm_act_keys
from block_references import assert_same, copy_over
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import ConvBlock, ShapeError

X = torch.linspace(-2, 2, 2 * 8 * 9 * 10).sin().view(2, 8, 9, 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 5, "dilation": 2, "groups": 4},
        {"kernel_size": 3, "padding": 0},
    ],
)
def test_equals_torchvision(options: dict[str, Any], training: bool, dtype: torch.dtype) -> None:
    import_torchvision()
    from torchvision.ops import Conv2dNormActivation

    ours = ConvBlock(8, 16, **options, dtype=dtype)
    theirs = Conv2dNormActivation(8, 16, **options).to(dtype)
    copy_over(ours, theirs, conv_norm_act_keys)
    ours.train(training), theirs.train(training)
    assert_same(ours, theirs, X.to(dtype), conv_norm_act_keys)


def test_equals_timm() -> None:
    import_timm()
    from timm.layers import ConvNormAct

    ours, theirs = (
        ConvBlock(8, 16, stride=2, act="silu"),
        ConvNormAct(8, 16, 3, 2, act_layer="silu"),
    )
    copy_over(ours, theirs, conv_norm_act_keys)
    assert_same(ours, theirs, X, conv_norm_act_keys)


def test_preactivation_is_norm_act_conv() -> None:
    block = ConvBlock(8, 16, 3, 2, order="nac").eval()
    with torch.no_grad():
        block.norm.weight.uniform_(0.5, 2.0)
        block.norm.bias.uniform_(-1.0, 1.0)
        block.norm.running_mean.uniform_(-1.0, 1.0)
    conv = nn.Conv2d(8, 16, 3, 2, 1)
    conv.load_state_dict(block.conv.state_dict())
    reference = nn.Sequential(block.norm, nn.ReLU(), conv)
    torch.testing.assert_close(block(X), reference(X), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "wanted"),
    # timm's and torch's symmetric padding turn 32 into 17 for (2, 2).
    [(2, 2, 16), (4, 2, 16), (4, 4, 8), (3, 2, 16), (7, 2, 16), (1, 2, 16), (3, 1, 32), (5, 3, 11)],
)
def test_default_padding_never_adds(kernel_size: int, stride: int, wanted: int) -> None:
    block = ConvBlock(3, 4, kernel_size, stride)
    assert block(torch.zeros(1, 3, 32, 32)).shape == (1, 4, wanted, wanted)


def test_padding_zero_is_zero() -> None:
    assert ConvBlock(3, 4, 3, padding=0)(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 6, 6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": (3, 5), "stride": (1, 2), "dilation": (2, 1)},
        {"padding": "same", "kernel_size": 4, "padding_mode": "reflect"},
        {"padding": "valid", "kernel_size": (5, 2)},
        {"padding": (0, 3), "stride": 3},
    ],
)
def test_output_shape_is_that_of_forward(options: dict[str, Any]) -> None:
    block = ConvBlock(8, 16, **options)
    assert block(X).shape == block.output_shape(X.shape)


def test_refuses_a_map_that_is_smaller_than_the_kernel() -> None:
    block = ConvBlock(8, 16, 7, padding=1).eval()
    for refuse in (
        lambda: block(torch.zeros(1, 8, 4, 9)),
        lambda: block.output_shape((1, 8, 4, 9)),
    ):
        with pytest.raises(ShapeError, match="H: wanted at least 5, got 4") as caught:
            refuse()
        assert caught.value.expected == "(B, C=8, H>=5, W>=5)"
    assert block.output_shape((1, 8, 5, 5)) == block(torch.zeros(1, 8, 5, 5)).shape


def test_bias_is_there_exactly_where_no_norm_follows() -> None:
    assert ConvBlock(3, 4).conv.bias is None
    assert ConvBlock(3, 4, norm=None).conv.bias is not None
    assert ConvBlock(3, 4, order="nac").conv.bias is not None
    assert ConvBlock(3, 4, bias=True).conv.bias is not None
    assert ConvBlock(3, 4, norm=None, bias=False).conv.bias is None


@pytest.mark.parametrize("norm", ["batch", None])
def test_input_stays_as_it_was(norm: Any) -> None:
    for order in ("cna", "nac"):
        x = X.clone()
        ConvBlock(8, 8, norm=norm, order=order)(x)
        assert torch.equal(x, X)


def test_unknown_norm_that_needs_its_output_is_not_overwritten() -> None:
    # tanh needs its output in the backward pass: an activation in place behind it would fail.
    block = ConvBlock(8, 8, norm=lambda channels: nn.Tanh(), act="relu")
    block(X).sum().backward()
    assert block.conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 3}, "in_channels=8 is not divisible by groups=3"),
        ({"groups": 8, "out_channels": 12}, "out_channels=12 is not divisible by groups=8"),
        ({"kernel_size": 0}, "kernel_size must be a positive integer, got 0"),
        ({"stride": -1}, "stride must be a positive integer, got -1"),
        ({"in_channels": 0}, "in_channels must be a positive integer, got 0"),
        ({"out_channels": 2.0}, "out_channels must be a positive integer, got 2.0"),
        ({"order": "acn"}, "unknown order 'acn'; choose from cna, nac"),
        ({"norm": "bacth"}, r"unknown norm 'bacth'; choose from batch.*did you mean 'batch'"),
        ({"act": "rleu"}, r"unknown act 'rleu'; choose from .*did you mean 'relu'"),
        ({"act": nn.ReLU()}, "act must be a class"),
        ({"norm": 3}, "norm must be a name, a callable"),
        ({"norm": ("group", 4)}, "norm as a pair is"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvBlock(**{"in_channels": 8, "out_channels": 8, **options})


def test_repr_says_what_matters() -> None:
    assert ConvBlock(3, 8).extra_repr() == "3, 8"
    assert "order='nac'" in repr(ConvBlock(3, 8, order="nac"))
    assert "None" not in repr(ConvBlock(3, 8, norm=None, act=None))
