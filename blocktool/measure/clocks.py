"""Clocks that time a step on its device and put as little as possible around it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any, Protocol

import torch

from blocktool.measure.devices import current, synchronize, timed_event
from blocktool.measure.step import Step

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNKNOWN_CACHE_BYTES = 64 * 1024**2
_LEAST_FLUSH_BYTES = 256 * 1024**2
"""Of a GPU's flush: what triton.testing.do_bench clears."""


@dataclass(frozen=True)
class Readings:
    """``phases`` has, for each phase, the seconds of one call in each sample: the mean over the
    calls of the sample. ``host_bound`` is the share of a call's time on the device, starting
    from an idle one, in which the host was still giving it work; None where the host does the
    work itself."""

    phases: tuple[list[float], ...]
    host_bound: float | None = None


class Clock(Protocol):
    """Times a step. With ``cold`` the caches are flushed before each sample, so that only samples
    of one call make sense."""

    cold: bool

    def readings(self, step: Step, calls: int, samples: int) -> Readings:
        """``samples`` samples in a row, each of ``calls`` runs of the step back to back."""
        ...


def clock_for(device: torch.device, cold_cache: bool) -> Clock:
    """The clock for steps on ``device``; ``cold_cache`` flushes its caches before each sample."""
    flush = _flush(device) if cold_cache else None
    if device.type == "cpu":
        return HostClock(flush)
    return EventClock(partial(timed_event, device), partial(synchronize, device), flush, device)


class HostClock:
    """For work that is done when the call returns. ``now`` gives whole nanoseconds."""

    def __init__(
        self,
        flush: Callable[[], object] | None = None,
        now: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.cold = flush is not None
        self._flush = flush
        self._now = now

    def readings(self, step: Step, calls: int, samples: int) -> Readings:
        """As :class:`Clock` has it."""
        runs = [phase.run for phase in step.phases]
        with collector_paused():
            if len(runs) == 1:
                return Readings((self._whole(runs[0], calls, samples),))
            return Readings(self._by_phase(runs, calls, samples))

    def _whole(self, run: Callable[[], object], calls: int, samples: int) -> list[float]:
        now, flush, scale = self._now, self._flush, 1e9 * calls
        seconds = []
        for _ in repeat(None, samples):
            if flush is not None:
                flush()
            start = now()
            for _ in repeat(None, calls):
                run()
            seconds.append((now() - start) / scale)
        return seconds

    def _by_phase(
        self, runs: Sequence[Callable[[], object]], calls: int, samples: int
    ) -> tuple[list[float], ...]:
        now, flush, scale = self._now, self._flush, 1e9 * calls
        seconds: tuple[list[float], ...] = tuple([] for _ in runs)
        for _ in repeat(None, samples):
            if flush is not None:
                flush()
            sums = [0] * len(runs)
            before = now()
            for _ in repeat(None, calls):
                for index, run in enumerate(runs):
                    run()
                    after = now()
                    sums[index] += after - before
                    before = after
            for phase, total in zip(seconds, sums, strict=True):
                phase.append(total / scale)
        return seconds


class EventClock:
    """For devices that work through a queue: events in it mark where a sample begins and ends.

    Many samples are queued before the host waits once, so that its waiting is in none of them. A
    device that is faster than the host idles between operations, which is in the times, as it is
    when the module is used. ``event`` makes one with ``record()`` and ``elapsed_time(other)``
    in ms; the queue is that of the current stream of ``device``.
    """

    def __init__(
        self,
        event: Callable[[], Any],
        wait: Callable[[], object],
        flush: Callable[[], object] | None = None,
        device: torch.device | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.cold = flush is not None
        self._event = event
        self._wait = wait
        self._flush = flush
        self._device = device or torch.device("cpu")
        self._now = now
        self._spare: list[Any] = []

    def readings(self, step: Step, calls: int, samples: int) -> Readings:
        """As :class:`Clock` has it."""
        runs = [phase.run for phase in step.phases]
        # One phase needs no marks between the calls.
        turns, runs = (calls, runs) if len(runs) > 1 else (1, [_times(runs[0], calls)])
        each = turns * len(runs) + 1
        while len(self._spare) < each * samples:
            self._spare.append(self._event())
        with collector_paused(), current(self._device):
            self._wait()
            host = 0.0
            for sample in range(samples):
                if self._flush is not None:
                    self._flush()
                start = self._now()
                self._queue(runs, turns, self._spare[sample * each : (sample + 1) * each])
                if not sample:
                    host = self._now() - start
            self._wait()
        seconds: tuple[list[float], ...] = tuple([] for _ in runs)
        for sample in range(samples):
            marks = self._spare[sample * each : (sample + 1) * each]
            spans = [a.elapsed_time(b) for a, b in pairwise(marks)]
            for index, phase in enumerate(seconds):
                phase.append(sum(spans[index :: len(runs)]) / 1e3 / calls)
        device = calls * sum(phase[0] for phase in seconds)
        return Readings(seconds, min(1.0, host / device) if device else None)

    @staticmethod
    def _queue(runs: Sequence[Callable[[], object]], turns: int, marks: Sequence[Any]) -> None:
        following = iter(marks)
        next(following).record()
        for _ in repeat(None, turns):
            for run in runs:
                run()
                next(following).record()


def _times(run: Callable[[], object], calls: int) -> Callable[[], object]:
    if calls == 1:
        return run

    def several() -> None:
        for _ in repeat(None, calls):
            run()

    return several


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's garbage collector, which would run in one call out of many."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _flush(device: torch.device) -> Callable[[], object]:
    """What leaves nothing of the step's tensors in the last-level cache."""
    if device.type == "cpu":
        # Read and written: plain stores of a constant may bypass the cache. Twice the size, since
        # the oldest lines are not always the first to go.
        buffer = torch.zeros(2 * last_level_cache_bytes() // 4, dtype=torch.int32)

        def touch() -> None:
            buffer.add_(1)

        return touch
    size = _LEAST_FLUSH_BYTES
    if device.type == "cuda":
        size = max(size, 2 * torch.cuda.get_device_properties(device).L2_cache_size)
    scratch = torch.empty(size // 4, dtype=torch.int32, device=device)

    def clear() -> None:
        scratch.zero_()

    return clear


def last_level_cache_bytes(folder: Path = _CACHES) -> int:
    """Size of the CPU's largest cache; 64 MiB where the system does not say (it is Linux that
    does, in ``/sys/devices/system/cpu/cpu0/cache``)."""
    units = {"K": 1024, "M": 1024**2, "G": 1024**3}
    sizes = []
    for file in folder.glob("index*/size"):
        try:
            text = file.read_text(encoding="ascii").strip()
            sizes.append(int(text.rstrip("KMG")) * units.get(text[-1:], 1))
        except (OSError, ValueError):
            continue
    return max(sizes, default=_UNKNOWN_CACHE_BYTES)
