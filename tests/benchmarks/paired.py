"""Times of several contestants taken in turn, compared at a low percentile."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

PERCENTILE = 10
PARTS = 5  # of the rounds, each of which gives a ratio of its own: the spread
FEWEST, MOST = 30, 3000  # rounds


def nothing() -> None:
    """For what needs no tidying."""


@dataclass(frozen=True)
class Step:
    """What is timed, and what tidies up behind it, which is not."""

    run: Callable[[], object]
    reset: Callable[[], object] = nothing


@dataclass(frozen=True)
class Samples:
    """Seconds of one contestant, one for each round."""

    seconds: tuple[float, ...]

    @property
    def low(self) -> float:
        """The 10th percentile in seconds: other processes only ever make a call slower."""
        return low(self.seconds)

    def to(self, other: Samples) -> Ratio:
        """The ratio of the low percentiles, over all rounds and over each part of them."""
        size = len(self.seconds) // PARTS
        places = [slice(part * size, (part + 1) * size) for part in range(PARTS)]
        parts = [low(self.seconds[at]) / low(other.seconds[at]) for at in places]
        return Ratio(self.low / other.low, min(parts), max(parts))


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

    ``clock`` is ``"wall"``; ``"thread"``, which stands still while other processes have the core,
    and sees the work of the calling thread alone; or ``"events"`` on the stream of a CUDA device.
    """
    timed = {
        "wall": partial(_on_cpu, time.perf_counter),
        "thread": partial(_on_cpu, time.thread_time),
        "events": _on_cuda,
    }[clock]
    found: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    shuffle = random.Random(0).shuffle
    with _collector_paused():
        start = time.perf_counter()
        for _ in range(3):  # allocators and caches
            for step in steps.values():
                timed(step)
        each = (time.perf_counter() - start) / 3
        rounds = min(max(int(seconds / each), FEWEST), MOST)
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                found[name].append(timed(steps[name]))
    return {name: Samples(tuple(values)) for name, values in found.items()}


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
