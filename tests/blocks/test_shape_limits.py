"""Maps that are too small for a kernel or a norm: torch refuses, and the block says why."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch

from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    DepthwiseSeparableConv,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    ShapeError,
)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda norm: ConvBlock(8, 8, norm=norm), None),
        (lambda norm: ConvBlock(8, 8, norm=norm, order="nac"), None),
        (lambda norm: DepthwiseSeparableConv(8, 8, norm=norm), "depthwise"),
        (lambda norm: ResidualBlock(8, norm=norm), "conv1"),
        (lambda norm: BottleneckBlock(8, norm=norm), "conv1"),
        (lambda norm: PreActBlock(8, norm=norm), None),
        (lambda norm: PreActBottleneck(8, norm=norm), None),
    ],
)
def test_batch_norm_in_training_needs_two_values(make: Callable[..., Any], path: str) -> None:
    block = make("batch")
    one, two = torch.zeros(1, 8, 1, 1), torch.zeros(2, 8, 1, 1)
    with pytest.raises(ShapeError) as caught:
        block(one)
    error = caught.value
    wanted = "batch norm in training needs more than one value for each channel, got 1"
    assert (error.reason, error.path, error.actual) == (wanted, path, (1, 8, 1, 1))
    assert error.hint == "a larger batch or map, eval mode, or norm='layer'"
    # Each remedy is one.
    assert block(two).shape == two.shape
    assert block.eval()(one).shape == one.shape
    assert make("layer")(one).shape == one.shape
    assert block.output_shape(one.shape) == one.shape


@pytest.mark.parametrize("make", [ConvBlock, PreActBlock])
def test_group_norm_of_one_value(make: Callable[..., Any]) -> None:
    # In eval mode as well.
    block = make(8, 8, norm="group").eval()
    with pytest.raises(ShapeError, match="needs more than one value for each group, got 1"):
        block(torch.zeros(1, 8, 1, 1))
    assert block(torch.zeros(1, 8, 2, 1)).shape == (1, 8, 2, 1)
    fewer = make(8, 8, norm=("group", {"num_groups": 4}))
    assert fewer(torch.zeros(1, 8, 1, 1)).shape == (1, 8, 1, 1)


@pytest.mark.parametrize("make", [ConvBlock, PreActBlock])
def test_instance_norm_needs_two_positions(make: Callable[..., Any]) -> None:
    block = make(8, 8, norm="instance")
    with pytest.raises(ShapeError, match="instance norm needs more than one position, got 1"):
        block(torch.zeros(4, 8, 1, 1))
    assert block(torch.zeros(4, 8, 1, 2)).shape == (4, 8, 1, 2)


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({"kernel_size": 7, "padding": 1}, (1, 8, 4, 9), "H: wanted at least 5, got 4 (dim 2)"),
        ({"kernel_size": 7, "padding": 1}, (1, 8, 9, 4), "W: wanted at least 5, got 4 (dim 3)"),
        ({"padding": 0}, (1, 8, 2, 3), "H: wanted at least 3, got 2 (dim 2)"),
        ({"padding": 3, "padding_mode": "reflect"}, (1, 8, 3, 9), "H: wanted at least 4, got 3"),
        ({"padding": 3, "padding_mode": "circular"}, (1, 8, 9, 2), "W: wanted at least 3, got 2"),
        ({}, (1, 8, 0, 5), "H: wanted at least 1, got 0 (dim 2)"),
    ],
)
def test_a_kernel_larger_than_the_map(
    options: dict[str, Any], shape: tuple[int, ...], reason: str
) -> None:
    block = ConvBlock(8, 8, **options).eval()
    for refuse in (lambda: block(torch.zeros(shape)), lambda: block.output_shape(shape)):
        with pytest.raises(ShapeError) as caught:
            refuse()
        assert caught.value.reason.startswith(reason)
    # The size it asks for is enough.
    least = int(reason.split("least ")[1].split(",")[0])
    enough = [max(size, least) for size in shape[2:]]
    assert block(torch.zeros(1, 8, *enough)).shape == block.output_shape((1, 8, *enough))


def test_another_error_of_torchs_stays_what_it_is() -> None:
    block = ConvBlock(8, 8)
    with pytest.raises(RuntimeError, match=r"(?i)double") as caught:
        block(torch.zeros(1, 8, 4, 4, dtype=torch.float64))
    assert not isinstance(caught.value, ShapeError)


def test_torchs_error_is_the_cause() -> None:
    with pytest.raises(ShapeError) as caught:
        ConvBlock(8, 8)(torch.zeros(1, 8, 1, 1))
    assert "Expected more than 1 value" in str(caught.value.__cause__)
    assert "Expected more than 1 value" in "".join(traceback.format_exception(caught.value))
