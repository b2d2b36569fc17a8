"""Linear layers that read the same tensor become one, and only where they really do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from block_references import randomize, waves
from torch import Tensor, nn
from zoo_stub import import_timm

import blocktool
from blocktool.optimize.fuse import Fused
from blocktool.optimize.packing import packed

SIZE = (2, 5, 8)


class Attention(nn.Module):
    """Self-attention with three projections; ``mask`` and ``scale`` as callers give them."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.q = nn.Linear(8, 8)
        self.k = nn.Linear(8, 4, bias=bias)
        self.v = nn.Linear(8, 4)
        self.out = nn.Linear(8, 8)

    def heads(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], -1, 4).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        q, k, v = self.heads(self.q(x)), self.heads(self.k(x)), self.heads(self.v(x))
        if mask is not None:
            mask = mask[:, None]
        x = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=True)
        return self.out(x.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A residual around attention that is called in the way of ``how``."""

    def __init__(self, inner: nn.Module, how: str = "plain") -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attn = inner
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        if self.how == "mask":
            seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril().expand(2, -1, -1)
            return x + self.attn(y, mask=seen)
        if self.how == "keywords":
            return x + self.attn(y, mask=None, causal=True)
        if self.how == "weights":
            return x + self.attn(y) * self.attn.q.weight.mean()
        return x + self.attn(y)


def fused(module: nn.Module, *shapes: tuple[int, ...]) -> Fused:
    module = randomize(module.double()).eval()
    inputs = tuple(waves(*shape, dtype=torch.float64) for shape in shapes or (SIZE,))
    result = blocktool.fuse(module, inputs)
    with torch.no_grad():
        wanted, got = module(*inputs), copy.deepcopy(result.module)(*inputs)
    assert (wanted - got).abs().max() < 1e-12 * wanted.abs().max()
    return result


def groups(result: Fused) -> list[tuple[str, str]]:
    return [(part.path, part.into) for part in result.report.fused if part.kind == "packed"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("how", ["plain", "mask", "keywords"])
def test_query_key_value(how: str, bias: bool) -> None:
    result = fused(Block(Attention(bias=bias), how))
    assert groups(result) == [("attn.q, attn.k, attn.v", "attn.q_k_v")]
    assert result.module.attn.q_k_v.weight.shape == (16, 8)
    assert not hasattr(result.module.attn, "k")
    added = result.report.params_after - result.report.params_before
    assert added == (0 if bias else 4)  # zeros for the bias that is missing
    # Three products become one, and one split comes.
    assert result.report.ops_after < result.report.ops_before


def test_other_sizes_and_flags_afterwards() -> None:
    module = randomize(Attention()).eval()
    copy_ = blocktool.fuse(module, SIZE).module
    x = waves(3, 11, 8)
    assert torch.allclose(module(x), copy_(x), atol=1e-6)
    with pytest.raises(AssertionError, match="specialized"):
        copy_(x, causal=True)  # said aloud, since it was fused without
    with pytest.raises(ValueError, match="mask was None when this module was fused"):
        copy_(x, torch.ones(3, 11, 11, dtype=torch.bool))


def test_it_can_be_copied_and_saved() -> None:
    module = blocktool.fuse(randomize(Block(Attention())), SIZE).module
    x = waves(*SIZE)
    wanted = module(x)
    assert torch.equal(copy.deepcopy(module)(x), wanted)
    again = blocktool.fuse(Block(Attention()), SIZE).module
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), wanted)
    loaded = pickle.loads(pickle.dumps(module))
    assert torch.equal(loaded(x), wanted)


class Gated(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.gate = nn.Linear(8, 16)
        self.value = nn.Linear(8, 16)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "same":
            return F.silu(self.gate(x)) * self.value(x)
        if self.how == "slices":  # one storage and one shape, but not one tensor
            return F.silu(self.gate(x[:, :2])) * self.value(x[:, 2:4])
        if self.how == "changed":
            y = self.gate(x.mul_(1.5))
            return y * self.value(x.add_(1.0))
        if self.how == "branches":
            return self.gate(x) * self.value(x) if x.shape[1] > 3 else x
        return (self.gate(x) * self.value(x)).view(-1)  # "flat"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("same", None),
        ("flat", None),
        ("slices", "gate, value do not take the very same tensor"),
        ("changed", "their input is changed between them, by aten.add_"),
        ("branches", "its forward cannot be traced"),
    ],
)
def test_the_very_same_tensor(how: str, reason: str | None) -> None:
    result = fused(nn.Sequential(nn.LayerNorm(8), Gated(how)))
    if reason is None:
        assert groups(result) == [("1.gate, 1.value", "1.gate_value")]
    else:
        assert groups(result) == []
        (refused,) = result.report.refused
        assert reason in refused.reason


def _hooked() -> nn.Module:
    module = Gated("same")
    module.gate.register_forward_hook(lambda *args: None)
    return module


def _tied() -> nn.Module:
    module = Gated("same")
    module.gate.weight = module.value.weight
    return module


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_hooked, "gate: it has hooks"),
        (_tied, "its parameters are shared"),
        (lambda: Gated("same"), None),
    ],
)
def test_layers_that_must_stay(make: Callable[[], nn.Module], reason: str | None) -> None:
    result = fused(make())
    assert bool(groups(result)) == (reason is None)
    assert any(reason in part.reason for part in result.report.refused) or reason is None


def test_what_the_caller_needs_of_the_old_module() -> None:
    """The new forward is right by itself; the rest of the plan is kept where its caller is not."""
    module = nn.Sequential(Block(Attention(), "weights"))
    result = fused(module)
    assert groups(result) == []
    (refused,) = result.report.refused
    assert "the weights of 0.attn.q are used elsewhere" in refused.reason

    class Asks(Block):
        def forward(self, x: Tensor) -> Tensor:
            return x + self.attn(self.norm(x)) * self.attn.k.out_features

    result = fused(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(5), Asks(Attention())))
    assert groups(result) == []
    reasons = [part.reason for part in result.report.refused if part.kind == "packed"]
    assert len(reasons) == 1
    assert "has no attribute 'k'" in reasons[0]


def test_layers_in_a_list() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            first, *rest = (layer(x) for layer in self.maps)
            return first * rest[0].sigmoid() + rest[1]

    result = fused(nn.Sequential(Listed()))
    assert groups(result) == [("0.maps.0, 0.maps.1, 0.maps.2", "0.maps_0_maps_1_maps_2")]


@pytest.mark.parametrize("name", ["SwiGLU", "EvaAttention"])
def test_layers_of_timm(name: str) -> None:
    timm = import_timm()
    if name == "SwiGLU":
        module, group = timm.layers.SwiGLU(8, 16), "fc1_g, fc1_x"
    else:
        module = timm.models.eva.EvaAttention(8, 2, qkv_fused=False, scale_norm=False)
        group = "q_proj, k_proj, v_proj"
    assert groups(fused(module)) == [(group, group.replace(", ", "_"))]


def test_on_meta() -> None:
    result = blocktool.fuse(Block(Attention()).to("meta"), SIZE)
    assert groups(result) == [("attn.q, attn.k, attn.v", "attn.q_k_v")]
    assert all(parameter.is_meta for parameter in result.module.parameters())


def test_packed_by_hand() -> None:
    layers = [nn.Linear(1, 1, bias=False), nn.Linear(1, 2)]
    for layer, start in zip(layers, (2.0, 3.0), strict=True):
        for parameter in layer.parameters():
            nn.init.constant_(parameter, start)
    wide = packed(layers)
    assert wide(torch.tensor([10.0])).tolist() == [20.0, 33.0, 33.0]
