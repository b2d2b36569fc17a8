"""Every difference between our count and fvcore's has a cause, and they add up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from zoo_stub import import_timm, import_torchvision

from blocktool.analysis.cross_check import cross_check
from blocktool.analysis.fvcore_conventions import macs_of_matmul
from blocktool.analysis.liveness import unused_ops
from blocktool.results.cross_check import Cause, CountedOp, CrossCheck, SecondOpinion
from blocktool.trace.second_opinion import second_opinion
from blocktool.trace.tracer import trace


def checked(module: nn.Module, inputs: Any, **settings: Any) -> CrossCheck:
    """The cross-check of a module; that it adds up is asserted here, for every test."""
    record = trace(module, inputs, **settings)
    check = cross_check(record, second_opinion(module, inputs))
    assert check.unavailable is None
    assert check.theirs is not None
    assert check.ours == sum(op.macs for op in record.ops if op.phase == "forward")
    assert check.difference == check.ours - check.theirs
    assert sum(cause.macs for cause in check.causes) + check.unexplained == check.difference
    for cause in check.causes:
        assert cause.macs == sum(module.macs for module in cause.modules)
        assert cause.explanation
    return check


def causes(check: CrossCheck) -> dict[str, int]:
    return {cause.name: cause.macs for cause in check.causes}


class UNet(nn.Module):
    """Both ways of going up, three norms, padding in words."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8))
        self.down = nn.Conv2d(8, 16, 3, 2, 1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.group = nn.GroupNorm(2, 8)
        self.lateral = nn.Conv2d(16, 8, 1)
        self.instance = nn.InstanceNorm2d(8)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high = self.first(x)
        low = self.down(high)
        up = self.group(self.up(low))
        lateral = F.interpolate(self.lateral(low), scale_factor=2, mode="bilinear")
        out: torch.Tensor = self.head(torch.cat([high + up, self.instance(lateral)], 1))
        return out


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.rnn = kind(16, 32, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.rnn(self.embed(x))[0][:, -1])
        return out


class MultiHead(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.attention(x, x, x, need_weights=self.need_weights)[0]
        return out


class EinsumAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(63, 189)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (7, 9)) for t in self.qkv(x).chunk(3, -1))
        scores = torch.einsum("bnhc,bmhc->bhnm", q, k).softmax(-1)
        return torch.einsum("bhnm,bmhc->bnhc", scores, v)


class SharedAndTied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.thrice = nn.Linear(32, 32)
        self.alias = self.thrice
        self.tied = nn.Linear(32, 32)
        self.tied.weight = self.thrice.weight
        self.norm = nn.LayerNorm(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(self.tied(self.alias(self.thrice(self.thrice(x)))))
        return out


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


class Opaque(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8))

    def forward(self, x: torch.Tensor) -> Any:
        return Double.apply(x, self.weight)  # type: ignore[no-untyped-call]


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(8, 8)
        self.unused = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unused(x)
        out: torch.Tensor = self.used(x)
        return out


class Aside(nn.Module):
    """Calls a module that is not registered, and checkpoints another."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.hidden = [nn.Linear(8, 8).requires_grad_(False)]

    def forward(self, x: torch.Tensor) -> Any:
        return checkpoint(self.linear, self.hidden[0](x), use_reentrant=False)


class Fn(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


MAPS = 2 * 64 * 64
CASES: dict[str, tuple[Callable[[], nn.Module], Any, dict[str, int]]] = {
    "U-Net": (
        UNet,
        (2, 3, 64, 64),
        {
            "_convolution_mode": MAPS * 8 * 3 * 9,
            "batch_norm": -2 * 8 * MAPS,
            "group_norm": -5 * 8 * MAPS,
            "instance_norm": -4 * 8 * MAPS,
            "upsample_bilinear2d": -4 * 8 * MAPS,
        },
    ),
    "LSTM": (
        lambda: Recurrent(nn.LSTM),
        torch.zeros(2, 7, dtype=torch.int64),
        {"lstm": 2 * 7 * 2 * 4 * 32 * ((16 + 32) + (64 + 32))},
    ),
    "GRU": (
        lambda: Recurrent(nn.GRU),
        torch.zeros(2, 7, dtype=torch.int64),
        {"gru": 2 * 7 * 2 * 3 * 32 * ((16 + 32) + (64 + 32))},
    ),
    "multi-head attention with weights": (lambda: MultiHead(True), (2, 10, 64), {}),
    "multi-head attention without weights": (
        lambda: MultiHead(False),
        (2, 10, 64),
        {"scaled_dot_product_attention": 2 * 2 * 10 * 10 * 64},
    ),
    "einsum attention": (
        EinsumAttention,
        (2, 11, 63),
        # 15246, that is 30492 FLOPs, which numpy prints as 3.049e+04.
        {"einsum": 2 * (2 * 11 * 11 * 63 - 15245)},
    ),
    "einsum that sums nothing": (
        lambda: Fn(lambda x: torch.einsum("i,j->ij", x[0], x[1])),
        (8, 8),
        {"einsum": -32},
    ),
    "einsum that only moves": (
        lambda: Fn(lambda x: torch.einsum("ij->ji", x)),
        (8, 8),
        {"einsum": -32},
    ),
    "shared and tied": (SharedAndTied, (2, 10, 32), {"layer_norm": -5 * 2 * 10 * 32}),
    "autograd function": (Opaque, (8, 8), {"Double": 512}),
    "unused results": (Unused, (2, 8), {"unused results": 128}),
    "unregistered and checkpointed": (Aside, (2, 8), {}),
    "broadcast matmul": (
        lambda: Fn(lambda x: x @ x.new_zeros(5, 8, 3)),
        (8, 8),
        {"matmul broadcasting": 4 * 8 * 8 * 3},
    ),
    "baddbmm": (
        lambda: Fn(lambda x: torch.baddbmm(x[None], x[None], x[None])),
        (8, 8),
        {"baddbmm": 512},
    ),
    "two without handlers": (
        lambda: Fn(lambda x: (torch.inner(x, x), torch.tensordot(x, x, ([0], [0])))),
        (8, 8),
        {"inner, tensordot": 2 * 512},
    ),
    "pooling and resampling": (
        lambda: Fn(
            lambda x: (
                F.adaptive_avg_pool2d(x, 2),
                F.interpolate(x, scale_factor=2),
                F.grid_sample(x, x.new_zeros(1, 3, 3, 2), align_corners=False),
            )
        ),
        (1, 4, 6, 6),
        {"adaptive_avg_pool2d": -144, "upsample_nearest2d": -576, "grid_sampler": -4 * 36},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_difference_has_its_cause(name: str) -> None:
    build, inputs, expected = CASES[name]
    check = checked(build(), inputs)
    assert causes(check) == expected
    assert check.unexplained == 0
    assert check.unexplained_modules == ()


SHAPES: dict[str, tuple[str, int, set[str]]] = {
    "resnet18": ("torchvision", 64, {"batch_norm", "adaptive_avg_pool2d"}),
    "swin_t": ("torchvision", 64, {"layer_norm", "adaptive_avg_pool2d"}),
    "convnext_atto": ("timm", 64, {"layer_norm", "adaptive_avg_pool2d"}),
    "efficientnet_b0": ("timm", 64, {"batch_norm", "adaptive_avg_pool2d"}),
    "vit_tiny_patch16_224": ("timm", 224, {"layer_norm", "scaled_dot_product_attention"}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_models_of_the_zoos_are_explained(name: str) -> None:
    zoo, size, expected = SHAPES[name]
    if zoo == "timm":
        module = import_timm().create_model(name, pretrained=False)
    else:
        module = getattr(import_torchvision().models, name)()
    check = checked(module, (1, 3, size, size))
    assert set(causes(check)) == expected
    assert check.unexplained == 0
    assert check.unexplained_modules == ()


def _cause(check: CrossCheck, name: str) -> Cause:
    return next(cause for cause in check.causes if cause.name == name)


def test_a_cause_names_its_modules_with_figures() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.LayerNorm(8))
    cause = _cause(checked(module, (3, 8)), "layer_norm")
    assert [(m.path, m.macs, m.ops) for m in cause.modules] == [("1", -120, 1), ("2", -120, 1)]
    assert "5 for each input element" in cause.explanation


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"attention": "math"}, "scaled_dot_product_attention"),
        ({"attention": "cuda"}, "scaled_dot_product_attention"),
        ({"device": "cpu"}, "fused inference kernels"),
    ],
)
def test_attention_is_explained_however_it_was_traced(settings: dict[str, str], name: str) -> None:
    check = checked(MultiHead(False), (2, 10, 64), **settings)
    assert causes(check) == {name: 2 * 2 * 10 * 10 * 64}
    assert check.unexplained_modules == ()


def test_a_fused_layer_is_held_against_the_parts_in_its_submodules() -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    check = checked(layer, (2, 10, 64), device="cpu")
    assert causes(check) == {"fused inference kernels": 25600, "layer_norm": -2 * 5 * 2 * 10 * 64}
    assert check.unexplained_modules == ()


def test_only_the_forward_of_a_training_step_is_compared() -> None:
    forward = checked(UNet(), (2, 3, 64, 64))
    assert checked(UNet(), (2, 3, 64, 64), mode="training") == forward


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Linear(8, 8)
        self.extra = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.main(x)
        return out + self.extra(x) if self.training else out


def test_a_module_that_runs_in_training_alone() -> None:
    check = checked(Branches(), (2, 8), mode="training")
    assert causes(check) == {"uncalled modules": 128}


class Otherwise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ x[:, :5] if torch.jit.is_tracing() else x @ x[:, :3]


def test_what_has_no_cause_is_shown_as_such() -> None:
    check = checked(Otherwise(), (8, 8))
    assert check.causes == ()
    assert check.unexplained == 8 * 8 * 3 - 8 * 8 * 5
    assert [(m.path, m.macs, m.ops) for m in check.unexplained_modules] == [("", -128, 2)]


def test_a_total_that_its_operations_do_not_make_up_is_unexplained() -> None:
    module = nn.Linear(8, 8)
    opinion = dataclasses.replace(second_opinion(module, (2, 8)), total=1000)
    check = cross_check(trace(module, (2, 8)), opinion)
    assert (check.difference, check.unexplained, check.causes) == (-872, -872, ())


def test_work_given_to_another_module_makes_no_difference() -> None:
    record = trace(nn.Sequential(nn.Linear(8, 8)), (2, 8))
    opinion = SecondOpinion("fvcore", "1", total=128, counted=(CountedOp("", "linear", 128),))
    check = cross_check(record, opinion)
    assert (check.difference, check.causes, check.unexplained_modules) == (0, (), ())


def test_no_second_count() -> None:
    record = trace(nn.Linear(8, 8), (2, 8))
    check = cross_check(record, SecondOpinion("fvcore", "1", unavailable="it is not there"))
    assert (check.ours, check.theirs, check.difference) == (128, None, None)
    assert check.unavailable == "it is not there"


@pytest.mark.parametrize("a", [(4,), (3, 4), (2, 3, 4), (5, 1, 3, 4)])
@pytest.mark.parametrize("b", [(4,), (4, 6), (2, 4, 6), (5, 2, 4, 6)])
def test_macs_of_a_broadcast_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert macs_of_matmul((a, b)) == 4 * torch.matmul(torch.zeros(a), torch.zeros(b)).numel()


def test_unused_operations_are_told_by_what_the_output_needs() -> None:
    record = trace(Unused(), (2, 8))
    paths = {record.calls[record.ops[index].call].path for index in unused_ops(record)}
    assert paths == {"unused"}

    def written_into(x: torch.Tensor) -> torch.Tensor:
        out = x.new_zeros(8, 8)
        out[:2] = x @ x.new_zeros(8, 8)
        return out

    assert not unused_ops(trace(Fn(written_into), (2, 8)))
