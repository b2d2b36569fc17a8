"""What blocks say when they are given tensors of other shapes, and where."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor, nn

from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    DepthwiseSeparableConv,
    DilatedConv,
    FeatureExtractor,
    FeedForward,
    GroupedConv,
    MultiHeadAttention,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SEResidualBlock,
    ShapeError,
    SqueezeExcite,
    Stage,
    TransformerBlock,
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
    [
        ConvBlock(16, 4),
        DepthwiseSeparableConv(16, 4),
        GroupedConv(16, 4, groups=2),
        DilatedConv(16, 4),
        ResidualBlock(16),
        BottleneckBlock(16),
        PreActBlock(16),
        PreActBottleneck(16),
        SEResidualBlock(16),
        SqueezeExcite(16),
    ],
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


class Model(nn.Module):
    """A user's model, in which blocks lie in containers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), ConvBlock(8, 8))
        self.heads = nn.ModuleDict({"mask": nn.ModuleList([ResidualBlock(8, 16)])})

    def forward(self, x: Tensor) -> Tensor:
        return self.heads["mask"][0](self.stem(x)[:, :4])


@pytest.mark.parametrize(
    ("model", "shape", "path", "block", "expected"),
    [
        (
            nn.Sequential(ConvBlock(3, 8), nn.Identity(), ConvBlock(16, 8)),
            *((1, 3, 4, 4), "2", "ConvBlock", "(B, C=16, H, W)"),
        ),
        (Model(), (1, 3, 6, 6), "heads.mask.0", "ResidualBlock", "(B, C=8, H, W)"),
        (
            FeatureExtractor({"num_stages": 1, "blocks_per_stage": 2, "channels": [4, 8]}),
            *((1, 4, 2, 2), "stages.0.0.conv1", "ConvBlock", "(B, C=4, H, W)"),
        ),
        (
            Stage(TransformerBlock, 2, 16, 16, stride=1, window=2),
            *((1, 8, 16), "0.attn", "SelfAttention", "(B, C=16, H, W)"),
        ),
    ],
    ids=["Sequential", "ModuleDict", "FeatureExtractor", "Stage"],
)
def test_names_the_block_inside_its_model(
    model: nn.Module, shape: tuple[int, ...], path: str, block: str, expected: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        model(torch.zeros(shape))
    error = caught.value
    assert (error.path, error.block, error.expected) == (path, block, expected)
    assert str(error).startswith(f"{block} '{path}': expected {expected}, got ")


def test_the_outermost_block_has_no_path() -> None:
    block = ConvBlock(8, 8)
    for refuse in (lambda: block(torch.zeros(1, 4, 5, 5)), lambda: block.output_shape((1, 4))):
        with pytest.raises(ShapeError) as caught:
            refuse()
        assert caught.value.path is None
        assert str(caught.value).startswith("ConvBlock: expected (B, C=8, H, W), got ")


def test_a_block_is_named_as_in_the_model_that_is_called() -> None:
    """Called by itself, a part is a model of its own."""
    model = nn.Sequential(nn.Sequential(nn.Identity(), ConvBlock(8, 8)))
    for called, path in ((model, "0.1"), (model[0], "1"), (model[0][1], None)):
        with pytest.raises(ShapeError) as caught:
            called(torch.zeros(1, 4, 5, 5))
        assert caught.value.path == path


class Functional(nn.Module):
    """Holds no block, but calls one of a list that is not registered."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [ConvBlock(8, 8)]

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden[0](x)


def test_a_block_that_the_model_does_not_hold_has_no_path() -> None:
    with pytest.raises(ShapeError) as caught:
        Functional()(torch.zeros(1, 4, 5, 5))
    assert caught.value.path is None


@pytest.mark.parametrize("block", [FeedForward(16), MultiHeadAttention(16), TransformerBlock(16)])
@pytest.mark.parametrize(
    ("shape", "reason", "hint"),
    [
        ((2, 9, 8), "C: wanted 16, got 8 (dim 2)", None),
        ((2, 16, 9), "C: wanted 16, got 9 (dim 2)", "x.transpose(1, 2)"),
        ((9, 16), "2 dimensions", "x.unsqueeze(0)"),
        ((2, 9, 16, 1, 1), "5 dimensions", None),
    ],
)
def test_tokens(block: nn.Module, shape: tuple[int, ...], reason: str, hint: str | None) -> None:
    with pytest.raises(ShapeError) as caught:
        block(torch.zeros(shape))
    error = caught.value
    assert (error.block, error.reason, error.actual) == (type(block).__name__, reason, shape)
    assert error.hint is None if hint is None else hint in error.hint


def test_a_map_where_tokens_are_wanted() -> None:
    with pytest.raises(ShapeError, match=r"try x.flatten\(2\).transpose\(1, 2\)"):
        MultiHeadAttention(16)(torch.zeros(2, 16, 5, 5))


def test_is_a_value_error_that_crosses_processes() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.Sequential(ConvBlock(64, 8))(torch.zeros(2, 32, 32, 3))
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ValueError)
    assert type(again) is ShapeError
    assert str(again) == str(error)
    for name in ("block", "path", "expected", "actual", "reason", "hint"):
        assert getattr(again, name) == getattr(error, name) is not None
