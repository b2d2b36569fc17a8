"""What the base class gives every block: arguments, copies, fusing, initialisation."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from block_references import randomize, waves
from torch import Tensor, nn
from torch.nn.utils import prune

import blocktool.blocks as blocks
from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    DepthwiseSeparableConv,
    FeatureExtractor,
    GroupedConv,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    ShapeError,
    SqueezeExcite,
    Stage,
    TransformerBlock,
)
from blocktool.blocks.block import Block

Make = Callable[..., Block]
X = waves(2, 16, 9, 10)

MADE: dict[str, Make] = {
    "conv": partial(ConvBlock, 16, 24, 3, 2, act="silu"),
    "separable": partial(DepthwiseSeparableConv, 16, 24),
    "grouped": partial(GroupedConv, 16, 24, groups=4, shuffle=True),
    "residual": partial(ResidualBlock, 16, 24, stride=2, shortcut="avg", layer_scale=0.5),
    "se-residual": partial(SEResidualBlock, 16, 24),
    "bottleneck": partial(BottleneckBlock, 16, 24, groups=2),
    "preact": partial(PreActBlock, 16, 24, stride=2),
    "preact-bottleneck": partial(PreActBottleneck, 16),
    "stage": partial(Stage, "bottleneck", 2, 16, 32, drop_path=0.1, attn="se"),
    "hybrid": partial(Stage, SelfAttention, 2, 16, 32, norm="layer", residual=True),
    "features": partial(
        FeatureExtractor, {"num_stages": 2, "blocks_per_stage": 1, "channels": [16, 24, 32]}
    ),
    "transformer": partial(TransformerBlock, 16, window=4, mlp="conv"),
    "se": partial(SqueezeExcite, 16, act="silu"),
}
every_block = pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())


def _run(block: Block) -> Tensor:
    out = block.eval()(X)
    return out[-1] if isinstance(out, list) else out


def test_arguments_are_named_and_defaults_left_out() -> None:
    assert ConvBlock(3, 8).arguments == {"in_channels": 3, "out_channels": 8}
    by_position = ConvBlock(3, 8, 5, 2, 1)
    by_name = ConvBlock(in_channels=3, out_channels=8, kernel_size=5, padding=1, stride=2)
    wanted = {"in_channels": 3, "out_channels": 8, "kernel_size": 5, "stride": 2, "padding": 1}
    assert by_position.arguments == by_name.arguments == wanted
    assert list(by_name.arguments) == list(wanted)  # in the order of the signature
    where: dict[str, Any] = {"device": "meta", "dtype": torch.float64}
    assert ConvBlock(3, 8, **where).arguments == {"in_channels": 3, "out_channels": 8}


def test_a_default_that_is_given_is_left_out() -> None:
    rate = float("0.0")  # equal to the default, but another object
    assert ResidualBlock(8, drop_path=rate, zero_init_last=True).arguments == {"in_channels": 8}
    assert ConvBlock(8, 8, bias=False, padding=None).arguments["bias"] is False
    assert "padding" not in ConvBlock(8, 8, padding=None).arguments
    # 1 == True, and yet not the same.
    assert ResidualBlock(8, zero_init_last=1).arguments["zero_init_last"] == 1


def test_arguments_are_those_given_and_not_what_became_of_them() -> None:
    assert "num_heads" not in SelfAttention(32).arguments
    assert ResidualBlock(8, norm=nn.BatchNorm2d).arguments["norm"] is nn.BatchNorm2d
    stage = Stage("residual", 2, 16, 24, attn="se", first={"dilation": 2})
    assert stage.arguments == {
        "block": "residual",
        "num_blocks": 2,
        "in_channels": 16,
        "out_channels": 24,
        "first": {"dilation": 2},
        "attn": "se",
    }


def test_arguments_do_not_follow_what_the_caller_changes_later() -> None:
    norm: Any = ["group", {"num_groups": 4}]
    block = ConvBlock(8, 8, norm=norm)
    norm[1]["num_groups"] = 2
    assert block.arguments["norm"] == ["group", {"num_groups": 4}]


@every_block
def test_an_equal_block_is_made_of_the_arguments(make: Make) -> None:
    block = randomize(make())
    again = type(block)(**block.arguments)
    assert repr(again) == repr(block)
    assert again.arguments == block.arguments
    again.load_state_dict(block.state_dict())
    assert torch.equal(_run(again), _run(block))


class Wider(ResidualBlock):
    """A user's block with a constructor of its own."""

    def __init__(self, channels: int, factor: int = 2, *, attn: Any = "se", **others: Any) -> None:
        super().__init__(channels, channels * factor, attn=attn, **others)


class Doubled(ResidualBlock):
    """A user's block with the constructor of its base."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Own(Block):
    """A user's block from nothing."""

    def __init__(self, channels: int, *sizes: int, scale: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(channels, channels, size) for size in sizes])
        self.nested = nn.Sequential(nn.Identity(), nn.ModuleList([ConvBlock(channels, channels)]))
        self.scale = scale


def test_arguments_of_a_users_block() -> None:
    assert Wider(8, 3, norm="group").arguments == {"channels": 8, "factor": 3, "norm": "group"}
    assert Wider(8, attn="se").arguments == {"channels": 8}
    assert Doubled(8, stride=2).arguments == {"in_channels": 8, "stride": 2}
    assert Own(8, 1, 3, scale=0.5).arguments == {"channels": 8, "sizes": (1, 3), "scale": 0.5}
    stage = Stage(Doubled, 2, 8, 16)
    assert stage[0].arguments == {"in_channels": 8, "out_channels": 16, "stride": 2}


@every_block
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda block: pickle.loads(pickle.dumps(block))])
def test_copies_are_equal_and_apart(make: Make, copied: Callable[[Block], Block]) -> None:
    block = randomize(make())
    other = copied(block)
    assert type(other) is type(block)
    assert other.arguments == block.arguments
    wanted = _run(block)
    assert torch.equal(_run(other), wanted)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(_run(block), wanted)


def test_a_constructor_that_fails_is_the_constructors_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        ConvBlock(3, 8, colour="red")
    with pytest.raises(TypeError, match="out_channels"):
        ConvBlock(3)


def _batch_norms(block: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in block.modules())


@every_block
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fuse_changes_no_value(make: Make, dtype: torch.dtype) -> None:
    block = randomize(make()).to(dtype).eval()
    x = X.to(dtype)
    wanted, before = block(x), _batch_norms(block)
    assert block.fuse() is block
    mine = block(x)
    if isinstance(wanted, list):
        mine, wanted = mine[-1], wanted[-1]
    error = (mine - wanted).abs().max()
    assert error <= (1e-5 if dtype is torch.float32 else 1e-13) * wanted.abs().max()
    # What remains stands before its convolution.
    left = {"preact": 1, "preact-bottleneck": 1}.get(_name(make), 0)
    left += {"preact": 1, "preact-bottleneck": 2}.get(_name(make), 0)
    assert _batch_norms(block) == left
    assert (error > 0) == (before > left)  # folded weights round differently


def _name(make: Make) -> str:
    return next(name for name, known in MADE.items() if known is make)


@every_block
def test_fuse_needs_eval_mode(make: Make) -> None:
    block = make()
    before = repr(block)
    with pytest.raises(ValueError, match=r"fuse\(\) needs eval mode; call eval\(\) first"):
        block.fuse()
    assert repr(block) == before


def test_fuse_reaches_blocks_in_the_users_containers() -> None:
    block = Own(8).eval()
    inner = randomize(block).nested[1][0]
    wanted = inner(waves(1, 8, 5, 5))
    block.fuse()
    assert inner.norm is None
    torch.testing.assert_close(inner(waves(1, 8, 5, 5)), wanted)


def test_a_block_says_what_it_does_not_say() -> None:
    with pytest.raises(NotImplementedError, match="Own does not say its output shape"):
        Own(8).output_shape((1, 8, 4, 4))


def test_reset_parameters_reaches_everything() -> None:
    block = Own(8, 3)
    for parameter in block.parameters():
        nn.init.constant_(parameter, 7.0)
    block.reset_parameters()
    assert not any((parameter == 7).any() for parameter in block.parameters())


def test_every_block_is_one() -> None:
    for name in ("ConvBlock", "Stage", "FeatureExtractor", "CrossAttention", "FeedForward"):
        assert issubclass(getattr(blocks, name), Block)


class _Squashed(nn.BatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).tanh()


def _with_a_hook(block: ConvBlock, name: str) -> ConvBlock:
    getattr(block, name).register_forward_hook(lambda module, args, out: out * 2)
    return block


def _with_norms_in_training(block: ConvBlock) -> ConvBlock:
    block.norm.train()
    return block


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvBlock(3, 8, norm=_Squashed),
        lambda: ConvBlock(3, 8, norm=("batch", {"track_running_stats": False})),
        lambda: _with_a_hook(ConvBlock(3, 8), "conv"),
        lambda: _with_a_hook(ConvBlock(3, 8), "norm"),
        lambda: _parametrized(ConvBlock(3, 8)),
        lambda: _pruned(ConvBlock(3, 8)),
    ],
)
def test_fuse_leaves_what_it_cannot_fold(make: Callable[[], ConvBlock]) -> None:
    block = randomize(make()).eval()
    x = torch.rand(2, 3, 8, 8)
    wanted = block(x)
    assert block.fuse().norm is not None
    assert torch.equal(block(x), wanted)


def test_fuse_leaves_a_norm_that_is_in_training() -> None:
    block = _with_norms_in_training(ConvBlock(3, 8).eval())
    assert block.fuse().norm is not None


def _parametrized(block: ConvBlock) -> ConvBlock:
    nn.utils.parametrizations.weight_norm(block.conv)
    return block


def _pruned(block: ConvBlock) -> ConvBlock:
    prune.l1_unstructured(block.conv, "weight", 0.5)
    return block


def test_a_lambda_does_not_keep_a_block_from_being_pickled() -> None:
    # The layers themselves can be; only the note of how they were made cannot.
    block = ConvBlock(3, 8, act=lambda: nn.ReLU())
    again = pickle.loads(pickle.dumps(block))
    assert again.state_dict().keys() == block.state_dict().keys()
    with pytest.raises(ValueError, match="could not be pickled"):
        _ = again.arguments
    assert copy.deepcopy(block).arguments.keys() == {"in_channels", "out_channels", "act"}


def test_arguments_are_those_of_the_class_that_was_named() -> None:
    block = SqueezeExcite(16, reduction=4)
    nn.utils.parametrize.register_parametrization(block.fc1, "weight", nn.Identity())
    # As parametrizations and sharding do: a class of theirs in front.
    block.__class__ = type("Sharded", (SqueezeExcite,), {"__init__": lambda self, *args: None})
    assert block.arguments == {"channels": 16, "reduction": 4}


def test_the_path_is_found_behind_a_module_that_hides_its_net() -> None:
    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = [nn.Sequential(ConvBlock(3, 8))]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.nets[0](x)

    with pytest.raises(ShapeError) as caught:
        Hiding()(torch.rand(1, 4, 8, 8))
    assert caught.value.path == "0"
