"""Weight-only and dynamic int8, and what holds for every kind."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_stub import import_timm

import blocktool
from blocktool.blocks import ConvBlock, SelfAttention, TransformerBlock
from blocktool.errors import (
    InputError,
    ModuleError,
    OptimizationError,
    UsageError,
)
from blocktool.optimize import quantize_linear
from blocktool.optimize.sqnr import module_bytes, output_differences
from blocktool.optimize.torchao import import_torchao

LINEAR_KINDS = ("weight-only", "dynamic")


@pytest.fixture(scope="module", autouse=True)
def _torchao() -> Any:
    try:
        return import_torchao()
    except OptimizationError as error:
        pytest.skip(error.message)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def vit() -> nn.Sequential:
    """Two blocks of width 64: 8 linear layers with 2 * 12 * 64 * 64 weights, 2 * 9 * 64 biases."""
    return nn.Sequential(TransformerBlock(64), TransformerBlock(64)).eval()


def levels(values: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 of each row, as a paper would have it: whole numbers, and their scale."""
    scale = values.abs().amax(-1, keepdim=True) / 127.5
    return (values * (1 / scale)).round().clamp(-128, 127), scale


def sqnr(original: Tensor, changed: Tensor) -> float:
    noise = (original - changed).pow(2).sum()
    return float(10 * torch.log10(original.pow(2).sum() / noise))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(40, 24), (3, 5), (2, 1)])
def test_weight_only_is_rounding_of_each_row(sizes: tuple[int, int], bias: bool) -> None:
    linear, x = nn.Linear(*sizes, bias=bias), torch.randn(6, sizes[0])
    weight, scale = levels(linear.weight.detach())
    found = blocktool.quantize(linear, x, measure=False)
    with torch.no_grad():
        expected = F.linear(x, weight * scale, linear.bias)
        assert torch.allclose(found.module(x), expected, atol=1e-6)
        assert not torch.allclose(found.module(x), linear(x), atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 40), (2, 3, 40), (40,)])
def test_dynamic_is_a_product_of_whole_numbers(shape: tuple[int, ...]) -> None:
    linear, x = nn.Linear(40, 24), torch.randn(shape)
    weight, weight_scale = levels(linear.weight.detach())
    tokens, token_scale = levels(x)
    found = blocktool.quantize(linear, x, kind="dynamic", measure=False).module
    with torch.no_grad():
        products = tokens.double() @ weight.double().T
        expected = products * token_scale * weight_scale.flatten() + linear.bias
        assert torch.allclose(found(x).double(), expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "least"), [("weight-only", 40), ("dynamic", 33)])
def test_transformer(kind: Any, least: float) -> None:
    module, x = vit(), torch.randn(2, 20, 64)
    found = blocktool.quantize(module, x, kind=kind, measure=False)
    assert found.report.counts == {"Linear": 8}
    assert found.report.unquantized == ()
    with torch.no_grad():
        seen = sqnr(module(x), found.module(x))
    assert found.report.sqnr_db == pytest.approx(seen, abs=0.01)
    assert seen > least


def test_size_by_arithmetic() -> None:
    report = blocktool.quantize(vit(), kind="weight-only").report
    weights, rows = 2 * 12 * 64 * 64, 2 * 9 * 64  # qkv 3, proj 1, fc1 4, fc2 1 times 64 rows
    norms = 2 * 2 * 2 * 64
    assert report.original_bytes == 4 * (weights + rows + norms)
    # A weight is a byte; a row has a float scale, an int8 zero point and a float bias.
    assert report.quantized_bytes == weights + rows * (4 + 1 + 4) + 4 * norms


@pytest.mark.parametrize("kind", LINEAR_KINDS)
def test_zoo_model(kind: Any) -> None:
    model = import_timm().create_model("vit_tiny_patch16_224", depth=2, img_size=32, num_classes=10)
    found = blocktool.quantize(model.eval(), (2, 3, 32, 32), kind=kind, measure=False)
    assert found.report.counts == {"Linear": 9}
    assert [layer.path for layer in found.report.unquantized] == ["", "patch_embed.proj"]
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 25


@pytest.mark.parametrize("kind", LINEAR_KINDS)
def test_state_dict_is_small_and_loads(kind: Any) -> None:
    module, x = vit(), torch.randn(2, 20, 64)
    found = blocktool.quantize(module, x, kind=kind, measure=False).module
    file, float_file = io.BytesIO(), io.BytesIO()
    torch.save(found.state_dict(), file)
    torch.save(module.state_dict(), float_file)
    assert len(file.getvalue()) < 0.4 * len(float_file.getvalue())
    file.seek(0)
    other = blocktool.quantize(vit(), kind=kind).module
    other.load_state_dict(torch.load(file), assign=True)
    with torch.no_grad():
        assert torch.equal(other(x), found(x))


@pytest.mark.parametrize("kind", LINEAR_KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(kind: Any, dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8)).to(dtype)
    found = blocktool.quantize(module, (4, 32), kind=kind, measure=False)
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 30
    assert found.module(torch.randn(4, 32, dtype=dtype)).dtype is dtype


class Everything(nn.Module):
    """A layer for each reason to leave one alone, and one that is quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 1)
        self.attention = nn.MultiheadAttention(8, 2)
        self.embed = nn.Embedding(5, 8)
        self.tied = nn.Linear(8, 5, bias=False)
        self.tied.weight = self.embed.weight
        self.narrow = nn.Linear(1, 8)
        self.double = nn.Linear(8, 8).double()
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.head = nn.Linear(8, 8)
        self.good = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.good(x))


@pytest.mark.parametrize("kind", LINEAR_KINDS)
def test_what_is_left_has_its_reason(kind: Any) -> None:
    report = blocktool.quantize(Everything(), (2, 8), kind=kind, skip=["head"]).report
    assert [layer.path for layer in report.quantized] == ["good"]
    reasons = {layer.path: layer.reason for layer in report.unquantized}
    for path, words in {
        "conv": "for nn.Linear",
        "attention": "for nn.Linear",
        "attention.out_proj": "past the layer",
        "embed": "for nn.Linear",
        "tied": "shares its weight with 'embed'",
        "narrow": "single input feature",
        "double": "float64",
        "normed": "parametrized",
        "head": "skipped",
    }.items():
        assert words in reasons[path]
    sizes = {layer.path: layer.param_bytes for layer in report.unquantized}
    assert sizes["conv"] == 4 * (8 * 8 + 8)
    assert "good" not in str(report)
    assert "conv (Conv1d, 288 bytes)" in str(report)
    assert "more" in str(report)


def test_tied_linears_stay_tied() -> None:
    module = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    module[1].weight = module[0].weight
    found = blocktool.quantize(module, (2, 8), measure=False)
    assert found.module[1].weight is found.module[0].weight  # type: ignore[index]
    assert found.report.quantized_bytes == 64 + 8 * 5


@pytest.mark.parametrize("kind", ["weight-only", "dynamic", "static"])
def test_the_given_module_is_untouched(kind: Any) -> None:
    module = nn.Sequential(ConvBlock(3, 8), nn.Flatten(), nn.Dropout(0.5), nn.Linear(128, 4))
    module.train()
    module[0].eval()
    seen: list[object] = []
    handle = module[3].register_forward_hook(lambda *call: seen.append(1))
    module[3].weight.grad = torch.ones_like(module[3].weight)
    before = copy.deepcopy(module.state_dict())
    flags = [one.training for one in module.modules()]
    random = torch.get_rng_state()
    found = blocktool.quantize(module, (2, 3, 4, 4), kind=kind, rounds=2)
    assert torch.equal(random, torch.get_rng_state())
    assert flags == [one.training for one in module.modules()]
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert type(module[3].weight) is nn.Parameter
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert module[3].weight.grad is not None
    assert list(module[3]._forward_hooks) == [handle.id]
    assert not found.module.training


def test_also_after_an_error() -> None:
    module = nn.Sequential(nn.Linear(8, 4), nn.Linear(8, 4)).train()
    random = torch.get_rng_state()
    with pytest.raises(ModuleError, match="shapes cannot be multiplied"):
        blocktool.quantize(module, (2, 8))
    assert module.training
    assert torch.equal(random, torch.get_rng_state())


def test_inputs_are_not_changed() -> None:
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 4))
    x = torch.randn(3, 8)
    before = x.clone()
    report = blocktool.quantize(module, x, rounds=2).report
    assert torch.equal(x, before)
    assert report.sqnr_db is not None
    assert report.sqnr_db > 30


def test_keyword_inputs_and_several_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 4)

        def forward(self, x: Tensor, *, y: Tensor) -> dict[str, Tensor]:
            return {"a": self.a(x), "b": y, "zero": 0 * y, "ids": x.argmax(1)}

    report = blocktool.quantize(Two(), {"x": (3, 8), "y": (2, 2)}, measure=False).report
    assert [output.name for output in report.outputs] == ["a", "b", "zero"]
    a, b, zero = report.outputs
    assert a.sqnr_db is not None
    assert 30 < a.sqnr_db < 60
    assert b.sqnr_db == float("inf")
    assert zero.sqnr_db is None
    assert report.sqnr_db == a.sqnr_db
    assert "the worst of 3 outputs" in str(report)


def test_differences_by_hand() -> None:
    (one,) = output_differences(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5]))
    assert one.sqnr_db == pytest.approx(20.0)  # 5 over 0.5
    assert one.max_relative_error == pytest.approx(0.125)
    with pytest.raises(ValueError, match="differ"):
        output_differences(torch.ones(2), torch.ones(3))


def test_bytes_by_hand() -> None:
    module = nn.Linear(4, 2)
    module.register_buffer("scratch", torch.zeros(3, dtype=torch.int16), persistent=False)
    module.register_parameter("again", module.weight)
    module.table = torch.zeros(5)  # type: ignore[assignment]
    assert module_bytes(module) == 4 * (8 + 2) + 6 + 20


def test_a_speed_that_is_not_better_is_a_warning() -> None:
    report = blocktool.quantize(nn.Linear(4, 4), (1, 4), kind="dynamic", rounds=5).report
    assert report.speed is not None
    assert report.speed.ratio > 1  # quantizing 4 numbers takes longer than multiplying them
    assert any(warning.startswith("not faster") for warning in report.warnings)
    assert blocktool.quantize(nn.Linear(4, 4), (1, 4), measure=False).report.speed is None


def test_a_block_brings_its_inputs() -> None:
    report = blocktool.quantize(TransformerBlock(32), measure=False).report
    assert report.sqnr_db is not None
    assert report.sqnr_db > 40


def test_without_inputs_nothing_is_measured() -> None:
    report = blocktool.quantize(nn.Linear(16, 16)).report
    assert (report.outputs, report.speed, report.sqnr_db) == ((), None, None)
    assert any("no inputs" in warning for warning in report.warnings)


def test_a_branch_that_is_off_is_a_warning() -> None:
    block = SelfAttention(16, residual=True)
    nn.init.zeros_(block.proj.weight)
    nn.init.zeros_(block.proj.bias)
    report = blocktool.quantize(block, (2, 5, 16), measure=False).report
    assert any("bit for bit" in warning for warning in report.warnings)


@pytest.mark.parametrize("kind", LINEAR_KINDS)
def test_a_quantizer_that_does_nothing_is_caught(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_torchao(), "quantize_", lambda *args, **kwargs: None)
    with pytest.raises(OptimizationError, match=r"left .* as it was"):
        blocktool.quantize(nn.Linear(8, 8), (2, 8), kind=kind)


def test_a_result_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(module: nn.Module, *rest: Any) -> Any:
        layers = quantize_linear.quantize_linears(module, *rest)
        nn.init.constant_(module.bias, float("nan"))  # type: ignore[arg-type]
        return layers

    monkeypatch.setattr("blocktool.optimize.quantize.quantize_linears", spoil)
    with pytest.raises(OptimizationError, match="not finite"):
        blocktool.quantize(nn.Linear(8, 8), (2, 8))


def test_nothing_to_quantize() -> None:
    conv = nn.Sequential(ConvBlock(3, 8), ConvBlock(8, 8))
    for kind in LINEAR_KINDS:
        with pytest.raises(OptimizationError, match=f'kind="{kind}" quantizes nothing') as found:
            blocktool.quantize(conv, (1, 3, 8, 8), kind=kind)  # type: ignore[arg-type]
        assert found.value.hint is not None
        assert 'kind="static"' in found.value.hint
    with pytest.raises(OptimizationError, match="no layer with weights"):
        blocktool.quantize(nn.ReLU(), (1, 3))
    with pytest.raises(OptimizationError, match="skipped, as asked for"):
        blocktool.quantize(nn.Sequential(nn.Linear(4, 4)), (1, 4), skip=["*"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "int8"}, UsageError, "unknown kind 'int8'"),
        ({"kind": "dynamic", "calibration": [(1, 8)]}, UsageError, 'for kind="static"'),
        ({"skip": ["2"]}, UsageError, "no module has the path '2'"),
        ({"skip": "0"}, UsageError, "a sequence of paths"),
        ({"rounds": 0}, UsageError, "not positive"),
        ({"inputs": None, "compile": True}, UsageError, "needs inputs"),
        ({"inputs": None, "kind": "static"}, UsageError, "needs inputs"),
        ({"inputs": (0, 8)}, InputError, "must be positive"),
        ({"inputs": (2, 9)}, ModuleError, "cannot be multiplied"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as found:
        blocktool.quantize(nn.Sequential(nn.Linear(8, 4)), **{"inputs": (2, 8), **options})
    assert "\n" not in str(found.value)


def test_wrong_modules() -> None:
    with torch.device("meta"):
        hollow = nn.Linear(8, 8)
    with pytest.raises(OptimizationError, match="meta device"):
        blocktool.quantize(hollow, (2, 8))
    stuck = nn.Linear(8, 8)
    stuck.generator = (number for number in range(3))  # type: ignore[assignment]
    with pytest.raises(OptimizationError, match="cannot be copied"):
        blocktool.quantize(stuck, (2, 8))


@pytest.fixture
def without_torchao(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="torchao")

    monkeypatch.setattr("blocktool.optimize.torchao.import_module", refuse)


@pytest.mark.usefixtures("without_torchao")
@pytest.mark.parametrize("kind", ["weight-only", "dynamic", "static"])
def test_missing_torchao(kind: Any) -> None:
    with pytest.raises(OptimizationError, match="needs torchao, which is missing") as found:
        blocktool.quantize(nn.Linear(8, 8), (2, 8), kind=kind)
    assert found.value.hint == "pip install 'blocktool[quantize]'"
