"""Each kind of fold on layers of every sort, against the module itself and by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from block_references import randomize, waves
from torch import Tensor, nn
from zoo_stub import import_timm

import blocktool
from blocktool.errors import OptimizationError
from blocktool.results.optimize import FuseReport

DOUBLE = torch.float64


def fused(module: nn.Module, *shapes: tuple[int, ...]) -> tuple[nn.Module, FuseReport]:
    """The fused copy of the randomised module in float64, after it was found to give the same."""
    module = randomize(module.double()).eval()
    inputs = tuple(waves(*shape, dtype=DOUBLE) for shape in shapes)
    result = blocktool.fuse(module, inputs)
    with torch.no_grad():
        wanted, got = module(*inputs), copy.deepcopy(result.module)(*inputs)
    assert (wanted - got).abs().max() < 1e-12 * wanted.abs().max()
    return result.module, result.report


def done(report: FuseReport) -> list[tuple[str, str, str]]:
    return [(part.kind, part.path, part.into) for part in report.fused]


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), (2, 4, 9)),
    "2d": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)), (2, 4, 9, 8)),
    "3d": (lambda: nn.Sequential(nn.Conv3d(4, 6, 3), nn.BatchNorm3d(6)), (2, 4, 5, 6, 7)),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)),
        (2, 4, 9, 8),
    ),
    "circular": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(6)
        ),
        (2, 4, 9, 8),
    ),
    "without affine": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False, eps=0.1)),
        (2, 4, 9, 8),
    ),
    "transposed 1d": (
        lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 3, stride=2), nn.BatchNorm1d(6)),
        (2, 4, 9),
    ),
    "transposed in groups": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6)),
        (2, 4, 5, 6),
    ),
    "linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), (5, 4)),
    "linear without bias": (
        lambda: nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, affine=False)),
        (5, 4),
    ),
    "with nothing between": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(4, 6, 1)), nn.Identity(), nn.Dropout(), nn.BatchNorm2d(6)
        ),
        (2, 4, 5, 5),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_norms_behind_layers(kind: str) -> None:
    make, shape = LAYERS[kind]
    module, report = fused(make(), shape)
    assert report.counts["linear_bn" if "linear" in kind else "conv_bn"] == 1
    assert not any(isinstance(inner, nn.modules.batchnorm._BatchNorm) for inner in module.modules())


def test_a_fold_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0))
    conv, norm = module
    for tensor, value in (
        (conv.weight, 3.0),
        (conv.bias, 5.0),
        (norm.running_mean, 1.0),
        (norm.running_var, 4.0),
        (norm.weight, 8.0),
        (norm.bias, 7.0),
    ):
        nn.init.constant_(tensor, value)
    folded = blocktool.fuse(module, (1, 1, 1, 1)).module[0]
    # (3 x + 5 - 1) / 2 * 8 + 7
    assert (folded.weight.item(), folded.bias.item()) == (12.0, 23.0)


def test_two_norms_in_a_row() -> None:
    module = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6))
    _, report = fused(module, (2, 4, 9, 8))
    assert done(report) == [("conv_bn", "1", "0"), ("conv_bn", "2", "0")]


def test_what_follows_is_not_what_is_registered_next() -> None:
    class Crossed(nn.Module):
        """Registered conv, norm, conv, norm; executed with the norms exchanged."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.norm_a = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.b, self.norm_b = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm_a(self.b(self.norm_b(self.a(x)).relu()))

    _, report = fused(Crossed(), (2, 4, 5, 5))
    assert done(report) == [("conv_bn", "norm_a", "b"), ("conv_bn", "norm_b", "a")]


def test_functional_code_around() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleDict({"x": nn.Conv2d(4, 4, 3), "y": nn.BatchNorm2d(4)})

        def forward(self, x: Tensor, times: int = 2) -> Tensor:
            x = torch.nn.functional.pad(x, (1, 1, 1, 1))
            x = self.stages["x"](x)
            if x.shape[1] == 4:
                x = self.stages["y"](x)
            return sum(x.sigmoid() * i for i in range(times))

    _, report = fused(Functional(), (2, 4, 5, 5))
    assert done(report) == [("conv_bn", "stages.y", "stages.x")]


def test_a_module_of_two_names_is_replaced_under_both() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 6, 3)
            self.norm = nn.BatchNorm2d(6)
            self.same = self.norm

        def forward(self, x: Tensor) -> Tensor:
            return self.same(self.conv(x))

    copy_, report = fused(Named(), (2, 4, 9, 8))
    assert report.counts["conv_bn"] == 1
    assert isinstance(copy_.norm, nn.Identity)
    assert copy_.same is copy_.norm


def test_norm_with_its_activation() -> None:
    """timm's BatchNormAct2d: dropout and activation stay."""
    module = import_timm().layers.ConvNormAct(4, 6, 3, act_layer=nn.SiLU)
    copy_, report = fused(module, (2, 4, 9, 8))
    assert done(report) == [("conv_bn", "bn", "conv")]
    assert [type(inner) for inner in copy_.bn] == [nn.Identity, nn.SiLU]


class Scale(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full(shape, 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


@pytest.mark.parametrize(
    ("make", "shape", "folds"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 6), Scale(6)), (2, 5, 4), True),
        (lambda: nn.Sequential(nn.Linear(4, 6), Scale(1, 1, 6)), (2, 5, 4), True),
        (lambda: nn.Sequential(nn.Conv2d(4, 6, 1), Scale(6, 1, 1)), (2, 4, 6, 6), True),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2), Scale(1, 6, 1, 1)), (2, 4, 3, 3), True),
        # Along the columns, of which there are six as well.
        (lambda: nn.Sequential(nn.Conv2d(4, 6, 1), Scale(6)), (2, 4, 6, 6), False),
        (lambda: nn.Sequential(nn.Linear(4, 6), Scale(6, 1)), (2, 6, 4), False),
        (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), Scale(6)), (2, 5, 4), None),
        (lambda: nn.Sequential(nn.Linear(4, 6), Scale(1)), (2, 5, 4), None),
    ],
)
def test_factor_modules(
    make: Callable[[], nn.Module], shape: tuple[int, ...], folds: bool | None
) -> None:
    _, report = fused(make(), shape)
    assert report.counts["layer_scale"] == bool(folds)
    assert [part.reason for part in report.refused] == (
        ["its factors do not lie along the channels of 0"] if folds is False else []
    )


class Inline(nn.Module):
    """A factor in the forward itself, as in ConvNeXt and CaiT; maps as wide as they are deep."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.inner = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6))
        self.gamma = nn.Parameter(torch.full((6,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x.permute(0, 2, 3, 1))
        if self.how == "before":
            return (self.gamma * y).permute(0, 3, 1, 2)
        y = y.permute(0, 3, 1, 2)
        if self.how == "after":
            return y.mul(self.gamma.reshape(1, -1, 1, 1))
        if self.how == "twice":
            return y * self.gamma[:, None, None] + y
        return y * self.gamma  # along the columns


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("before", None),
        ("after", None),
        ("twice", "is also used by aten.add"),
        ("columns", "with a new forward the outputs differ by"),
    ],
)
def test_factors_in_a_forward(how: str, reason: str | None) -> None:
    module = nn.Sequential(Inline(how))
    copy_, report = fused(module, (2, 4, 6, 6))
    if reason is None:
        assert done(report) == [("layer_scale", "0.gamma", "0.inner.2")]
        assert "0.gamma" not in copy_.state_dict()
    else:
        assert report.fused == ()
        assert any(reason in part.reason for part in report.refused)


def test_branches_by_their_own_method() -> None:
    timm = import_timm()
    block = timm.models.byobnet.MobileOneBlock(4, 4, num_conv_branches=2)
    copy_, report = fused(nn.Sequential(block), (2, 4, 6, 6))
    assert done(report) == [("reparameterized", "0", "reparameterize()")]
    assert sum(isinstance(inner, nn.Conv2d) for inner in copy_.modules()) == 1


class Branch(nn.Module):
    """Merges two branches into a new module; ``fault`` does it wrong, ``crash`` not at all."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how
        self.a = nn.Conv2d(4, 4, 1)
        self.b = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)

    def fuse(self) -> nn.Module:
        self.a.weight.data += 0.0 if self.how == "fault" else self.b.weight.data
        if self.how == "crash":
            raise RuntimeError("not today")
        self.a.bias.data += self.b.bias.data
        return self.a


def test_a_method_that_returns_a_new_module() -> None:
    copy_, report = fused(nn.Sequential(Branch()), (2, 4, 6, 6))
    assert done(report) == [("reparameterized", "0", "fuse()")]
    assert isinstance(copy_[0], nn.Conv2d)
    assert isinstance(fused(Branch(), (2, 4, 6, 6))[0], nn.Conv2d)


def test_a_method_that_fails_is_refused() -> None:
    """And what it did before it failed does not show."""
    _, report = fused(nn.Sequential(Branch("crash")), (2, 4, 6, 6))
    assert [part.reason for part in report.refused] == [
        "its fuse() failed: RuntimeError: not today"
    ]


def test_a_method_that_is_wrong_is_an_error() -> None:
    with pytest.raises(OptimizationError, match="the outputs differ by"):
        blocktool.fuse(nn.Sequential(Branch("fault")), (2, 4, 6, 6))
