from __future__ import annotations

import pickle

import pytest
import torch

from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    ResidualBlock,
    ShapeError,
    SqueezeExcite,
)


def test_message_names_block_pattern_dimension_and_remedy() -> None:
    with pytest.raises(ShapeError) as caught:
        ConvBlock(64, 8)(torch.zeros(2, 32, 32, 3))
    assert str(caught.value) == (
        "ConvBlock: expected (B, C=64, H, W), got (2, 32, 32, 3)\n"
        "  C: wanted 64, got 32 (dim 1)\n"
        "  hint: looks channels-last (N,H,W,C); try x.permute(0, 3, 1, 2)"
    )
    assert caught.value.expected == "(B, C=64, H, W)"
    assert caught.value.actual == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("shape", "reason", "hint"),
    [
        ((2, 8, 9, 16), "C: wanted 16, got 8 (dim 1)", "x.permute(0, 3, 1, 2)"),
        ((2, 8, 9, 10), "C: wanted 16, got 8 (dim 1)", None),
        ((2, 32, 16, 16), "C: wanted 16, got 32 (dim 1)", None),
        ((16, 9, 10), "no batch dimension: 3 dimensions, wanted 4", "x.unsqueeze(0)"),
        ((2, 9, 16), "no batch dimension: 3 dimensions, wanted 4", "tokens (B, N, C)"),
        ((2, 16), "2 dimensions, wanted 4", None),
        ((1, 2, 16, 3, 3), "5 dimensions, wanted 4", None),
    ],
)
@pytest.mark.parametrize(
    "block",
    [ConvBlock(16, 4), ResidualBlock(16), BottleneckBlock(16), SqueezeExcite(16)],
    ids=lambda block: type(block).__name__,
)
def test_cause_and_remedy(
    block: torch.nn.Module, shape: tuple[int, ...], reason: str, hint: str | None
) -> None:
    for refuse in (lambda: block(torch.zeros(shape)), lambda: block.output_shape(shape)):
        with pytest.raises(ShapeError) as caught:
            refuse()
        error = caught.value
        assert (error.block, error.reason) == (type(block).__name__, reason)
        assert error.hint is None if hint is None else hint in error.hint


def test_is_a_value_error_that_crosses_processes() -> None:
    error = ShapeError("ConvBlock", "(B, C=64, H, W)", (1, 2), reason="why", hint="do")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ValueError)
    assert (str(again), again.actual, again.hint) == (str(error), (1, 2), "do")
