"""Times a step: until it is warm, then until the median is known well enough."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from blocktool.analysis.sampling import latency, precision, quantile, settled
from blocktool.measure.clocks import Clock, collector_paused
from blocktool.measure.request import Rule
from blocktool.measure.step import Step
from blocktool.results.profile import Latency, PhaseLatency, Warmup

Tell = Callable[[Sequence[float], int], None]
"""Hears the samples taken so far, in ms and in order, and how many calls each is of: a few times a
second, and at the end also where a call raised."""

_LEAST_SAMPLES = 3
_MOST_SAMPLES = 10_000
_SAMPLE_SECONDS = 1e-4
"""A shorter sample would have too much of the clock in it (about 0.1 µs)."""
_ROUND_SECONDS = 0.2
"""Between looks at the precision: looking takes a few ms with thousands of samples."""
_TELL_SECONDS = 0.25
_WARM_SECONDS = 0.05
"""Fast calls are repeated for so long: the CPU's clock and torch's threads take a while."""


@dataclass(frozen=True)
class Timing:
    """What the samples say. ``seconds`` is the time of all calls in them; ``precision`` half the
    width of the interval of the median over the median; ``host_bound`` the median of what
    :class:`~blocktool.measure.clocks.Readings` has."""

    warmup: Warmup
    latency: Latency
    phases: tuple[PhaseLatency, ...]
    precision: float
    seconds: float
    host_bound: float | None


def timed(
    step: Step,
    clock: Clock,
    rule: Rule,
    tell: Tell | None = None,
    *,
    now: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Run the step until ``rule`` is met; it must run in the scope that it was made for.

    At least 3 samples are taken, however long they take. What the step raises comes through.
    ``now``, in seconds, decides when the time is up.
    """
    # The young generations only: what is older takes 0.1 s to go through, and no part in this.
    gc.collect(1)
    with collector_paused():
        samples = _Samples(step)
        warmup = _warm_up(step, clock, rule, samples, now)
        try:
            _sample(step, clock, rule, samples, tell, now)
        except BaseException:
            if tell is not None:
                tell(samples.totals_ms(), samples.calls)
            raise
    totals = samples.totals_ms()
    return Timing(
        warmup=warmup,
        latency=latency(totals, samples.calls),
        phases=samples.by_phase(),
        precision=precision(totals),
        seconds=sum(totals) / 1e3 * samples.calls,
        host_bound=median(samples.host_bound) if samples.host_bound else None,
    )


class _Samples:
    """The samples so far, by phase, in seconds of one call. ``calls`` is how many one holds."""

    def __init__(self, step: Step) -> None:
        self.names = [phase.name for phase in step.phases]
        self.phases: list[list[float]] = [[] for _ in self.names]
        self.calls = 1
        self.host_bound: list[float] = []

    def __len__(self) -> int:
        return len(self.phases[0])

    def take(self, step: Step, clock: Clock, count: int) -> list[float]:
        """Time ``count`` more samples; the totals of these, in seconds."""
        readings = clock.readings(step, self.calls, count)
        gc.collect(0)  # modules that leave cycles behind would fill the memory; takes some µs
        for kept, new in zip(self.phases, readings.phases, strict=True):
            kept += new
        if readings.host_bound is not None:
            self.host_bound.append(readings.host_bound)
        return [sum(parts) for parts in zip(*readings.phases, strict=True)]

    def keep(self, last: int) -> None:
        """Forget all samples but the last few."""
        self.phases = [values[len(values) - last :] for values in self.phases]
        self.host_bound = []

    def pair(self) -> None:
        """Make one sample of two, of twice as many calls; an odd one at the front is dropped."""
        odd = len(self) % 2
        self.phases = [
            [(a + b) / 2 for a, b in zip(values[odd::2], values[odd + 1 :: 2], strict=True)]
            for values in self.phases
        ]
        self.calls *= 2

    def totals_ms(self) -> list[float]:
        """The whole step in each sample, in ms."""
        return [1e3 * sum(parts) for parts in zip(*self.phases, strict=True)]

    def by_phase(self) -> tuple[PhaseLatency, ...]:
        """Percentiles of each phase, in ms."""
        ordered = [sorted(1e3 * value for value in values) for values in self.phases]
        return tuple(
            PhaseLatency(name, *(quantile(values, q) for q in (0.5, 0.05, 0.95)))
            for name, values in zip(self.names, ordered, strict=True)
        )


def _warm_up(
    step: Step, clock: Clock, rule: Rule, samples: _Samples, now: Callable[[], float]
) -> Warmup:
    """Run until the calls get no faster, though no longer than the samples are to take.

    The call that shows it is itself a sample, unless samples are of several calls: of a step
    that takes seconds, no call is wasted. The first call of all is never one.
    """
    times = samples.take(step, clock, 1)
    began, stable = now(), False
    while not stable:
        spent = now() - began
        if len(times) > 2 and spent >= max(rule.min_seconds, _WARM_SECONDS):
            break
        # A batch of calls; of slow ones, one.
        count = max(1, min(len(times) // 2, int(_WARM_SECONDS / 2 / max(times[-1], 1e-9))))
        times += samples.take(step, clock, count)
        enough = now() - began >= _WARM_SECONDS or times[-1] >= _WARM_SECONDS / 2
        stable = enough and settled(times)
    samples.calls = _calls_per_sample(times, clock, rule)
    samples.keep(1 if samples.calls == 1 and stable else 0)
    warm = times[: len(times) - len(samples)]
    return Warmup(len(warm), 1e3 * sum(warm), 1e3 * times[0], stable)


def _calls_per_sample(times: Sequence[float], clock: Clock, rule: Rule) -> int:
    """So many that a sample is long enough, and that half of the most samples fill the least
    time."""
    if clock.cold:
        return 1
    seconds = max(_SAMPLE_SECONDS, 2 * rule.min_seconds / _MOST_SAMPLES)
    return max(1, ceil(seconds / max(median(times[len(times) // 2 :]), 1e-9)))


def _sample(
    step: Step,
    clock: Clock,
    rule: Rule,
    samples: _Samples,
    tell: Tell | None,
    now: Callable[[], float],
) -> None:
    """Take samples in rounds, ever longer ones at first, and stop as ``rule`` says."""
    began = told = now()
    count, pace = 1, 0.0
    while True:
        spent = now() - began
        if len(samples) >= _LEAST_SAMPLES and _done(samples, rule, spent):
            return
        left = (rule.min_seconds if spent < rule.min_seconds else rule.max_seconds) - spent
        if pace:
            count = max(1, min(2 * count, int(min(_ROUND_SECONDS, left) / pace)))
        before = now()
        samples.take(step, clock, count)
        pace = (now() - before) / count
        if len(samples) >= _MOST_SAMPLES:
            if clock.cold:  # the second call of a pair would find its data in the caches
                return
            samples.pair()
        if tell is not None and now() - told >= _TELL_SECONDS:
            tell(samples.totals_ms(), samples.calls)
            told = now()


def _done(samples: _Samples, rule: Rule, spent: float) -> bool:
    if spent >= rule.max_seconds:
        return True
    return spent >= rule.min_seconds and precision(samples.totals_ms()) <= rule.precision
