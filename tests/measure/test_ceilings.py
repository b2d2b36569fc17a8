"""Ceilings: found again on a simulated device, and taken once on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from blocktool.measure import ceiling_work, ceilings
from blocktool.measure.ceiling_work import convolution, convolutions_alone_use_tf32, product
from blocktool.measure.ceilings import measured_ceilings
from blocktool.measure.clocks import Readings
from blocktool.measure.step import Step

CPU = torch.device("cpu")
RATE, BANDWIDTH, START = 2e9, 20e9, 3e-6


class Bytes(TorchDispatchMode):
    """What copies read and write, and how many operations there are."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        if func is torch.ops.aten.copy_.default:
            self.moved += sum(prod(x.shape) * x.element_size() for x in args[:2])
        return func(*args, **(kwargs or {}))


class Device:
    """A device of known rates, as a clock. ``slow`` runs of each five wait for something else."""

    def __init__(self, slow: int = 0) -> None:
        self.now = 0.0
        self._slow = slow
        self._runs = 0

    def readings(self, step: Step, calls: int, samples: int) -> Readings:
        with FlopCounterMode(display=False) as flops, Bytes() as copies:
            step.run()
        seconds = flops.get_total_flops() / RATE + copies.moved / BANDWIDTH
        seconds += START * copies.operations
        found = []
        for _ in range(samples):
            self._runs += 1
            waited = 0.016 if self._runs % 5 < self._slow else 0.0
            found.append(seconds + waited / calls)
            self.now += seconds * calls + waited
        return Readings((found,))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Device], None]]:
    """Puts a device in the place of the CPU."""

    def put(device: Device) -> None:
        monkeypatch.setattr(ceilings, "clock_for", lambda *_, **__: device)
        monkeypatch.setattr(ceilings.time, "perf_counter", lambda: device.now)

    threads = torch.get_num_threads
    before = threads()
    yield put
    assert threads() == before


@pytest.mark.parametrize("slow", [0, 2])
def test_the_rates_of_a_simulated_device(simulated: Callable[[Device], None], slow: int) -> None:
    device = Device(slow)
    simulated(device)
    found = measured_ceilings(CPU, ["float32", "bfloat16"], budget_seconds=0.3)
    # What starting the operations takes is in the rates, as it is on a real device.
    assert found.gflops == {
        "float32": pytest.approx(RATE / 1e9, rel=0.01),
        "bfloat16": pytest.approx(RATE / 1e9, rel=0.01),
    }
    assert found.gbps == pytest.approx(BANDWIDTH / 1e9, rel=0.01)
    assert found.overhead_us == pytest.approx(START * 1e6, rel=0.01)
    assert found.source == "measured"
    if not slow:
        assert device.now == pytest.approx(0.3, abs=0.02)


def test_the_time_starts_when_libraries_have(
    simulated: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    simulated(device)
    started: set[str] = set()

    def starting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The first call takes a second, as that of a library which it loads."""

        def call(*args: Any, **kwargs: Any) -> Any:
            device.now += name not in started
            started.add(name)
            return function(*args, **kwargs)

        return call

    names = ("linear", "relu", "layer_norm", "conv2d")
    for name in names:
        monkeypatch.setattr(nn.functional, name, starting(name, getattr(nn.functional, name)))
    monkeypatch.setattr(torch, "mm", starting("mm", torch.mm))
    found = measured_ceilings(CPU, ["float32"], budget_seconds=0.3)
    assert {"linear", "layer_norm", "mm"} <= started
    assert device.now == pytest.approx(len(started) + 0.3, abs=0.02)
    assert found.gflops == {"float32": pytest.approx(RATE / 1e9, rel=0.01)}


def test_a_busy_machine_does_not_make_it_endless(
    simulated: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(slow=5)
    simulated(device)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    measured_ceilings(CPU, ["float32", "float64"], budget_seconds=0.1)
    # Twice the budget; then two runs of each of the jobs that are left, and each waits 16 ms.
    assert 0.2 < device.now < 0.2 + 8 * 2 * 0.02


def test_on_the_cpu() -> None:
    found = measured_ceilings(CPU, ["float32", "int32", "nonsense"], 0.05)
    assert found.gflops.keys() == {"float32"}
    assert found.gflops["float32"] > 0
    assert found.gbps > 0
    assert found.overhead_us > 0
    assert f", {torch.get_num_threads()} thread" in found.device
    assert found.efficiency is None
    assert found.kind == "cpu"


def test_a_dtype_that_the_device_does_not_multiply(
    simulated: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mm = torch.mm

    def without_doubles(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        if a.dtype == torch.float64:
            raise NotImplementedError("no kernel")
        return mm(a, b, out=out)

    simulated(Device())
    monkeypatch.setattr(torch, "mm", without_doubles)
    found = measured_ceilings(CPU, ["float64", "float32"], 0.1)
    assert found.gflops.keys() == {"float32"}


def test_larger_matrices_than_memory_holds(
    simulated: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mm = torch.mm

    def limited(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        if len(a) > 96:
            raise torch.OutOfMemoryError("too large")
        return mm(a, b, out=out)

    simulated(Device())
    monkeypatch.setattr(torch, "mm", limited)
    found = measured_ceilings(CPU, ["float32"], 0.1)
    assert found.gflops == {"float32": pytest.approx(RATE / 1e9, rel=0.01)}


def test_buffers_shrink_where_memory_is_short(
    simulated: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    full = torch.full

    def limited(size: tuple[int], *args: Any, **kwargs: Any) -> torch.Tensor:
        if size[0] * 4 > 20 * 2**20:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        made.append(size[0] * 4)
        return full(size, *args, **kwargs)

    simulated(Device())
    monkeypatch.setattr(torch, "full", limited)
    assert measured_ceilings(CPU, [], 0.1).gbps == pytest.approx(BANDWIDTH / 1e9, rel=0.01)
    assert made == [16 * 2**20]


def test_no_memory_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "full", refuse)
    with pytest.raises(RuntimeError, match="allocate"):
        measured_ceilings(CPU, [], 0.01)


@pytest.mark.parametrize("make", [product, convolution])
def test_the_amount_of_work(make: Any) -> None:
    given = {"dtype": torch.float64} if make is product else {}
    work = make(64, device=CPU, **given)
    with FlopCounterMode(display=False) as counted:
        work.run()
    assert work.amount == counted.get_total_flops()


def test_a_product_of_values_that_differ() -> None:
    left = []
    mm = torch.mm

    def kept(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        left.extend([a, b])
        return mm(a, b, out=out)

    work = product(32, torch.float32, CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceiling_work.torch, "mm", kept)
        work.run()
    assert all(matrix.is_contiguous() and matrix.unique().numel() > 32 for matrix in left)


def test_tf32_is_for_cuda_alone() -> None:
    assert not convolutions_alone_use_tf32(CPU)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    device = torch.device("cuda")
    found = measured_ceilings(device, ["float32", "float16"], 0.5)
    long = measured_ceilings(device, ["float32", "float16"], 3.0)
    assert found.device == torch.cuda.get_device_name()
    for name, rate in found.gflops.items():
        assert rate == pytest.approx(long.gflops[name], rel=0.1)
    assert found.gbps == pytest.approx(long.gbps, rel=0.1)
    assert 0.5 < found.overhead_us < 200
    assert ("tf32" in found.gflops) == convolutions_alone_use_tf32(device)
