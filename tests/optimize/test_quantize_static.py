"""Static int8 through torch.export, and compiled modules."""

from __future__ import annotations

import copy
import io
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from block_references import randomize
from torch import Tensor, nn
from zoo_stub import import_torchvision

import blocktool
from blocktool.blocks import BottleneckBlock, ConvBlock, TransformerBlock
from blocktool.errors import InputError, OptimizationError
from blocktool.optimize import quantize_static
from blocktool.optimize.quantize import Quantized
from blocktool.optimize.sqnr import module_bytes
from blocktool.optimize.torchao import import_torchao

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"
)


@pytest.fixture(scope="module", autouse=True)
def _torchao() -> None:
    try:
        import_torchao()
    except OptimizationError as error:
        pytest.skip(error.message)


def network() -> nn.Sequential:
    """Seven layers with weights, whose norms do something."""
    torch.manual_seed(0)
    module = nn.Sequential(
        ConvBlock(3, 32, stride=2),
        BottleneckBlock(32, 64),
        ConvBlock(64, 64, groups=64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    randomize(module)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)  # or the output is little else than its bias
    return module.eval()


X = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
BATCHES = [torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(s)) for s in (2, 3)]
LAYERS = {
    "0.conv": (32, 27),
    "1.conv1.conv": (16, 32),
    "1.conv2.conv": (16, 144),
    "1.conv3.conv": (64, 16),
    "1.shortcut.conv": (64, 32),
    "2.conv": (64, 9),
    "5": (10, 64),
}


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return blocktool.quantize(network(), X, kind="static", calibration=BATCHES, rounds=3)


def test_every_convolution_and_linear(quantized: Quantized) -> None:
    report = quantized.report
    assert {layer.path for layer in report.quantized} == set(LAYERS)
    assert report.counts == {"Conv2d": 6, "Linear": 1}
    assert report.unquantized == ()
    assert not any("calibrat" in warning for warning in report.warnings)


def test_error_against_the_original(quantized: Quantized) -> None:
    with torch.no_grad():
        original = network()(X)
        noise = original - quantized.module(X)
    seen = float(10 * torch.log10(original.pow(2).sum() / noise.pow(2).sum()))
    assert quantized.report.sqnr_db == pytest.approx(seen, abs=0.01)
    assert seen > 25
    largest = float(noise.abs().max() / original.abs().max())
    assert quantized.report.max_relative_error == pytest.approx(largest, rel=1e-4)


def test_size_by_arithmetic(quantized: Quantized) -> None:
    # A weight is a byte; a row has a float scale, an int64 zero point and a float bias.
    expected = sum(rows * (columns + 4 + 8 + 4) for rows, columns in LAYERS.values())
    assert quantized.report.quantized_bytes == expected
    assert quantized.report.original_bytes == module_bytes(network())


def test_no_dead_weights(quantized: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    floats = [
        name
        for name, tensor in quantized.module.state_dict().items()
        if tensor.is_floating_point() and tensor.dim() > 1
    ]
    assert floats == []
    # Without the step that drops them they are there, and more than the original had.
    monkeypatch.setattr(quantize_static, "_drop_unused", lambda graph: None)
    kept = blocktool.quantize(network(), X, kind="static", measure=False).report
    assert kept.quantized_bytes > kept.original_bytes


def test_weights_are_rounded_rows(quantized: Quantized) -> None:
    weight = network()[5].weight.detach()
    scale = weight.abs().amax(1, keepdim=True) / 127.5
    expected = (weight / scale).round().clamp(-128, 127)
    found = [
        tensor
        for tensor in quantized.module.buffers()
        if tensor.dtype is torch.int8 and tensor.shape == weight.shape
    ]
    (int8,) = found
    assert (int8 - expected).abs().max() <= 1  # ties may go either way
    assert (int8 == expected).float().mean() > 0.95


def test_state_dict_is_small_and_loads(quantized: Quantized) -> None:
    file, float_file = io.BytesIO(), io.BytesIO()
    torch.save(quantized.module.state_dict(), file)
    torch.save(network().state_dict(), float_file)
    assert len(file.getvalue()) < len(float_file.getvalue())
    file.seek(0)
    other = network()
    randomize(other, seed=1)
    loaded = blocktool.quantize(other, X, kind="static", calibration=BATCHES, measure=False).module
    with torch.no_grad():
        assert not torch.equal(loaded(X), quantized.module(X))
    loaded.load_state_dict(torch.load(file))
    int8 = {key: value for key, value in loaded.state_dict().items() if value.dtype is torch.int8}
    assert int8
    for key, value in int8.items():
        assert torch.equal(value, quantized.module.state_dict()[key])


def test_batch_modes_and_sizes(quantized: Quantized) -> None:
    module = quantized.module
    holder = nn.Sequential(module)
    assert not any(one.training for one in holder.train().modules() if one is not holder)
    assert holder.eval()(torch.randn(7, 3, 32, 32)).shape == (7, 10)
    with pytest.raises(AssertionError, match="Guard"):
        module(torch.randn(7, 3, 30, 32))


def test_from_a_batch_of_one_to_any() -> None:
    found = blocktool.quantize(network(), X[:1], kind="static", calibration=[X], measure=False)
    assert not any("batch size" in warning for warning in found.report.warnings)
    assert found.module(X).shape == (4, 10)
    assert torch.allclose(found.module(X)[:1], found.module(X[:1]), atol=1e-5)
    report = blocktool.quantize(network(), X[:1], kind="static", measure=False).report
    assert any("given inputs alone" in warning for warning in report.warnings)


class PerSample(nn.Module):
    """A forward that takes the samples one by one, so that their number is in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.linear(x[i]) for i in range(x.shape[0])])


def test_a_batch_that_is_fixed_is_a_warning() -> None:
    found = blocktool.quantize(PerSample(), (3, 4), kind="static", measure=False)
    assert any("batch size" in warning for warning in found.report.warnings)
    with pytest.raises(AssertionError, match="Guard"):
        found.module(torch.randn(2, 4))


def test_random_calibration_is_a_warning() -> None:
    report = blocktool.quantize(network(), (2, 3, 32, 32), kind="static", rounds=3).report
    assert any("random inputs" in warning for warning in report.warnings)
    assert any("without compile=True" in warning for warning in report.warnings)
    assert "warning: calibrated on random inputs" in str(report)


def test_calibration_decides_the_ranges() -> None:
    tiny = [batch / 100 for batch in BATCHES]
    bad = blocktool.quantize(network(), X, kind="static", calibration=tiny, measure=False).report
    assert bad.sqnr_db is not None
    assert bad.sqnr_db < 15


def test_calibration_alone_gives_the_inputs() -> None:
    batches = iter(BATCHES)
    report = blocktool.quantize(network(), kind="static", calibration=batches, measure=False).report
    assert report.sqnr_db is not None
    assert any("a batch of the calibration" in warning for warning in report.warnings)
    assert list(batches) == []


def test_skipped_layers() -> None:
    found = blocktool.quantize(network(), X, kind="static", skip=["1.conv?", "5"], measure=False)
    left = {layer.path: layer.reason for layer in found.report.unquantized}
    assert left == dict.fromkeys(
        ["1.conv1.conv", "1.conv2.conv", "1.conv3.conv", "5"], "skipped, as asked for"
    )
    assert {layer.path for layer in found.report.quantized} == set(LAYERS) - set(left)


class Mixed(nn.Module):
    """A functional convolution, a layer used twice, one never called, and one of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(4, 4, 1)
        self.never = nn.Conv2d(4, 4, 1)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.kernel = nn.Parameter(torch.randn(4, 4, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.conv2d(x, self.kernel, padding=1)
        return self.up(self.twice(self.twice(x).relu()))


def test_names_and_reasons() -> None:
    torch.manual_seed(0)
    report = blocktool.quantize(Mixed(), (2, 4, 8, 8), kind="static", measure=False).report
    assert report.counts == {"functional conv2d": 1, "Conv2d": 1}
    assert [layer.path for layer in report.quantized if layer.type == "Conv2d"] == ["twice"]
    reasons = {layer.path: layer.reason for layer in report.unquantized}
    assert reasons["never"].startswith("not called")
    assert "Conv1d" in reasons["up"]


class Shared(nn.Module):
    """A residual branch with one ReLU for all, as in torchvision's ResNets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.relu(self.conv(self.relu(self.conv(x))) + x)


@pytest.mark.parametrize("strict", [True, False])
def test_shared_modules(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    export = torch.export.export

    def only(*args: Any, **options: Any) -> Any:
        if options["strict"] is not strict:
            raise RuntimeError("not this way")
        return export(*args, **options)

    monkeypatch.setattr(torch.export, "export", only)
    torch.manual_seed(0)
    found = blocktool.quantize(Shared(), (2, 8, 9, 9), kind="static", measure=False)
    assert [layer.path for layer in found.report.quantized] == ["conv"]
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 25
    assert found.module(torch.randn(5, 8, 9, 9)).shape == (5, 8, 9, 9)


def test_transformer() -> None:
    torch.manual_seed(0)
    module = TransformerBlock(64).eval()
    report = blocktool.quantize(module, (2, 20, 64), kind="static", measure=False).report
    assert report.counts == {"Linear": 4}
    assert report.sqnr_db is not None
    assert report.sqnr_db > 25


def test_torchvision_resnet() -> None:
    torch.manual_seed(0)
    model = import_torchvision().models.resnet18(num_classes=10).eval()
    randomize(model)
    before = copy.deepcopy(model.state_dict())
    found = blocktool.quantize(model, (2, 3, 32, 32), kind="static", measure=False)
    assert found.report.counts == {"Conv2d": 20, "Linear": 1}
    assert 0.25 < found.report.size_ratio < 0.27
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 20
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_quantizer_that_does_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    x86 = import_torchao("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    monkeypatch.setattr(x86.X86InductorQuantizer, "annotate", lambda self, model: model)
    with pytest.raises(OptimizationError, match='kind="static" quantizes nothing'):
        blocktool.quantize(network(), X, kind="static")


class Branching(nn.Module):
    """A forward that depends on values, which an export cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if x.sum() > 0 else x


def test_refusals() -> None:
    with pytest.raises(OptimizationError, match="Branching cannot be exported: ") as found:
        blocktool.quantize(Branching(), (2, 4), kind="static")
    assert "\n" not in found.value.message
    with pytest.raises(OptimizationError, match="starts from float32"):
        blocktool.quantize(network().double(), (2, 3, 32, 32), kind="static")
    with pytest.raises(InputError, match="calibration holds no inputs"):
        blocktool.quantize(network(), X, kind="static", calibration=[])
    batches = [X, torch.randn(2, 3, 16, 16)]
    with pytest.raises(InputError, match="calibration batch 1 does not fit"):
        blocktool.quantize(network(), X, kind="static", calibration=batches)


@pytest.mark.gpu
def test_static_is_for_cpus() -> None:
    with pytest.raises(OptimizationError, match="static int8 is for CPUs"):
        blocktool.quantize(network().cuda(), (2, 3, 32, 32), kind="static")


@pytest.fixture
def compiler() -> Iterator[Any]:
    """The compiler without what earlier tests compiled, and the settings as they were."""
    import torch._inductor.config as inductor

    torch._dynamo.reset()
    before = inductor.freezing
    yield inductor
    assert inductor.freezing is before
    torch._dynamo.reset()


@needs_compiler
def test_compiled_static(compiler: Any) -> None:
    module = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 1)).eval()
    x = torch.randn(2, 8, 8, 8)
    found = blocktool.quantize(
        module, x, kind="static", calibration=[x], compile=True, measure=False
    )
    assert found.report.compiled
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 25
    # Registered once, and callable where gradients are on.
    assert found.report.quantized_bytes == module_bytes(found.module)
    assert not found.module(x).requires_grad
    # The weights are constants of the compiled code: int8 is slow where they are not.
    before = found.module(x)
    for buffer in found.module.buffers():
        if buffer.dtype is torch.int8:
            buffer.zero_()
    assert torch.equal(found.module(x), before)


@needs_compiler
def test_compiled_dynamic(compiler: Any) -> None:
    found = blocktool.quantize(nn.Linear(64, 64), (8, 64), kind="dynamic", compile=True, rounds=3)
    assert found.report.sqnr_db is not None
    assert found.report.sqnr_db > 33
    assert found.report.speed is not None
    assert found.report.speed.compiled_ms is not None
    assert any("without compilation" in warning for warning in found.report.warnings)


def test_no_compiler_is_one_line(compiler: Any) -> None:
    with (
        compiler.patch({"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False}),
        pytest.raises(OptimizationError, match=r"needs a C\+\+ compiler") as found,
    ):
        blocktool.quantize(nn.Linear(61, 7), (8, 61), kind="weight-only", compile=True)
    assert "CXX" in str(found.value.hint)


def test_what_torch_did_not_compile_is_an_error(compiler: Any) -> None:
    with (
        torch.compiler.set_stance("force_eager"),
        pytest.raises(OptimizationError, match="as it was"),
    ):
        blocktool.quantize(nn.Linear(8, 8), (8, 8), compile=True)


def test_a_shape_beside_a_calibration_is_not_filled_with_other_values() -> None:
    """Random values lie outside the ranges that were found: the error would not be the user's."""
    net = randomize(ConvBlock(3, 8)).eval()
    batches = [torch.rand(4, 3, 8, 8) for _ in range(4)]
    given = blocktool.quantize(
        net, (4, 3, 8, 8), kind="static", calibration=batches, measure=False
    ).report
    wanted = blocktool.quantize(
        net, batches[0], kind="static", calibration=batches, measure=False
    ).report
    assert given.sqnr_db == wanted.sqnr_db
    assert any("batch of the calibration" in warning for warning in given.warnings)


def test_a_low_ratio_is_warned_of() -> None:
    net = randomize(ConvBlock(3, 8)).eval()
    far = torch.rand(4, 3, 8, 8) * 20
    report = blocktool.quantize(
        net, far, kind="static", calibration=[torch.rand(4, 3, 8, 8)], measure=False
    ).report
    assert report.sqnr_db < 20
    assert any("is little" in warning for warning in report.warnings)
