from __future__ import annotations

from typing import Any

import pytest
import torch
from block_keys import State, conv_norm_act_keys, renamed
from block_references import assert_same, copy_over, every_dtype, every_mode, randomize, waves
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import ConvBlock, ShapeError

X = torch.linspace(-2, 2, 2 * 8 * 9 * 10).sin().view(2, 8, 9, 10)


@every_dtype
@every_mode
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 5, "dilation": 2, "groups": 4},
        {"kernel_size": 3, "padding": 0},
        {"kernel_size": 3, "bias": True},
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


@every_dtype
@every_mode
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {}),
        ({"stride": 2, "act": "silu"}, {"stride": 2, "act_layer": "silu"}),
        (
            {"groups": 4, "dilation": 2, "act": "gelu"},
            {"groups": 4, "dilation": 2, "act_layer": "gelu"},
        ),
        ({"act": None}, {"apply_act": False}),
    ],
)
def test_equals_timm(
    options: dict[str, Any], theirs: dict[str, Any], training: bool, dtype: torch.dtype
) -> None:
    import_timm()
    from timm.layers import ConvNormAct

    ours, reference = ConvBlock(8, 16, **options, dtype=dtype), ConvNormAct(8, 16, 3, **theirs)
    reference.to(dtype)
    copy_over(ours, reference, conv_norm_act_keys)
    ours.train(training), reference.train(training)
    assert_same(ours, reference, X.to(dtype), conv_norm_act_keys)


@every_dtype
@every_mode
def test_preactivation_is_norm_act_conv(training: bool, dtype: torch.dtype) -> None:
    block = ConvBlock(8, 16, 3, 2, order="nac", dtype=dtype).train(training)
    reference = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1))
    reference.to(dtype).train(training)

    def keys(state: State) -> State:
        return renamed(state, (r"^0\.", "norm."), (r"^2\.", "conv."))

    copy_over(block, reference, keys)
    assert_same(block, reference, X.to(dtype), keys)


@pytest.mark.parametrize("padding", [0, 1, (2, 0), "same", "valid"])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("kernel_size", [2, 3, (4, 1)])
def test_padding_is_torchs(kernel_size: Any, padding_mode: Any, padding: Any) -> None:
    options = {"padding": padding, "padding_mode": padding_mode, "dilation": 2}
    block = ConvBlock(8, 6, kernel_size, **options, norm=None, act=None)
    reference = nn.Conv2d(8, 6, kernel_size, **options)
    reference.load_state_dict(randomize(block).conv.state_dict())
    wanted = reference(X)
    assert torch.equal(block(X), wanted)
    assert block.output_shape(X.shape) == wanted.shape
    if padding == "same":
        assert wanted.shape[2:] == X.shape[2:]


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


@pytest.mark.parametrize(
    ("options", "folded"),
    [
        ({}, True),
        ({"bias": True, "groups": 2, "act": "silu"}, True),
        ({"order": "nac"}, False),
        ({"norm": "group"}, False),
        ({"norm": ("batch", {"track_running_stats": False})}, False),
        ({"norm": None}, False),
    ],
)
@every_dtype
def test_fuse_changes_no_value(options: dict[str, Any], folded: bool, dtype: torch.dtype) -> None:
    block = randomize(ConvBlock(8, 16, **options, dtype=dtype)).eval()
    x = X.to(dtype)
    wanted, norm = block(x), block.norm
    assert block.fuse() is block
    assert (block.norm is None) == (folded or norm is None)
    assert torch.equal(block(x), wanted) != folded  # folded weights round differently
    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    assert (block(x) - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert block.output_shape(x.shape) == wanted.shape
    again = block(x)
    assert torch.equal(block.fuse()(x), again)


def test_fuse_needs_eval_mode() -> None:
    block = ConvBlock(8, 16)
    with pytest.raises(
        ValueError, match=r"ConvBlock.fuse\(\) needs eval mode; call eval\(\) first"
    ):
        block.fuse()
    assert block.norm is not None


def test_samples_do_not_see_each_other_in_eval() -> None:
    block = randomize(ConvBlock(8, 16, stride=2)).eval()
    x = waves(5, 8, 9, 10)
    alone = torch.cat([block(each[None]) for each in x])
    torch.testing.assert_close(block(x), alone, rtol=1e-6, atol=1e-6)
    changed = x.clone()
    changed[2] += 1
    assert torch.equal((block(changed) != block(x)).flatten(1).any(1), torch.arange(5) == 2)


@pytest.mark.parametrize("dim", [2, 3])
def test_symmetric_kernels_are_equivariant_to_flips(dim: int) -> None:
    block = randomize(ConvBlock(8, 16, 5)).eval()
    with torch.no_grad():
        block.conv.weight += block.conv.weight.flip(dim)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        block, x = block.to(dtype), waves(2, 8, 9, 10, dtype=dtype)
        wanted = block(x).flip(dim)
        assert (block(x.flip(dim)) - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert not torch.allclose(block(x.flip(5 - dim)), block(x).flip(5 - dim), atol=1e-2)
