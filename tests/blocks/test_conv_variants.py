"""Depthwise separable, grouped and dilated convolutions against other libraries and by algebra."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from block_keys import State, renamed
from block_references import (
    assert_same,
    copy_over,
    every_dtype,
    every_mode,
    randomize,
    waves,
    whole,
)
from torch import Tensor, nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import ConvBlock, DepthwiseSeparableConv, DilatedConv, GroupedConv, ShapeError


def _timm_keys(state: State) -> State:
    return renamed(
        state,
        (r"^conv_dw\.", "depthwise.conv."),
        (r"^bn1\.", "depthwise.norm."),
        (r"^conv_pw\.", "pointwise.conv."),
        (r"^bn2?\.", "pointwise.norm."),
    )


def _pair_keys(state: State) -> State:
    return renamed(
        state,
        (r"^0\.", "depthwise."),
        (r"^1\.", "pointwise."),
        (r"\.0\.", ".conv."),
        (r"\.1\.", ".norm."),
    )


SHAPES = [{}, {"stride": 2}, {"kernel_size": 5, "dilation": 2}]


@every_dtype
@every_mode
@pytest.mark.parametrize("options", SHAPES)
def test_separable_equals_timm(options: dict[str, Any], training: bool, dtype: torch.dtype) -> None:
    import_timm()
    from timm.models._efficientnet_blocks import DepthwiseSeparableConv as Reference

    theirs = dict(options)
    if "kernel_size" in theirs:
        theirs["dw_kernel_size"] = theirs.pop("kernel_size")
    reference = Reference(8, 8, **theirs, noskip=True, pw_act=True, dtype=dtype)
    ours = DepthwiseSeparableConv(8, 8, **options, dtype=dtype)
    copy_over(ours, reference, _timm_keys)
    ours.train(training), reference.train(training)
    assert_same(ours, reference, waves(2, 8, 9, 10, dtype=dtype), _timm_keys)


@every_dtype
@every_mode
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"kernel_size": 5, "dilation": 2}])
def test_separable_equals_two_of_torchvisions(
    options: dict[str, Any], training: bool, dtype: torch.dtype
) -> None:
    import_torchvision()
    from torchvision.ops import Conv2dNormActivation

    theirs = nn.Sequential(
        Conv2dNormActivation(8, 8, **options, groups=8), Conv2dNormActivation(8, 12, 1)
    )
    theirs.to(dtype)
    ours = DepthwiseSeparableConv(8, 12, **options, dtype=dtype)
    copy_over(ours, theirs, _pair_keys)
    ours.train(training), theirs.train(training)
    assert_same(ours, theirs, waves(2, 8, 9, 10, dtype=dtype), _pair_keys)


@every_mode
@pytest.mark.parametrize("multiplier", [1, 3])
def test_separable_without_anything_between_equals_timm(multiplier: int, training: bool) -> None:
    import_timm()
    from timm.layers import SeparableConvNormAct

    theirs = SeparableConvNormAct(8, 12, 3, stride=2, channel_multiplier=multiplier)
    options: dict[str, Any] = {"mid_norm": False, "mid_act": False, "bias": False}
    ours = DepthwiseSeparableConv(8, 12, 3, 2, depth_multiplier=multiplier, **options)
    copy_over(ours, theirs, _timm_keys)
    ours.train(training), theirs.train(training)
    assert_same(ours, theirs, waves(2, 8, 9, 10), _timm_keys)


@pytest.mark.parametrize("mid_norm", [True, False])
@pytest.mark.parametrize("mid_act", [True, False])
def test_separable_is_what_its_arguments_say(mid_norm: bool, mid_act: bool) -> None:
    block = DepthwiseSeparableConv(8, 12, mid_norm=mid_norm, mid_act=mid_act, act="silu")
    randomize(block).eval()
    layers = [block.depthwise.conv]
    assert (block.depthwise.norm is not None) == mid_norm
    assert (block.depthwise.act is not None) == mid_act
    layers += [block.depthwise.norm] if mid_norm else []
    layers += [nn.SiLU()] if mid_act else []
    layers += [block.pointwise.conv, block.pointwise.norm, nn.SiLU()]
    x = waves(2, 8, 9, 10)
    assert torch.equal(block(x), nn.Sequential(*layers)(x))


def test_separable_repeats_each_channel_in_place() -> None:
    # Filters of one channel stand beside each other, as torch's groups have it.
    block = DepthwiseSeparableConv(3, 6, depth_multiplier=2, norm=None, act=None)
    x = waves(1, 3, 6, 6)
    changed = x.clone()
    changed[:, 1] += 1
    moved = (block.depthwise(changed) - block.depthwise(x)).abs().amax((0, 2, 3)) > 0
    assert moved.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize("padding", [0, 2, (1, 0), "same"])
def test_padding_is_the_depthwise_convolutions_alone(padding: Any) -> None:
    block = DepthwiseSeparableConv(8, 12, padding=padding)
    x = waves(2, 8, 9, 10)
    wanted = nn.Conv2d(8, 8, 3, padding=padding)(x).shape[2:]
    assert block(x).shape[2:] == wanted
    assert block(x).shape == block.output_shape(x.shape)
    assert block.pointwise.conv.padding == (0, 0)


def _block_diagonal(weight: Tensor, groups: int, in_channels: int) -> Tensor:
    """The weight of a dense convolution that does what a grouped one does."""
    out_channels, width = weight.shape[:2]
    dense = weight.new_zeros(out_channels, in_channels, *weight.shape[2:])
    rows = out_channels // groups
    for group in range(groups):
        row, column = group * rows, group * width
        dense[row : row + rows, column : column + width] = weight[row : row + rows]
    return dense


@every_dtype
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_grouped_is_a_block_diagonal_dense_convolution(groups: int, dtype: torch.dtype) -> None:
    grouped = GroupedConv(8, 16, groups=groups, stride=2, norm=None, act=None, dtype=dtype)
    dense = nn.Conv2d(8, 16, 3, 2, 1, dtype=dtype)
    with torch.no_grad():
        grouped.conv.weight.copy_(whole(16, 8 // groups, 3, 3, seed=1))
        grouped.conv.bias.copy_(whole(16, seed=2))
        dense.weight.copy_(_block_diagonal(grouped.conv.weight, groups, 8))
        dense.bias.copy_(grouped.conv.bias)
    # In whole numbers no order of the sums rounds, so that on no machine may a bit differ.
    x = whole(2, 8, 9, 10, dtype=dtype)
    assert torch.equal(grouped(x), dense(x))
    x = waves(2, 8, 9, 10, dtype=dtype)
    close = 1e-6 if dtype is torch.float32 else 1e-14
    torch.testing.assert_close(grouped(x), dense(x), rtol=close, atol=10 * close)


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_shuffle_is_shufflenets(groups: int) -> None:
    import_torchvision()
    from torchvision.models.shufflenetv2 import channel_shuffle

    shuffled = GroupedConv(8, 16, groups=groups, shuffle=True).eval()
    plain = GroupedConv(8, 16, groups=groups).eval()
    plain.load_state_dict(randomize(shuffled).state_dict())
    x = waves(2, 8, 9, 10)
    assert torch.equal(shuffled(x), channel_shuffle(plain(x), groups))
    assert shuffled.output_shape(x.shape) == shuffled(x).shape


@pytest.mark.parametrize("shuffle", [True, False])
def test_after_a_shuffle_the_next_grouped_convolution_sees_all_groups(shuffle: bool) -> None:
    pair = nn.Sequential(
        GroupedConv(8, 8, groups=2, shuffle=shuffle, act=None), GroupedConv(8, 8, groups=2)
    )
    randomize(pair).eval()
    x = waves(1, 8, 6, 6)
    changed = x.clone()
    changed[:, 0] += 1
    moved = (pair(changed) - pair(x)).abs().amax((0, 2, 3)) > 0
    assert moved[4:].any().item() is shuffle


@every_dtype
@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 2), (3, 5), ((3, 2), (2, 3))])
def test_dilated_is_a_zero_stuffed_kernel(
    kernel_size: Any, dilation: Any, dtype: torch.dtype
) -> None:
    block = DilatedConv(8, 6, kernel_size, dilation=dilation, norm=None, act=None, dtype=dtype)
    steps = (dilation, dilation) if isinstance(dilation, int) else dilation
    kernel = block.conv.kernel_size
    span = [step * (size - 1) + 1 for step, size in zip(steps, kernel, strict=True)]
    dense = nn.Conv2d(8, 6, span, padding=[(size - 1) // 2 for size in span], dtype=dtype)
    tolerance = 7e-7 if dtype is torch.float32 else 1e-14
    for weight, x, exact in (
        (whole(*block.conv.weight.shape, seed=1), whole(2, 8, 13, 12, dtype=dtype), True),
        (block.conv.weight.detach().clone(), waves(2, 8, 13, 12, dtype=dtype), False),
    ):
        with torch.no_grad():
            block.conv.weight.copy_(weight)
            dense.weight.zero_()[:, :, :: steps[0], :: steps[1]] = block.conv.weight
            dense.bias.copy_(block.conv.bias)
        mine, wanted = block(x), dense(x)
        assert mine.shape == block.output_shape(x.shape)
        if exact:
            assert torch.equal(mine, wanted)
        else:
            assert (mine - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (DilatedConv(8, 16, order="nac", groups=2), {"dilation": 2, "order": "nac", "groups": 2}),
        (GroupedConv(8, 16, 5, 2, groups=4, act="silu"), {"kernel_size": 5, "groups": 4}),
    ],
)
def test_arguments_are_passed_on(ours: ConvBlock, plain: dict[str, Any]) -> None:
    reference = ConvBlock(8, 16, stride=ours.stride, act=ours.arguments.get("act", "relu"), **plain)
    copy_over(ours, reference)
    assert_same(ours, reference, waves(2, 8, 9, 10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroupedConv(8, 16, groups=3), "in_channels=8 is not divisible by groups=3"),
        (lambda: GroupedConv(8, 15, groups=4), "out_channels=15 is not divisible by groups=4"),
        (lambda: DilatedConv(8, 8, dilation=0), "dilation must be a positive integer, got 0"),
        (lambda: DepthwiseSeparableConv(0, 8), "in_channels must be a positive integer, got 0"),
        (
            lambda: DepthwiseSeparableConv(8, 8, depth_multiplier=0),
            "depth_multiplier must be a positive integer, got 0",
        ),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [DepthwiseSeparableConv, DilatedConv])
def test_a_map_that_is_too_small(kind: Any) -> None:
    block = kind(8, 8, kernel_size=5, padding=0, dilation=2)
    for refuse in (
        lambda: block(torch.zeros(1, 8, 8, 9)),
        lambda: block.output_shape((1, 8, 8, 9)),
    ):
        with pytest.raises(ShapeError, match="H: wanted at least 9, got 8"):
            refuse()
