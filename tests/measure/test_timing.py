"""When timing begins and when it ends, on a clock of the test's own."""

from __future__ import annotations

import gc
import random
import statistics
import weakref
from collections.abc import Callable, Sequence
from itertools import count, pairwise

import pytest
import torch

from blocktool.measure.clocks import HostClock, Readings, clock_for
from blocktool.measure.request import Rule
from blocktool.measure.step import Phase, Step
from blocktool.measure.timing import Timing, timed

CPU = torch.device("cpu")
RULE = Rule(min_seconds=1.0, max_seconds=10.0, precision=0.01)


class World:
    """Time passes only in the step (``seconds(call)`` in each call, split among its phases), and
    between samples where caches are flushed."""

    def __init__(
        self,
        seconds: Callable[[int], float],
        shares: Sequence[float] = (1.0,),
        flush: float | None = None,
    ) -> None:
        self.ns = 0
        self.calls = 0
        self.samples: list[int] = []
        self._seconds = seconds
        self._flush = flush
        names = ("forward", "backward", "optimizer")
        runs = [self._phase(share, first=not index) for index, share in enumerate(shares)]
        self.step = Step(tuple(map(Phase, names, runs)), CPU)

    def _phase(self, share: float, first: bool) -> Callable[[], None]:
        def run() -> None:
            self.calls += first
            self.ns += round(1e9 * share * self._seconds(self.calls - 1))

        return run

    def _pause(self) -> None:
        self.ns += round(1e9 * (self._flush or 0))

    def now(self) -> float:
        return self.ns / 1e9

    def timed(
        self, rule: Rule = RULE, tell: Callable[[Sequence[float], int], None] | None = None
    ) -> Timing:
        clock = HostClock(None if self._flush is None else self._pause, now=lambda: self.ns)
        return timed(self.step, clock, rule, tell, now=self.now)


def noisy(seconds: float, noise: float) -> Callable[[int], float]:
    rng = random.Random(5)
    return lambda call: seconds * rng.lognormvariate(0, noise)


def test_steady_calls_take_the_least_time() -> None:
    world = World(lambda call: 0.010)
    timing = world.timed()
    assert timing.latency.p50 == pytest.approx(10)
    assert timing.seconds == pytest.approx(1.0, rel=0.02)
    assert timing.precision == pytest.approx(0)
    assert timing.latency.calls_per_sample == 1
    assert timing.host_bound is None
    assert [phase.phase for phase in timing.phases] == ["forward"]
    # Nothing that ran is unaccounted for.
    assert timing.warmup.calls + len(timing.latency.samples) == world.calls
    assert timing.warmup.ms / 1e3 + timing.seconds == pytest.approx(world.now())


def test_noisy_calls_go_on_until_the_median_is_precise() -> None:
    timing = World(noisy(0.010, 0.08)).timed()
    assert 1.1 < timing.seconds < 9
    assert 0.005 < timing.precision <= 0.01
    assert timing.latency.low < 10 < timing.latency.high


def test_very_noisy_calls_stop_at_the_most_time() -> None:
    timing = World(noisy(0.010, 1.0)).timed()
    assert timing.seconds == pytest.approx(10, rel=0.05)
    assert timing.precision > 0.01


def test_a_step_of_minutes_gives_three_samples() -> None:
    world = World(lambda call: 300.0 if call else 400.0)
    timing = world.timed()
    assert timing.warmup.first_ms == pytest.approx(400e3)
    assert timing.latency.samples == pytest.approx([300e3] * 3)
    assert world.calls <= 5


def test_a_slow_steady_step_is_warm_after_one_call() -> None:
    world = World(lambda call: 0.6)
    timing = world.timed()
    assert (timing.warmup.calls, timing.warmup.stable) == (1, True)
    # All that ran is at most 1.5 times what was measured.
    assert world.now() <= 1.5 * timing.seconds


def test_a_slow_first_call_is_no_sample() -> None:
    timing = World(lambda call: 0.1 if call else 9.0).timed()
    assert (timing.warmup.calls, timing.warmup.stable) == (2, True)
    assert timing.warmup.first_ms == pytest.approx(9000)
    assert timing.latency.p95 == pytest.approx(100)


@pytest.mark.parametrize("seconds", [2e-6, 3e-5, 3e-4, 2e-3, 0.02])
def test_warming_up_is_short(seconds: float) -> None:
    timing = World(lambda call: seconds).timed()
    assert timing.warmup.ms <= 80
    assert timing.warmup.stable


def test_warming_up_goes_on_while_calls_get_faster() -> None:
    timing = World(lambda call: 0.002 * (1 + 2.0 ** (-call / 40))).timed()
    assert timing.warmup.stable
    assert 100 < timing.warmup.calls < 400
    assert max(timing.latency.samples) < 2 * 1.1


def test_calls_that_never_settle_are_said_to_be_unstable() -> None:
    timing = World(lambda call: 2.0 * 0.9**call).timed(Rule(0.5, 2.0, 0.01))
    assert not timing.warmup.stable
    assert len(timing.latency.samples) >= 3


def test_a_slow_decline_is_capped() -> None:
    world = World(lambda call: 0.005 / (1 + call / 50))
    timing = world.timed(Rule(0.3, 1.0, 0.001))
    assert not timing.warmup.stable
    assert timing.warmup.ms <= 1e3 * (0.3 + 0.1)


@pytest.mark.parametrize("seconds", [1e-6, 9e-6, 4e-5])
def test_short_calls_are_grouped(seconds: float) -> None:
    timing = World(lambda call: seconds).timed(Rule(0.2, 1.0, 0.01))
    assert timing.latency.calls_per_sample * seconds >= 1e-4
    assert len(timing.latency.samples) <= 10_000
    assert timing.latency.p50 == pytest.approx(1e3 * seconds, rel=0.01)
    assert timing.seconds == pytest.approx(0.2, rel=0.05)


def test_too_many_samples_are_joined_in_pairs() -> None:
    values = noisy(2.5e-4, 0.4)
    every: list[float] = []

    def seconds(call: int) -> float:
        every.append(values(call))
        return every[-1]

    timing = World(seconds).timed(Rule(4.0, 4.0, 1e-9))
    assert timing.latency.calls_per_sample in (2, 4)
    assert 2500 < len(timing.latency.samples) < 10_000
    measured = every[len(every) - len(timing.latency.samples) * timing.latency.calls_per_sample :]
    pairs = timing.latency.calls_per_sample
    means = [
        1e3 * statistics.fmean(measured[index : index + pairs])
        for index in range(0, len(measured), pairs)
    ]
    assert timing.latency.samples == pytest.approx(means, rel=1e-3)


def test_cold_samples_are_of_one_call_and_the_time_for_flushing_counts() -> None:
    world = World(lambda call: 2e-6, flush=0.01)
    timing = world.timed(Rule(0.5, 1.0, 0.01))
    assert timing.latency.calls_per_sample == 1
    assert timing.latency.p50 == pytest.approx(2e-3)
    assert 0.5 <= world.now() < 0.8


def test_cold_samples_are_never_joined() -> None:
    timing = World(noisy(1e-4, 1.0), flush=1e-4).timed(Rule(9.0, 20.0, 1e-9))
    assert timing.latency.calls_per_sample == 1
    assert 10_000 <= len(timing.latency.samples) <= 11_000


def test_phases_of_a_training_step() -> None:
    timing = World(lambda call: 0.010, shares=(0.3, 0.5, 0.2)).timed()
    assert [(p.phase, p.p50) for p in timing.phases] == [
        ("forward", pytest.approx(3)),
        ("backward", pytest.approx(5)),
        ("optimizer", pytest.approx(2)),
    ]
    assert timing.latency.p50 == pytest.approx(10)
    assert timing.seconds == pytest.approx(1, rel=0.02)


def test_progress() -> None:
    world = World(noisy(0.004, 1.0))
    told: list[tuple[float, list[float]]] = []
    timing = world.timed(tell=lambda samples, calls: told.append((world.now(), list(samples))))
    moments = [moment for moment, _ in told]
    assert 20 <= len(told) <= 41
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(moments))
    for _, samples in told:
        assert list(timing.latency.samples[: len(samples)]) == samples


def test_slow_steps_tell_every_sample() -> None:
    told: list[list[float]] = []
    World(noisy(1.0, 0.3)).timed(tell=lambda samples, calls: told.append(list(samples)))
    lengths = [len(samples) for samples in told]
    assert len(lengths) >= 3
    assert lengths == list(range(lengths[0], lengths[0] + len(lengths)))


class Fixed:
    """A clock that was always said to be bound by the host for the same share."""

    cold = False

    def __init__(self) -> None:
        self.ns = 0
        self._shares = count(0)

    def readings(self, step: Step, calls: int, samples: int) -> Readings:
        self.ns += 10**6 * calls * samples
        return Readings(([1e-3] * samples,), 0.9 if next(self._shares) % 10 else 0.1)


def test_share_of_the_host() -> None:
    clock = Fixed()
    step = Step((Phase("forward", lambda: None),), CPU)
    timing = timed(step, clock, RULE, now=lambda: clock.ns / 1e9)
    assert timing.host_bound == pytest.approx(0.9)


def test_the_collector_is_off_while_samples_are_taken_and_on_again_afterwards() -> None:
    seen: set[bool] = set()

    def seconds(call: int) -> float:
        seen.add(gc.isenabled())
        return 0.1

    World(seconds).timed()
    assert seen == {False}
    assert gc.isenabled()


@pytest.mark.parametrize("call", [0, 5, 15])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no")])
def test_what_the_step_raises_comes_through(
    call: int, error: type[BaseException] | BaseException
) -> None:
    def seconds(now: int) -> float:
        if now == call:
            raise error
        return 0.05

    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        World(seconds).timed()
    assert gc.isenabled()


def test_cycles_that_a_module_leaves_behind_do_not_pile_up() -> None:
    class Node:
        def __init__(self) -> None:
            self.me = self

    alive: weakref.WeakSet[Node] = weakref.WeakSet()
    most = 0

    def seconds(call: int) -> float:
        nonlocal most
        alive.add(Node())
        most = max(most, len(alive))
        return 0.1

    World(seconds).timed(Rule(20.0, 20.0))
    assert most <= 10


def test_a_real_module_runs_as_often_as_is_said() -> None:
    layer = torch.nn.Linear(8, 8)
    x = torch.randn(2, 8)
    calls = 0

    def run() -> None:
        nonlocal calls
        calls += 1
        layer(x)

    step = Step((Phase("forward", run),), CPU)
    with torch.inference_mode():
        timing = timed(step, clock_for(CPU, cold_cache=False), Rule(0.1, 0.2, 0.05))
    samples = timing.latency.samples
    assert calls == timing.warmup.calls + len(samples) * timing.latency.calls_per_sample
    assert timing.latency.low <= timing.latency.p50 <= timing.latency.high
    assert timing.seconds >= 0.05
