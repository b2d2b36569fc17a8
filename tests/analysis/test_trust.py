"""Each kind of notice alone, none on clean data, and what is said of several cases."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.benchmark import Measurement, TaskSpec

from blocktool.analysis.trust import notices
from blocktool.analysis.trust_samples import rank_sum_z
from blocktool.results.profile import (
    Latency,
    Machine,
    Notice,
    NoticeKind,
    ProfileCase,
    Protocol,
    Warmup,
)
from blocktool.results.watched import Watched, WatchedGpu

PROTOCOL = Protocol(
    min_seconds=1.0,
    max_seconds=10.0,
    precision=0.01,
    timeout_seconds=None,
    cold_cache=False,
    optimizer=None,
    isolated=True,
)
CPU = Machine("cpu", "a processor", 2**34, threads=4, cores=4)
GPU = Machine("cuda:0", "a GPU", 2**34, threads=4, cores=4)
QUIET = Watched(
    wall_seconds=1.2,
    own_cpu_seconds=4.5,
    cpus=4,
    waited_seconds=0.01,
    others_cpu_seconds=0.05,
    steal_seconds=0.0,
    quota_periods=12,
    quota_stops=0,
    mhz_after=3400.0,
    base_mhz=2900.0,
    thermal_throttles=0,
)


def latency_of(samples: Sequence[float], calls: int = 1) -> Latency:
    p5, p25, p50, p75, p95 = map(float, np.percentile(samples, [5, 25, 50, 75, 95]))
    return Latency(p50, p5, p95, p75 - p25, p50, p50, calls, tuple(samples))


def case_of(
    samples: Sequence[float],
    *,
    index: int = 0,
    precision: float = 0.004,
    variant: str = "eager",
    stable: bool = True,
    notes: tuple[str, ...] = (),
    calls: int = 1,
) -> ProfileCase:
    return ProfileCase(
        index=index,
        batch=1,
        inputs=(),
        dtype="float32",
        mode="inference",
        variant=variant,
        amp=False,
        outcome="passed",
        latency_ms=latency_of(samples, calls),
        precision=precision,
        warmup=Warmup(3, 30.0, 15.0, stable),
        notes=notes,
    )


def jitter(count: int, sigma: float, seed: int = 0, ms: float = 10.0) -> list[float]:
    generator = random.Random(seed)
    return [ms * generator.lognormvariate(0.0, sigma) for _ in range(count)]


def told(
    *cases: ProfileCase, watched: Watched | None = QUIET, machine: Machine | None = CPU
) -> tuple[Notice, ...]:
    all_watched = {} if watched is None else {case.index: watched for case in cases}
    return notices(cases, all_watched, machine, PROTOCOL)


def slowed(samples: Sequence[float], factor: Callable[[float], float]) -> list[float]:
    """Each sample times a factor of its place in the run, 0 to 1."""
    return [x * factor(i / (len(samples) - 1)) for i, x in enumerate(samples)]


CLEAN = jitter(200, 0.015)


def test_clean_cases_raise_no_alarm() -> None:
    generator = random.Random(1)
    for seed in range(200):
        samples = jitter(
            generator.choice([10, 12, 30, 100, 300, 1000]),
            generator.uniform(0.01, 0.02),
            seed,
            ms=10 ** generator.uniform(-1, 3),
        )
        variant = generator.choice(["eager", "compile", "fused+compile"])
        assert told(case_of(samples, variant=variant)) == (), seed


def test_clean_cases_with_a_shared_slow_wave_raise_no_alarm() -> None:
    # Clocks and caches make neighbouring samples alike: an AR(1) process of 1% in all.
    for seed in range(50):
        generator, wave, samples = random.Random(seed), 0.0, []
        for _ in range(300):
            wave = 0.9 * wave + generator.gauss(0, 0.01 * math.sqrt(1 - 0.9**2))
            samples.append(10 * math.exp(wave))
        assert told(case_of(samples)) == (), seed


def test_nothing_is_known_of_the_machine() -> None:
    assert told(case_of(CLEAN), watched=None, machine=None) == ()
    assert told(case_of(CLEAN), watched=Watched(1.2, 4.5, 4)) == ()


ALONE: list[tuple[NoticeKind, ProfileCase]] = [
    ("noisy", case_of(jitter(200, 0.2))),
    ("noisy", case_of([x * (2 if i % 12 == 5 else 1) for i, x in enumerate(CLEAN)])),
    ("few-samples", case_of(CLEAN[:9])),
    ("not-precise", case_of(CLEAN, precision=0.023)),
    ("unstable", case_of(CLEAN, stable=False)),
    ("compilation", case_of([30.0, *CLEAN])),
    ("compilation", case_of([14.0, *CLEAN], variant="compile")),
    ("compilation", case_of([*CLEAN, 900.0, *CLEAN], variant="fused+compile-max-autotune")),
    ("drift", case_of(slowed(CLEAN, lambda at: 1 + 0.08 * at))),
    ("drift", case_of(slowed(CLEAN[:27], lambda at: 1 if at < 0.5 else 0.93))),
    ("inputs", case_of(CLEAN, notes=("the outputs hold NaN",))),
    ("inputs", case_of(CLEAN, notes=("12% of the outputs are denormals",))),
]


@pytest.mark.parametrize(("kind", "case"), ALONE)
def test_samples_raise_one_alarm(kind: NoticeKind, case: ProfileCase) -> None:
    (notice,) = told(case)
    assert notice.kind == kind
    assert notice.cases == (0,)
    assert notice.hint


SURROUNDINGS: list[tuple[NoticeKind, str, Watched, Machine]] = [
    ("load", "other processes used 23%", replace(QUIET, others_cpu_seconds=1.1), CPU),
    # 8% would be little, but threads waited for just these cores.
    (
        "load",
        "other processes used 8.3%",
        replace(QUIET, others_cpu_seconds=0.4, waited_seconds=0.4),
        CPU,
    ),
    ("load", "hypervisor gave 2.1%", replace(QUIET, steal_seconds=0.1), CPU),
    ("load", "waited for a core 10%", replace(QUIET, waited_seconds=0.5), GPU),
    ("oversubscribed", "waited for a core 18%", replace(QUIET, waited_seconds=1.0), CPU),
    ("oversubscribed", "quota stopped it in 75%", replace(QUIET, quota_stops=9), CPU),
    ("oversubscribed", "4 threads on 2 cores", QUIET, replace(CPU, cores=2)),
    ("throttled", "for heat, 3 times", replace(QUIET, thermal_throttles=3), CPU),
    ("throttled", "1200 MHz; 2900 are promised", replace(QUIET, mhz_after=1200.0), CPU),
    (
        "throttled",
        "0.6 s, by power cap; 1400 MHz of 1980",
        replace(
            QUIET,
            gpu=WatchedGpu(limited_seconds={"power cap": 0.6}, sm_mhz=1400.0, max_sm_mhz=1980.0),
        ),
        GPU,
    ),
    (
        "throttled",
        "thermal",
        replace(QUIET, gpu=WatchedGpu(limited_now=("thermal slowdown",))),
        GPU,
    ),
    (
        "load",
        "2 other processes compute on the same GPU; it was busy 60%",
        replace(QUIET, gpu=WatchedGpu(others=2, busy_before=0.6)),
        GPU,
    ),
]


@pytest.mark.parametrize(("kind", "words", "watched", "machine"), SURROUNDINGS)
def test_surroundings_raise_one_alarm(
    kind: NoticeKind, words: str, watched: Watched, machine: Machine
) -> None:
    (notice,) = told(case_of(CLEAN), watched=watched, machine=machine)
    assert notice.kind == kind
    assert words in notice.message
    assert notice.hint


HARMLESS: list[tuple[Watched, Machine]] = [
    (QUIET, replace(GPU, cores=2)),  # threads do not matter there
    (replace(QUIET, others_cpu_seconds=1.1), GPU),  # the host is busy, but nothing waited
    (replace(QUIET, gpu=WatchedGpu(others=1, busy_before=0.0)), GPU),  # an idle notebook
    (replace(QUIET, gpu=WatchedGpu(limited_seconds={"power cap": 0.01})), GPU),
    (replace(QUIET, quota_stops=1), CPU),
    (Watched(0.1, 0.1, 1, others_cpu_seconds=0.03), CPU),  # three ticks of the clock
]


@pytest.mark.parametrize(("watched", "machine"), HARMLESS)
def test_harmless_surroundings(watched: Watched, machine: Machine) -> None:
    assert told(case_of(CLEAN), watched=watched, machine=machine) == ()


def test_calls_that_grow_ever_slower_may_keep_something() -> None:
    growing = slowed(CLEAN, lambda at: 1 + at)
    (notice,) = (each for each in told(case_of(growing)) if each.kind == "drift")
    assert "keep something from call to call" in notice.hint
    settling = slowed(CLEAN, lambda at: 2 - at)
    (other,) = (each for each in told(case_of(settling)) if each.kind == "drift")
    assert "keep something" not in other.hint


def test_what_cannot_be_told_apart_from_noise_is_no_drift_or_compilation() -> None:
    # Nine samples in each third may differ by chance; eight always may.
    few = slowed(CLEAN[:26], lambda at: 1 if at < 0.5 else 0.93)
    assert told(case_of(few)) == ()
    # Slow samples anywhere, one of them the first, or one of a few µs.
    spread = [30.0, *CLEAN[:100], 30.0, *CLEAN]
    assert told(case_of(spread)) == ()
    assert told(case_of([0.3, *(x / 100 for x in CLEAN)])) == ()
    # Ten times the median, but not by what compiling takes; and not compiled at all.
    assert told(case_of([*CLEAN, 900.0, *CLEAN])) == ()
    quick = [x / 100 for x in CLEAN]
    assert told(case_of([*quick, 9.0, *quick], variant="compile")) == ()


def test_a_sample_of_many_calls_counts_for_all_of_them() -> None:
    # 0.1 ms too much, ten times over.
    quick = [x / 100 for x in CLEAN]
    assert told(case_of([0.25, *quick])) == ()
    (notice,) = told(case_of([0.25, *quick], calls=10))
    assert notice.kind == "compilation"


def test_noise_is_judged_as_torch_does() -> None:
    differ = 0
    for seed in range(60):
        samples = jitter(100, 0.02 + 0.002 * seed, seed)
        theirs = Measurement(1, samples, TaskSpec("pass", "pass")).has_warnings
        ours = any(notice.kind == "noisy" for notice in told(case_of(samples)))
        assert ours == theirs
        differ += ours
    assert 10 < differ < 50


def test_ranks_by_hand() -> None:
    # U = 9 of 9 pairs; mean 4.5, variance 3 * 3 * 7 / 12.
    assert rank_sum_z([1, 2, 3], [4, 5, 6]) == pytest.approx(4.5 / math.sqrt(5.25))
    assert rank_sum_z([4, 5, 6], [1, 2, 3]) == pytest.approx(-4.5 / math.sqrt(5.25))
    # Ranks 1.5, 1.5, 3.5, 3.5; two ties of two: variance 2 * 2 / 12 * (5 - 12 / 12).
    assert rank_sum_z([1, 2], [1, 2]) == 0
    assert rank_sum_z([1, 1], [2, 2]) == pytest.approx(2 / math.sqrt(4 / 3))
    assert rank_sum_z([1, 1], [1, 1]) == 0


def test_ranks_against_all_pairs() -> None:
    torch.manual_seed(0)
    first, second = torch.randint(0, 30, (40,)), torch.randint(5, 35, (25,))
    wins = (second[None] > first[:, None]).sum() + 0.5 * (second[None] == first[:, None]).sum()
    _, counts = torch.cat([first, second]).unique(return_counts=True)
    ties = (counts.double() ** 3 - counts).sum() / (65 * 64)
    variance = 40 * 25 / 12 * (66 - ties)
    expected = (wins - 40 * 25 / 2) / variance.sqrt()
    assert rank_sum_z(first.tolist(), second.tolist()) == pytest.approx(expected.item())


def test_equal_notices_are_one_in_the_words_of_the_worst() -> None:
    cases = [
        case_of(CLEAN, index=3, precision=0.02),
        case_of(CLEAN, index=1, precision=0.05),
        case_of(CLEAN, index=2),
    ]
    (notice,) = told(*cases)
    assert (notice.kind, notice.cases) == ("not-precise", (1, 3))
    assert "±5%" in notice.message
    assert "±1%" in notice.message


def test_the_most_severe_first() -> None:
    cases = [
        case_of(CLEAN, precision=0.02, stable=False, notes=("outputs are not finite",)),
        case_of(CLEAN[:5], index=1),
    ]
    kinds = [notice.kind for notice in told(*cases, machine=replace(CPU, threads=8))]
    assert kinds == ["inputs", "oversubscribed", "few-samples", "not-precise"]


def test_symptoms_are_told_with_their_cause() -> None:
    noisy = case_of(jitter(200, 0.2), index=0)
    drifting = case_of(slowed(CLEAN, lambda at: 1 + 0.08 * at), index=1, stable=False)
    busy = replace(QUIET, others_cpu_seconds=1.1)
    (notice,) = notices([noisy, drifting], {0: busy, 1: busy}, CPU, PROTOCOL)
    assert (notice.kind, notice.cases) == ("load", (0, 1))
    assert "up to 23% of the 4 cores" in notice.message
    assert "did not settle" in notice.message
    assert "drift by 5" in notice.message
    assert "scatter by 2" in notice.message
    # Where the cause is not there, the symptom stands by itself.
    found = notices([noisy, drifting], {0: busy, 1: QUIET}, CPU, PROTOCOL)
    assert [(notice.kind, notice.cases) for notice in found] == [
        ("load", (0,)),
        ("unstable", (1,)),
        ("drift", (1,)),
    ]
    assert "scatter" in found[0].message
    assert "drift" not in found[0].message


def test_a_noisy_machine_gives_no_wall() -> None:
    generator = random.Random(5)
    cases = [
        case_of(
            slowed(jitter(100, generator.uniform(0.1, 0.4), seed), lambda at: 1 + 0.2 * at),
            index=seed,
            precision=generator.uniform(0.01, 0.1),
            stable=seed % 3 > 0,
        )
        for seed in range(12)
    ]
    watched = {
        case.index: replace(QUIET, others_cpu_seconds=2.0, waited_seconds=1.0) for case in cases
    }
    assert [notice.kind for notice in notices(cases, watched, CPU, PROTOCOL)] == [
        "load",
        "not-precise",
    ]


@pytest.mark.parametrize(
    ("case", "hint"),
    [
        # 9 samples of 400 ms: ten take 4 s; of 1.6 s: 16, which is beyond --max-time.
        (case_of([40 * x for x in CLEAN[:9]]), "--min-time 5 for"),
        (case_of([160 * x for x in CLEAN[:9]]), "--min-time 20 --max-time 20 for"),
        (case_of(CLEAN[:9]), "let it run to its end"),
        # Twice too wide takes four times as long; ten times too wide nobody waits for.
        (case_of(CLEAN, precision=0.02), "--max-time 60 (it was 10 s)"),
        (case_of(CLEAN, precision=0.1), "a quieter machine, or --precision 10%"),
        (case_of(CLEAN, notes=("denormals",)), "set_flush_denormal"),
    ],
)
def test_the_hint_fits_what_was_asked(case: ProfileCase, hint: str) -> None:
    (notice,) = told(case)
    assert hint in notice.hint


def test_hints_of_threads() -> None:
    machine = replace(CPU, cores=2, settings={"OMP_NUM_THREADS": "4"})
    (notice,) = told(case_of(CLEAN), machine=machine)
    assert notice.cases == ()
    assert "--threads 2 " in notice.hint
    assert "OMP_NUM_THREADS=4" in notice.hint
    # Others use 1.5 of 4 cores: two are left to us whole.
    (notice,) = told(case_of(CLEAN), watched=replace(QUIET, others_cpu_seconds=1.8))
    assert "--threads 2" in notice.hint


def test_a_governor_that_follows_the_load_is_named() -> None:
    noisy = case_of(jitter(200, 0.2))
    (notice,) = told(noisy, machine=replace(CPU, state={"governor": "powersave"}))
    assert "'powersave'" in notice.hint
    (notice,) = told(noisy, machine=replace(CPU, state={"governor": "performance"}))
    assert "governor" not in notice.hint


def test_what_was_not_measured_is_not_judged() -> None:
    failed = replace(case_of(CLEAN), outcome="failed", latency_ms=None)
    busy = replace(QUIET, others_cpu_seconds=4.0)
    assert told(failed, watched=busy, machine=replace(CPU, threads=8)) == ()
