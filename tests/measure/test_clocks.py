"""Clocks against work whose duration is known: on a clock of the test's own, and a queue of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from blocktool.measure.clocks import (
    EventClock,
    HostClock,
    clock_for,
    collector_paused,
    last_level_cache_bytes,
)
from blocktool.measure.step import Phase, Step

CPU = torch.device("cpu")


def step_of(*runs: Callable[[], None]) -> Step:
    return Step(tuple(Phase(f"phase {index}", run) for index, run in enumerate(runs)), CPU)


class Host:
    """A host whose time passes only when it is told to."""

    def __init__(self) -> None:
        self.ns = 0

    def busy(self, *ns: int) -> Callable[[], None]:
        """Work that takes each of the durations in turn, over and over."""
        following = self._cycle(ns)

        def run() -> None:
            self.ns += next(following)

        return run

    @staticmethod
    def _cycle(values: tuple[int, ...]) -> Iterator[int]:
        while True:
            yield from values


def test_one_phase_sample_by_sample() -> None:
    host = Host()
    clock = HostClock(now=lambda: host.ns)
    (seconds,) = clock.readings(step_of(host.busy(1000, 3000)), calls=1, samples=4).phases
    assert seconds == pytest.approx([1e-6, 3e-6, 1e-6, 3e-6])
    (seconds,) = clock.readings(step_of(host.busy(1000, 3000)), calls=4, samples=2).phases
    assert seconds == pytest.approx([2e-6, 2e-6])


def test_phases_apart() -> None:
    host = Host()
    clock = HostClock(now=lambda: host.ns)
    step = step_of(host.busy(10), host.busy(200, 400), host.busy(5000))
    phases = clock.readings(step, calls=2, samples=3).phases
    assert [list(values) for values in phases] == [
        pytest.approx([10e-9] * 3),
        pytest.approx([300e-9] * 3),
        pytest.approx([5e-6] * 3),
    ]


@pytest.mark.parametrize("phases", [1, 2])
def test_cold_caches_are_flushed_before_each_sample_and_not_timed(phases: int) -> None:
    host, order = Host(), []

    def flush() -> None:
        order.append("flush")
        host.ns += 10**9

    def run() -> None:
        order.append("run")
        host.ns += 50

    clock = HostClock(flush, now=lambda: host.ns)
    readings = clock.readings(step_of(*[run] * phases), calls=1, samples=3)
    assert clock.cold
    assert order == ["flush", *["run"] * phases] * 3
    assert readings.phases[0] == pytest.approx([50e-9] * 3)


def test_real_time_and_no_collector() -> None:
    seen = []

    def sleep() -> None:
        seen.append(gc.isenabled())
        time.sleep(0.002)

    clock = clock_for(CPU, cold_cache=False)
    readings = clock.readings(step_of(sleep), calls=2, samples=2)
    assert len(seen) == 4
    assert not any(seen)
    assert gc.isenabled()
    assert all(value >= 0.002 for value in readings.phases[0])  # sleep never ends early
    assert readings.host_bound is None


def test_flush_of_the_cpu_touches_all_of_its_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blocktool.measure.clocks.last_level_cache_bytes", lambda: 4096)
    made: list[torch.Tensor] = []
    zeros = torch.zeros

    def noted(*args: int, **kwargs: torch.dtype) -> torch.Tensor:
        made.append(zeros(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(torch, "zeros", noted)
    clock = clock_for(CPU, cold_cache=True)
    clock.readings(step_of(lambda: None), calls=1, samples=5)
    assert made[0].nbytes == 2 * 4096
    assert made[0].unique().tolist() == [5]


def test_collector_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collector_is_on_again_after_an_interrupt() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HostClock().readings(step_of(interrupted), calls=1, samples=1)
    assert gc.isenabled()


class Device:
    """A queue that is worked off while the host goes on; times in s."""

    def __init__(self) -> None:
        self.host = 0.0
        self.done = 0.0
        self.waits = 0

    def work(self, start: float, take: float) -> Callable[[], None]:
        """Work that the host takes ``start`` to queue, and the device ``take`` to do."""

        def run() -> None:
            self.host += start
            self.done = max(self.done, self.host) + take

        return run

    def wait(self) -> None:
        self.waits += 1
        self.host = max(self.host, self.done)

    def event(self) -> Event:
        return Event(self)

    def clock(self, flush: Callable[[], None] | None = None) -> EventClock:
        return EventClock(self.event, self.wait, flush, now=lambda: self.host)


class Event:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.at: float | None = None

    def record(self) -> None:
        self.at = max(self.device.done, self.device.host)

    def elapsed_time(self, other: Event) -> float:
        assert self.device.waits >= 2  # not before the device is done
        assert self.at is not None
        assert other.at is not None
        return 1e3 * (other.at - self.at)


@pytest.mark.parametrize("calls", [1, 3])
def test_device_that_has_more_to_do_than_the_host(calls: int) -> None:
    device = Device()
    readings = device.clock().readings(step_of(device.work(1e-5, 1e-3)), calls, samples=4)
    # The first sample starts on an idle device, which waits for the first operation.
    assert readings.phases[0] == pytest.approx([1e-3 + 1e-5 / calls, *[1e-3] * 3])
    assert readings.host_bound == pytest.approx(0.01, rel=0.02)
    assert device.waits == 2


def test_device_that_waits_for_the_host() -> None:
    device = Device()
    readings = device.clock().readings(step_of(device.work(1e-4, 1e-6)), 10, samples=4)
    assert readings.phases[0] == pytest.approx([1e-4] * 4, rel=0.01)
    assert readings.host_bound == pytest.approx(1, abs=0.01)


def test_phases_on_a_device() -> None:
    device = Device()
    step = step_of(device.work(0, 1e-3), device.work(0, 2e-3), device.work(0, 5e-4))
    readings = device.clock().readings(step, calls=2, samples=3)
    assert [list(values) for values in readings.phases] == [
        pytest.approx([1e-3] * 3),
        pytest.approx([2e-3] * 3),
        pytest.approx([5e-4] * 3),
    ]


def test_flush_on_a_device_is_not_timed() -> None:
    device = Device()
    clock = device.clock(device.work(0, 0.5))
    readings = clock.readings(step_of(device.work(1e-5, 1e-3)), calls=1, samples=3)
    assert clock.cold
    assert readings.phases[0] == pytest.approx([1e-3] * 3)
    assert device.done >= 1.5


def test_events_are_used_again() -> None:
    device, made = Device(), []

    def event() -> Event:
        made.append(Event(device))
        return made[-1]

    clock = EventClock(event, device.wait, now=lambda: device.host)
    for _ in range(3):
        clock.readings(step_of(device.work(0, 1e-3)), calls=1, samples=5)
    assert len(made) == 10


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (["32K", "32K", "1024K", "32768K"], 32 * 1024**2),
        (["48K", "2M"], 2 * 1024**2),
        (["", "512K", "?"], 512 * 1024),
        ([], 64 * 1024**2),
    ],
)
def test_largest_cache(tmp_path: Path, sizes: list[str], expected: int) -> None:
    for index, size in enumerate(sizes):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert last_level_cache_bytes(tmp_path) == expected


@pytest.mark.gpu
def test_events_of_the_gpu_agree_with_the_host_on_a_long_product() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.randn(8192, 8192, device=device)

    def product() -> None:
        x @ x

    product()
    readings = clock_for(device, cold_cache=False).readings(step_of(product), 1, samples=5)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(5):
        product()
    torch.cuda.synchronize()
    assert sum(readings.phases[0]) == pytest.approx(time.perf_counter() - start, rel=0.25)
    assert readings.host_bound is not None
    assert readings.host_bound < 0.5


@pytest.mark.gpu
def test_events_of_the_gpu_agree_with_triton() -> None:
    testing = pytest.importorskip("triton.testing")
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.randn(4096, 4096, device=device)

    def product() -> None:
        x @ x

    clock = clock_for(device, cold_cache=True)
    clock.readings(step_of(product), 1, samples=50)
    ours = sorted(clock.readings(step_of(product), 1, samples=50).phases[0])[25]
    theirs = testing.do_bench(product, return_mode="median")
    assert ours * 1e3 == pytest.approx(theirs, rel=0.05)
