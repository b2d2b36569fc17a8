"""The reference, and the errors of variants against it."""

from __future__ import annotations

import copy
import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from blocktool.blocks import BottleneckBlock
from blocktool.measure.accuracy import References, outputs_of, reference_of
from blocktool.measure.changed import Changed
from blocktool.measure.comparing import Incomparable
from blocktool.measure.request import CaseSpec
from blocktool.measure.subject import Subject
from blocktool.measure.variants import changed
from blocktool.results.profile import RunMode, VariantError
from blocktool.results.specs import TensorSpec
from blocktool.trace.inputs import CallArguments

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def of(*args: Any) -> CallArguments:
    return CallArguments(args, {})


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize("mode", ["inference", "forward", "training"])
def test_the_reference_is_the_module_in_float64(mode: RunMode) -> None:
    module = network().train(mode != "inference")
    wide = copy.deepcopy(module).double()
    with torch.no_grad():
        expected, eager = wide(X.double()), copy.deepcopy(module)(X)
    x = X.clone()
    found = reference_of(module, of(x), mode)
    assert found.precision == "float64"
    assert torch.equal(found.outputs, expected)
    assert torch.equal(found.eager_outputs, eager)
    assert x.dtype is torch.float32
    assert torch.equal(x, X)


def test_eager_runs_under_autocast_and_the_reference_does_not() -> None:
    module = network().eval()
    with torch.no_grad():
        expected = copy.deepcopy(module).double()(X.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            eager = copy.deepcopy(module)(X)
    found = reference_of(module, of(X), "inference", torch.bfloat16)
    assert torch.equal(found.outputs, expected)
    assert found.eager_outputs.dtype is torch.bfloat16
    assert torch.equal(found.eager_outputs, eager)


@pytest.mark.parametrize("mode", ["forward", "training"])
def test_buffers_are_put_back(mode: RunMode) -> None:
    module = network().train()
    module[1].running_mean.normal_()
    before = copy.deepcopy(module.state_dict())
    outputs = outputs_of(module, of(X), mode, None)
    assert not outputs.requires_grad
    assert outputs.mean(0).isfinite().all()
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    module(X)
    assert not torch.equal(before["1.running_mean"], module[1].running_mean)


class Insists(nn.Module):
    """Computes in one dtype, whatever its own is."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is not self.dtype:
            raise TypeError(f"not {x.dtype}")
        return self.linear(x)


def test_where_float64_cannot_be_had() -> None:
    found = reference_of(Insists(torch.float32).eval(), of(X), "inference")
    assert found.precision == "float32 (float64: TypeError: not torch.float64)"
    assert torch.equal(found.outputs, found.eager_outputs)
    low = Insists(torch.bfloat16).eval().bfloat16()
    with pytest.raises(Incomparable, match=r"TypeError: not torch\.float32"):
        reference_of(low, of(X.bfloat16()), "inference")


class NoMemory(nn.Module):
    """Has none for what is more than so many bytes a number."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.most = most

    def to(self, dtype: Any) -> Any:  # type: ignore[override]
        if isinstance(dtype, torch.dtype) and dtype.itemsize > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return super().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def test_too_little_memory_for_the_reference() -> None:
    found = reference_of(NoMemory(4).eval(), of(X), "inference")
    assert found.precision == "float32 (float64: OutOfMemoryError: CUDA out of memory.)"
    assert torch.equal(found.outputs, found.eager_outputs)


@pytest.mark.parametrize(
    "broken", [MemoryError("no more"), SystemExit("bye"), RuntimeError("CUDA error: x\nmore")]
)
def test_whatever_goes_wrong_is_a_reason(
    broken: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise broken

    subject = Subject("it", network, (6, 4))
    ready = Changed(network().eval(), of(X.clone()))
    for name in ("fresh", "with_values"):
        with monkeypatch.context() as patch:
            patch.setattr(subject, name, fail)
            references = References()
            assert references.error(subject, spec(), ready) is None
        text = str(references.reason)
        assert str(broken).split("\n")[0] in text
        assert "\n" not in text
    assert References().error(subject, spec(), ready) is not None


@pytest.mark.gpu
def test_the_reference_takes_no_memory_of_the_gpu() -> None:
    module = network().eval().cuda()
    found = reference_of(module, of(X.cuda()), "inference")
    assert found.precision == "float64"
    assert found.outputs.device.type == found.eager_outputs.device.type == "cpu"


class Draws(nn.Module):
    """Draws from a generator of torch's, of Python's, or of none."""

    def __init__(self, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        return self.draw(x)


@pytest.mark.parametrize(
    ("module", "mode", "compared"),
    [
        (nn.Dropout(0.5), "training", False),
        (nn.Dropout(0.5), "forward", False),
        (nn.Dropout(0.5), "inference", True),
        (nn.Dropout(0.0), "training", True),
        (Draws(torch.rand_like), "inference", False),
        (Draws(lambda x: x * random.random()), "inference", False),
        (Draws(lambda x: x * float(np.random.rand())), "inference", False),
        (Draws(lambda x: x + 1), "training", True),
    ],
)
def test_random_numbers(module: nn.Module, mode: RunMode, compared: bool) -> None:
    module.train(mode != "inference")
    before = torch.get_rng_state()
    if compared:
        assert reference_of(module, of(X), mode).precision == "float64"
    else:
        with pytest.raises(Incomparable, match="random numbers"):
            reference_of(module, of(X), mode)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: x.argmax(1), "no output is floating"),
        (lambda x: x / 0, "not finite in float64"),
        (lambda x: x @ x, "mat1 and mat2"),
    ],
)
def test_nothing_to_compare(draw: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(Incomparable, match=message) as found:
        reference_of(Draws(draw), of(X), "inference")
    assert "\n" not in str(found.value)


def test_a_failure_keeps_no_tensors() -> None:
    made: list[Any] = []

    def fails(x: Tensor) -> Tensor:
        large = x * 2
        made.append(weakref.ref(large))
        raise RuntimeError("out of memory")

    references = References()
    subject = Subject("it", lambda: Draws(fails), (6, 4))
    assert references.error(subject, spec(), Changed(Draws(fails), of(X))) is None
    assert "out of memory" in str(references.reason)
    gc.collect()
    assert made
    assert all(reference() is None for reference in made)


def spec(variant: str = "eager", mode: RunMode = "inference", batch: int = 6) -> CaseSpec:
    return CaseSpec(0, batch, (TensorSpec((batch, 4)),), "float32", mode, variant)


class Counted(nn.Module):
    """Counts its forwards, those in float64 among them."""

    runs: int = 0
    wide: int = 0

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> Tensor:
        Counted.runs += 1
        Counted.wide += x.dtype is torch.float64
        return self.inner(x)


def test_a_variant_against_the_reference() -> None:
    subject = Subject("it", network, (6, 4))
    references = References()
    arguments = subject.with_values((TensorSpec((6, 4)),), torch.device("cpu"), None)
    (x,) = arguments.args
    module = subject.fresh(torch.device("cpu"), None, train=False)
    ready = changed("bf16", module, arguments, "inference")
    found = references.error(subject, spec("bf16"), ready)
    with torch.no_grad():
        original = subject.original.eval()
        low = copy.deepcopy(original).bfloat16()(x.bfloat16()).double()
        eager, exact = original(x).double(), copy.deepcopy(original).double()(x.double())
    scale = exact.abs().max()
    assert isinstance(found, VariantError)
    assert found.max_relative_error == pytest.approx(float((low - exact).abs().max() / scale))
    assert found.eager_relative_error == pytest.approx(float((eager - exact).abs().max() / scale))
    assert found.sqnr_db == pytest.approx(
        20 * float(torch.log10(exact.norm() / (low - exact).norm()))
    )
    assert 1e-3 < found.max_relative_error < 0.1
    assert found.eager_relative_error < 1e-6
    assert references.reason is None


def test_the_reference_is_made_once_for_each_question() -> None:
    subject = Subject("it", Counted, (6, 4))
    references = References()
    Counted.runs = Counted.wide = 0

    def ask(mode: RunMode, batch: int) -> None:
        arguments = subject.with_values((TensorSpec((batch, 4)),), torch.device("cpu"), None)
        module = subject.fresh(torch.device("cpu"), None, train=mode != "inference")
        found = references.error(subject, spec("eager", mode, batch), Changed(module, arguments))
        assert found is not None
        assert found.max_relative_error == found.eager_relative_error < 1e-6

    ask("inference", 6)
    ask("inference", 6)
    assert (Counted.runs, Counted.wide) == (4, 1)
    ask("training", 6)
    ask("training", 2)
    ask("inference", 6)
    assert Counted.wide == 4


class InPlace(nn.Module):
    """Changes its input, and so gives something else in each call on the same tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1)


def test_inputs_are_those_before_it_was_timed() -> None:
    subject = Subject("it", InPlace, (6, 4))
    arguments = subject.with_values((TensorSpec((6, 4)),), torch.device("cpu"), None)
    ready = changed("bf16", InPlace(), arguments, "inference")
    for _ in range(100):
        ready.module(*ready.arguments.args)
    found = References().error(subject, spec("bf16"), ready)
    assert found is not None
    assert found.max_relative_error is not None
    assert found.max_relative_error < 0.01


def test_a_variant_that_draws_or_fails_has_no_error() -> None:
    subject = Subject("it", lambda: nn.Identity(), (6, 4))
    references = References()
    for module, reason in (
        (nn.Dropout().train(), "random numbers"),
        (nn.Linear(5, 5), "mat1 and mat2"),
        (nn.Flatten(0), "structure or shape"),
    ):
        assert references.error(subject, spec(), Changed(module, of(X.clone()))) is None
        assert reason in str(references.reason)
    ready = Changed(nn.Identity(), of(X.clone()))
    assert references.error(subject, spec(), ready) is not None
    assert references.reason is None


def test_a_branch_that_starts_at_zero_has_an_error() -> None:
    subject = Subject("it", lambda: BottleneckBlock(16, 16), (2, 16, 4, 4))
    arguments = subject.with_values(None, torch.device("cpu"), None)
    module = subject.fresh(torch.device("cpu"), None, train=False)
    ready = changed("channels-last", module, arguments, "inference")
    case = CaseSpec(0, 2, subject.inputs, "float32", "inference", "channels-last")
    found = References().error(subject, case, ready)
    assert found is not None
    assert 0 < found.eager_relative_error < 1e-5  # of the input alone there would be none
    assert 0 < found.max_relative_error < 1e-5
    (note,) = ready.notes
    assert "have values, or no error would show" in note
    assert changed("eager", BottleneckBlock(16, 16), arguments, "training").notes == ()
