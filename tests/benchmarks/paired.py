"""Times of several contestants taken in turn, compared at a low percentile."""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

PERCENTILE = 10
PARTS = 5  # of the rounds, each of which gives a ratio of its own: the spread
FEWEST, MOST = 30, 3000  # rounds
UNDISTURBED = 0.01  # of its time a call may have waited for a core
PATIENCE = 6  # times the seconds, where too few calls are undisturbed
TASKS = Path("/proc/self/task")


def nothing() -> None:
    """For what needs no tidying."""


@dataclass(frozen=True)
class Step:
    """What is timed, and what tidies up behind it, which is not."""

    run: Callable[[], object]
    reset: Callable[[], object] = nothing


@dataclass(frozen=True)
class Samples:
    """Seconds of one contestant, one for each call that counts."""

    seconds: tuple[float, ...]
    undisturbed: int  # of them; fewer where the machine was never quiet

    @property
    def trusted(self) -> bool:
        """Whether there are calls enough that nothing disturbed."""
        return self.undisturbed >= 2 * PARTS

    @property
    def low(self) -> float:
        """The 10th percentile in seconds: other processes only ever make a call slower."""
        return low(self.seconds)

    def to(self, other: Samples) -> Ratio:
        """The ratio of the low percentiles, over all rounds and over each part of them."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        ratios = [mine / their for mine, their in pairs]
        return Ratio(self.low / other.low, min(ratios), max(ratios))

    def shown(self, other: Samples) -> Ratio | str:
        """The ratio, where both have calls enough to be trusted."""
        return self.to(other) if self.trusted and other.trusted else "disturbed"

    def parts(self) -> list[float]:
        """The low percentile of each fifth of the calls, in the order of time."""
        size = len(self.seconds) // PARTS
        return [low(self.seconds[part * size : (part + 1) * size]) for part in range(PARTS)]


@dataclass(frozen=True)
class Ratio:
    """Our time over theirs, with the least and the greatest of the parts of the rounds."""

    value: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.least:.2f} to {self.greatest:.2f})"


def low(seconds: tuple[float, ...]) -> float:
    """The 10th percentile."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[PERCENTILE - 1]


def interleaved(steps: Mapping[str, Step], seconds: float, clock: str) -> dict[str, Samples]:
    """One call of each contestant per round, in a new order each time, for about ``seconds``.

    ``clock`` is ``"thread"``, which stands still while another process has the core and sees the
    work of the calling thread alone; ``"events"`` on the stream of a CUDA device; or ``"wall"``.
    By the wall's clock, on Linux, only calls count during which no thread of this process had to
    wait for a core; rounds go on until there are enough of them, though not for ever.
    """
    timed = {
        "wall": partial(_on_cpu, time.perf_counter),
        "thread": partial(_on_cpu, time.thread_time),
        "events": _on_cuda,
    }[clock]
    waited = _seconds_waited if clock == "wall" and TASKS.exists() else _never
    calls: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    order = list(steps)
    shuffle = random.Random(0).shuffle
    with _collector_paused():
        for _ in range(3):  # allocators and caches
            for step in steps.values():
                timed(step)
        good = dict.fromkeys(steps, 0)
        start = time.perf_counter()
        while not _enough(len(calls[order[0]]), min(good.values()), start, seconds):
            shuffle(order)
            for name in order:
                before = waited()
                elapsed = timed(steps[name])
                calls[name].append((elapsed, (waited() - before) / elapsed))
                good[name] += _undisturbed(calls[name][-1])
    return {name: _samples(each) for name, each in calls.items()}


def _enough(rounds: int, good: int, start: float, seconds: float) -> bool:
    """Whether the time is up; it is longer while too few calls of someone are undisturbed."""
    past = time.perf_counter() - start
    if good >= FEWEST:
        return past > seconds or rounds >= MOST
    return rounds >= PARTS * 2 and past > PATIENCE * seconds


def _undisturbed(call: tuple[float, float]) -> bool:
    return call[1] <= UNDISTURBED


def _samples(calls: list[tuple[float, float]]) -> Samples:
    """The undisturbed calls, or the ones disturbed least where these are too few."""
    good = sum(map(_undisturbed, calls))
    limit = sorted(waited for _, waited in calls)[max(good, min(FEWEST, len(calls))) - 1]
    kept = tuple(elapsed for elapsed, waited in calls if waited <= limit)
    return Samples(kept, good)


def _seconds_waited() -> float:
    """How long threads of this process have been ready to run, but without a core."""
    nanoseconds = 0
    for task in os.listdir(TASKS):
        try:
            nanoseconds += int((TASKS / task / "schedstat").read_text().split()[1])
        except OSError:  # a thread that has ended, or a system that does not count
            continue
    return nanoseconds / 1e9


def _never() -> float:
    return 0.0


def _on_cpu(clock: Callable[[], float], step: Step) -> float:
    start = clock()
    step.run()
    elapsed = clock() - start
    step.reset()
    return elapsed


def _on_cuda(step: Step) -> float:
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    before.record()
    step.run()
    after.record()
    torch.cuda.synchronize()
    step.reset()
    return before.elapsed_time(after) / 1e3


@contextmanager
def _collector_paused() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
