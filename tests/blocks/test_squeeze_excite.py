"""Squeeze-and-excitation against torchvision's and timm's, and by algebra."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from block_references import assert_same, copy_over, every_dtype, randomize, waves
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import ShapeError, SqueezeExcite


@every_dtype
@pytest.mark.parametrize("size", [(5, 6), (1, 1), (64, 3)])
def test_equals_torchvisions(size: tuple[int, int], dtype: torch.dtype) -> None:
    import_torchvision()
    from torchvision.ops import SqueezeExcitation

    ours, theirs = SqueezeExcite(48, squeeze_channels=12), SqueezeExcitation(48, 12)
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    copy_over(ours, theirs)
    assert_same(ours, theirs, waves(3, 48, *size, dtype=dtype))


@every_dtype
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {}),
        ({"squeeze_channels": 5}, {"rd_channels": 5}),
        ({"reduction": 4, "divisor": 1}, {"rd_ratio": 1 / 4, "rd_divisor": 1}),
        (
            {"act": "silu", "gate": "hardsigmoid"},
            {"act_layer": nn.SiLU, "gate_layer": "hard_sigmoid"},
        ),
    ],
)
def test_equals_timms(options: dict[str, Any], theirs: dict[str, Any], dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import SqueezeExcite as Reference

    ours, reference = SqueezeExcite(48, **options, dtype=dtype), Reference(48, **theirs).to(dtype)
    copy_over(ours, reference)
    # They take the mean with another function, which adds in another order.
    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    x = waves(3, 48, 5, 6, dtype=dtype)
    assert_same(ours, reference, x, tolerance=tolerance, gradients=10 * tolerance)


@every_dtype
def test_zeroed_it_halves(dtype: torch.dtype) -> None:
    block = randomize(SqueezeExcite(48, dtype=dtype))
    nn.init.zeros_(block.fc2.weight), nn.init.zeros_(block.fc2.bias)
    x = waves(2, 48, 5, 6, dtype=dtype)
    assert torch.equal(block(x), x / 2)


def test_scales_each_channel_of_each_sample_by_one_factor() -> None:
    block = randomize(SqueezeExcite(16))
    x = waves(3, 16, 5, 6) + 2
    factors = (block(x) / x).flatten(2)
    torch.testing.assert_close(factors, factors[..., :1].expand_as(factors))
    assert factors[..., 0].unique().numel() == 3 * 16
    assert ((factors > 0) & (factors < 1)).all()


def test_shape_errors() -> None:
    block = SqueezeExcite(16)
    with pytest.raises(ShapeError, match="C: wanted 16, got 8"):
        block(torch.zeros(2, 8, 4, 4))
    with pytest.raises(ValueError, match="squeeze_channels must be a positive integer, got 0"):
        SqueezeExcite(16, squeeze_channels=0)
