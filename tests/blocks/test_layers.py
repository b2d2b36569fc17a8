from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_stub import import_timm, import_torchvision

from blocktool.blocks import LayerNorm2d, LayerScale, SqueezeExcite
from blocktool.blocks.layers import make_act, make_norm, make_token_norm

X = torch.linspace(-3, 3, 2 * 48 * 5 * 6).sin().view(2, 48, 5, 6)


def test_layer_norm_equals_torchvisions() -> None:
    import_torchvision()
    from torchvision.models.convnext import LayerNorm2d as Reference

    ours, theirs = LayerNorm2d(48), Reference(48, eps=1e-6)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.uniform_(-1, 1)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours(X), theirs(X))


def test_norms_by_name() -> None:
    assert isinstance(make_norm("batch", 48), nn.BatchNorm2d)
    assert make_norm("group", 48).num_groups == 16
    assert make_norm("group", 7).num_groups == 1
    assert make_norm(("group", {"num_groups": 3}), 48).num_groups == 3
    assert make_norm(["batch", {"eps": 1e-3}], 48).eps == 1e-3
    assert make_norm("instance", 48).weight.shape == (48,)
    assert make_norm(nn.BatchNorm2d, 48).num_features == 48
    assert make_norm((nn.GroupNorm, {"num_channels": 48}), 6).num_groups == 6
    assert make_norm(None, 48) is None
    assert isinstance(make_token_norm("rms", 48), nn.RMSNorm)
    assert make_token_norm("layer", 48).eps == 1e-6


def test_norms_are_where_and_what_they_should_be() -> None:
    for norm in ("batch", "group", "layer", "instance", nn.BatchNorm2d):
        made = make_norm(norm, 48, device="meta", dtype=torch.float64)
        assert made.weight.is_meta
        assert made.weight.dtype == torch.float64
    assert make_norm("batch", 8, dtype=torch.bfloat16).num_batches_tracked.dtype == torch.int64


def test_acts_by_name() -> None:
    assert make_act("relu").inplace is False
    assert make_act("relu", inplace=True).inplace is True
    assert make_act(nn.ReLU, inplace=True).inplace is False
    assert make_act(("relu", {"inplace": False}), inplace=True).inplace is False
    assert isinstance(make_act("gelu", inplace=True), nn.GELU)
    assert make_act(("leaky_relu", {"negative_slope": 0.2})).negative_slope == 0.2
    assert make_act(None) is None
    assert make_act("relu") is not make_act("relu")


@pytest.mark.parametrize("name", ["relu", "silu", "mish", "hardswish", "leaky_relu", "elu"])
def test_acts_in_place_have_the_same_gradient(name: str) -> None:
    gradients = []
    for inplace in (True, False):
        leaf = X.clone().requires_grad_()
        make_act(name, inplace=inplace)(leaf * 1).square().sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_layer_scale() -> None:
    scale = LayerScale(48, 0.1)
    torch.testing.assert_close(scale(X), X * 0.1)
    assert LayerScale(48, spatial=0)(X.permute(0, 2, 3, 1)).shape == (2, 5, 6, 48)


def test_squeeze_excite_equals_torchvision_and_timm() -> None:
    import_torchvision(), import_timm()
    from timm.layers import SqueezeExcite as TimmSqueezeExcite
    from torchvision.ops import SqueezeExcitation

    ours = SqueezeExcite(48, squeeze_channels=8)
    for theirs in (SqueezeExcitation(48, 8), TimmSqueezeExcite(48, rd_channels=8)):
        ours.load_state_dict(theirs.state_dict())
        torch.testing.assert_close(ours(X), theirs(X))


@pytest.mark.parametrize("channels", [4, 8, 48, 64, 72, 200, 256, 2048])
@pytest.mark.parametrize("divisor", [1, 8])
def test_squeezed_width_is_timms_and_never_zero(channels: int, divisor: int) -> None:
    import_timm()
    from timm.layers import make_divisible

    ours = SqueezeExcite(channels, divisor=divisor)
    wanted = make_divisible(channels / 16, divisor, round_limit=0.0)
    assert ours.squeeze_channels == wanted
    assert ours.squeeze_channels >= 1


def test_zeroed_squeeze_excite_halves() -> None:
    block = SqueezeExcite(48)
    nn.init.zeros_(block.fc2.weight), nn.init.zeros_(block.fc2.bias)
    assert torch.equal(block(X), X / 2)
