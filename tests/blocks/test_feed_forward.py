"""The feed-forward network against torchvision's and timm's of every kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from block_keys import State, as_linear, renamed
from block_references import (
    assert_same,
    copy_over,
    every_dtype,
    every_mode,
    randomize,
    waves,
)
from torch import Tensor, nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import FeedForward, ShapeError

KINDS = ["mlp", "glu", "geglu", "swiglu", "conv"]


def _tolerance(dtype: torch.dtype) -> float:
    return 2e-6 if dtype is torch.float32 else 1e-14


@every_dtype
@every_mode
def test_equals_torchvisions_mlp(training: bool, dtype: torch.dtype) -> None:
    import_torchvision()
    from torchvision.ops import MLP

    def keys(state: State) -> State:
        return renamed(state, (r"^0\.", "fc1."), (r"^3\.", "fc2."))

    theirs = MLP(24, [96, 24], activation_layer=nn.GELU, inplace=None).to(dtype).train(training)
    ours = FeedForward(24, dtype=dtype).train(training)
    copy_over(ours, theirs, keys)
    assert_same(ours, theirs, waves(2, 13, 24, dtype=dtype), keys)


@every_dtype
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {"hidden_features": 96}),
        ({"hidden_dim": 40, "act": "relu"}, {"hidden_features": 40, "act_layer": nn.ReLU}),
        ({"ratio": 2.5, "bias": False}, {"hidden_features": 60, "bias": False}),
    ],
)
def test_equals_timms_mlp(
    options: dict[str, Any], theirs: dict[str, Any], dtype: torch.dtype
) -> None:
    import_timm()
    from timm.layers import Mlp

    ours, reference = FeedForward(24, **options, dtype=dtype), Mlp(24, **theirs, dtype=dtype)
    copy_over(ours, reference)
    assert_same(ours, reference, waves(2, 13, 24, dtype=dtype))


@every_dtype
@pytest.mark.parametrize(
    ("kind", "act"), [("glu", nn.Sigmoid), ("geglu", nn.GELU), ("swiglu", nn.SiLU)]
)
def test_gated_kinds_equal_timms(kind: Any, act: type, dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import GluMlp

    # Their width counts both halves.
    theirs = GluMlp(24, hidden_features=64, act_layer=act, dtype=dtype)
    ours = FeedForward(24, 32, kind=kind, dtype=dtype)
    copy_over(ours, theirs)
    assert_same(ours, theirs, waves(2, 13, 24, dtype=dtype))


@every_dtype
def test_swiglu_equals_timms_of_two_layers(dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import SwiGLU

    def keys(state: State) -> State:
        result = {key: value for key, value in state.items() if key.startswith("fc2")}
        for part in ("weight", "bias"):
            result[f"fc1.{part}"] = torch.cat([state[f"fc1_x.{part}"], state[f"fc1_g.{part}"]])
        return result

    theirs = SwiGLU(24, 32, dtype=dtype)
    ours = FeedForward(24, 32, kind="swiglu", dtype=dtype)
    copy_over(ours, theirs, keys)
    assert_same(ours, theirs, waves(2, 13, 24, dtype=dtype), keys, tolerance=_tolerance(dtype))


def test_glu_is_torchs() -> None:
    ours = randomize(FeedForward(24, 32, kind="glu"))
    x = waves(2, 13, 24)
    assert torch.equal(ours(x), ours.fc2(nn.functional.glu(ours.fc1(x))))


class _Sized(nn.Module):
    """PVTv2's network, whose forward also takes the size of the map."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, self.size)


@every_dtype
def test_conv_equals_pvt_v2s(dtype: torch.dtype) -> None:
    import_timm()
    from timm.models.pvt_v2 import MlpWithDepthwiseConv

    def keys(state: State) -> State:
        return renamed(state, (r"^network\.", ""), (r"^dwconv\.", "conv."))

    theirs = _Sized(MlpWithDepthwiseConv(24, 96, dtype=dtype), (5, 7))
    ours = FeedForward(24, kind="conv", dtype=dtype)
    copy_over(ours, theirs, keys)
    x = waves(2, 35, 24, dtype=dtype)
    assert_same(ours, theirs, x, keys, size=(5, 7), gradients=_tolerance(dtype))
    as_map = x.transpose(1, 2).unflatten(2, (5, 7))
    wanted = theirs(x).transpose(1, 2).unflatten(2, (5, 7))
    assert torch.equal(ours(as_map), wanted)


@every_dtype
def test_on_a_map_equals_timms_conv_mlp(dtype: torch.dtype) -> None:
    import_timm()
    from timm.layers import ConvMlp

    theirs = ConvMlp(24, 96, act_layer=nn.GELU, dtype=dtype)
    ours = FeedForward(24, dtype=dtype)
    copy_over(ours, theirs, as_linear)
    x = waves(2, 24, 5, 7, dtype=dtype)
    assert_same(ours, theirs, x, as_linear, tolerance=_tolerance(dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_map_is_its_tokens(kind: Any, memory_format: torch.memory_format) -> None:
    block = randomize(FeedForward(24, kind=kind))
    x = waves(2, 24, 5, 7).contiguous(memory_format=memory_format)
    tokens = block(x.flatten(2).transpose(1, 2), size=(5, 7))
    torch.testing.assert_close(block(x), tokens.transpose(1, 2).unflatten(2, (5, 7)))
    assert block(x).is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("kind", ["mlp", "glu", "geglu", "swiglu"])
def test_positions_do_not_see_each_other(kind: Any) -> None:
    block = randomize(FeedForward(24, kind=kind))
    x = waves(2, 13, 24)
    changed = x.clone()
    changed[1, 4] += 1
    moved = (block(changed) != block(x)).any(2)
    assert moved.nonzero().tolist() == [[1, 4]]


@pytest.mark.parametrize("kind", KINDS)
def test_drops_behind_both_layers_in_training_only(kind: Any) -> None:
    block = FeedForward(24, kind=kind, drop=0.5)
    plain = FeedForward(24, kind=kind)
    plain.load_state_dict(randomize(block).state_dict())
    x = waves(2, 24, 5, 7)
    assert torch.equal(block.eval()(x), plain(x))
    seen: list[Tensor] = []
    for drop in (block.drop1, block.drop2):
        drop.register_forward_hook(lambda module, args, out: seen.append(out))
    block.train()(x)
    hidden, out = seen
    assert hidden.shape[-1] == block.hidden_dim
    assert out.shape[-1] == 24
    assert all(0.3 < (each == 0).float().mean() < 0.7 for each in seen)


@pytest.mark.parametrize(
    ("options", "hidden"),
    [({}, 96), ({"ratio": 8 / 3}, 64), ({"hidden_dim": 7, "ratio": 9}, 7), ({"ratio": 0.05}, 1)],
)
def test_hidden_width(options: dict[str, Any], hidden: int) -> None:
    assert FeedForward(24, **options).fc2.in_features == hidden
    assert FeedForward(24, **options, kind="swiglu").fc1.out_features == 2 * hidden


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "mpl"}, "unknown kind 'mpl'; choose from mlp, .*did you mean 'mlp'"),
        ({"kind": "glu", "act": "relu"}, "kind='glu' has an activation of its own; leave act out"),
        ({"ratio": 0.01}, "ratio=0.01 leaves nothing of dim=24"),
        ({"hidden_dim": 0}, "hidden_dim must be a positive integer, got 0"),
        ({"drop": 1.0}, "drop must be at least 0 and below 1, got 1.0"),
        ({"act": "gleu"}, "unknown act 'gleu'"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeedForward(24, **options)


@pytest.mark.parametrize(
    ("kind", "shape", "hint"),
    [
        ("mlp", (2, 24, 13), "x.transpose(1, 2)"),
        ("mlp", (2, 5, 7, 24), "x.permute(0, 3, 1, 2)"),
        ("mlp", (13, 24), "x.unsqueeze(0)"),
        ("conv", (2, 35, 24), "kind='conv' needs a map"),
    ],
)
def test_shape_errors(kind: Any, shape: tuple[int, ...], hint: str) -> None:
    block = FeedForward(24, kind=kind)
    for refuse in (lambda: block(torch.zeros(shape)), lambda: block.output_shape(shape)):
        with pytest.raises(ShapeError) as caught:
            refuse()
        assert caught.value.actual == shape
        assert hint in caught.value.hint
