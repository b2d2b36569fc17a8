"""What must not be fused, and the reason that is given for it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from block_references import randomize, waves
from torch import Tensor, nn

import blocktool
from blocktool.results.optimize import FuseReport

SIZE = (2, 4, 6, 6)


class Pair(nn.Module):
    """A convolution and its norm; subclasses use them in other ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class SharedConv(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.conv(x)))


class SharedNorm(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.norm(self.conv(x)))


class UsedTwice(Pair):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.norm(x) + x


class ViewUsedTwice(Pair):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.norm(x) + x.flatten(1).mean(1).view(-1, 1, 1, 1)


class Returned(Pair):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        return self.norm(x), x


class Kept(Pair):
    def forward(self, x: Tensor) -> Tensor:
        self.last = self.conv(x)
        return self.norm(self.last)


class ChangedBetween(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu_())


class ViewedBetween(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).view(2, 4, 36, 1))


class NormFirst(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


class PreActivation(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


class FunctionalConv(Pair):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.conv2d(x, self.weight))


class WeightUsed(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.conv.weight.mean()


class StatisticsUsed(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm.running_mean.mean()


class OtherAxis(Pair):
    """Tokens: the norm would fit, but it is over six of them, not over six channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.flatten(2).transpose(1, 2)[:, :6]))


class StandardizedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, padding=1)


class ActivatedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def _with_layer(layer: nn.Module) -> Pair:
    pair = Pair()
    pair.conv = layer
    return pair


def _without_statistics() -> Pair:
    pair = Pair()
    pair.norm = nn.BatchNorm2d(4, track_running_stats=False)
    return pair


def _tied() -> Pair:
    pair = Pair()
    pair.other = nn.Conv2d(4, 4, 3)
    pair.other.weight = pair.conv.weight
    return pair


def _hooked(name: str, kind: str) -> Pair:
    pair = Pair()
    getattr(pair.get_submodule(name), f"register_forward_{kind}")(lambda *args: None)
    return pair


def _watched_from_outside() -> nn.Module:
    inner = nn.Sequential(nn.Conv2d(4, 4, 3))
    inner.register_forward_hook(lambda module, args, out: None)
    return nn.Sequential(inner, nn.BatchNorm2d(4))


def _parametrized() -> Pair:
    pair = Pair()
    nn.utils.parametrizations.weight_norm(pair.conv)
    return pair


def _in_a_list() -> Pair:
    pair = Pair()
    pair.all_norms = [pair.norm]
    return pair


def _always_training() -> Pair:
    class Training(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Training:
            return super().train(True)

    pair = Pair()
    pair.norm = Training(4)
    return pair


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "shared conv": (SharedConv, "conv: it is called 2 times (shared)"),
    "shared norm": (SharedNorm, "it is called 2 times (shared)"),
    "used twice": (UsedTwice, "the output of conv is also used by aten.add"),
    "view used": (ViewUsedTwice, "the output of conv is viewed or changed"),
    "returned": (Returned, "the tensor between is an output"),
    "kept": (Kept, "the tensor between is kept"),
    "changed between": (ChangedBetween, "before it is aten.relu_, not a convolution"),
    "viewed between": (ViewedBetween, "before it is aten.view, not a convolution"),
    "norm first": (NormFirst, "it stands first"),
    "pre-activation": (PreActivation, "before it is aten.relu, not a convolution (pre-activation)"),
    "functional": (FunctionalConv, "whose weights belong to no layer"),
    "weight used": (WeightUsed, "the weights of conv are used elsewhere"),
    "statistics used": (StatisticsUsed, "its parameters or statistics are used elsewhere"),
    "another axis": (OtherAxis, "it normalises another axis than that of the channels"),
    "standardized": (
        lambda: _with_layer(StandardizedConv(4, 4, 3)),
        "conv computes its weight anew at every call",
    ),
    "activated": (
        lambda: _with_layer(ActivatedConv(4, 4, 3)),
        "conv changes what its product gives",
    ),
    "no statistics": (_without_statistics, "it has no running statistics"),
    "tied": (_tied, "its parameters are shared with another module"),
    "hook": (lambda: _hooked("conv", "hook"), "conv: it has hooks"),
    "pre-hook": (lambda: _hooked("norm", "pre_hook"), "it has hooks"),
    "hook around": (_watched_from_outside, "a hook of 0 sees the tensor between"),
    "parametrized": (_parametrized, "parametrization"),
    "in a list": (_in_a_list, "it is also kept in a plain attribute"),
    "training": (_always_training, "it stays in training mode"),
}


def refused(module: nn.Module) -> FuseReport:
    """The report, after the copy was found to give exactly what the module gives."""
    randomize(module)
    result = blocktool.fuse(module, SIZE)
    x = waves(*SIZE)
    with torch.no_grad():
        wanted = copy.deepcopy(module).eval()(x)
        got = copy.deepcopy(result.module)(x)
    for mine, theirs in zip(
        got if isinstance(got, tuple) else (got,),
        wanted if isinstance(wanted, tuple) else (wanted,),
        strict=True,
    ):
        assert torch.equal(mine, theirs)
    return result.report


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case: str) -> None:
    make, reason = REFUSED[case]
    report = refused(make())
    assert report.fused == ()
    assert reason in report.refused[0].reason
    assert "nothing to fuse" in str(report)
    assert reason in str(report)
    assert report.unverified == "nothing was changed"


def test_the_plain_pair_is_fused() -> None:
    """Else the refusals above would show nothing."""
    report = blocktool.fuse(Pair(), SIZE).report
    assert [(part.path, part.into) for part in report.fused] == [("norm", "conv")]
    assert report.refused == ()


def test_a_norm_that_is_not_called() -> None:
    class Unused(Pair):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.BatchNorm2d(4)

    report = blocktool.fuse(Unused(), SIZE).report
    assert report.counts["conv_bn"] == 1
    assert [(part.path, part.reason) for part in report.refused] == [("extra", "it is not called")]
