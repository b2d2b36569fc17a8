"""What the samples of a case themselves say against its figures. Pure; needs no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from statistics import median

from blocktool.analysis.doubts import Doubt, round_up, seconds, share
from blocktool.results.profile import Latency, ProfileCase, Protocol

NOISY_IQR = 0.10
"""Interquartile range over median; torch.utils.benchmark warns from the same 10% on."""
NOISY_TAIL = 1.5
"""95th percentile over median: one call in twenty takes half as long again."""
FEWEST_FOR_SPREAD = 5
"""With fewer samples their quartiles are the extremes."""

FEW_SAMPLES = 10
"""The fewest runs that hyperfine makes. A 95% interval of a median takes 6 at the least, and says
little with so few."""

DRIFT = 0.03
"""Change of the median from the first third of the samples to the last. More than the default
precision: smaller changes are within what repeated runs differ by."""
GROWING = 0.3
"""Slower by so much from the first third to the last: state that grows does that."""
DRIFT_Z = 3.5
"""How many standard deviations apart the ranks of both thirds must lie. By chance that is one case
in 2000; with fewer than 27 samples it cannot be."""

FIRST_SLOW = 2.0
FIRST_SLOW_COMPILED = 1.3
"""The first samples over the median. Compiled code also records graphs and tunes kernels in its
first calls, and is steady afterwards: less is needed to be sure."""
FIRST_EXCESS_MS = 1.0
"""What compiling, loading a kernel or growing an allocator takes at the least."""
RECOMPILED = 10.0
RECOMPILED_EXCESS_MS = 50.0
"""A later sample of compiled code; tracing and compiling anything takes longer than that."""

LONGEST_HINT_SECONDS = 600
"""What nobody would wait for is not proposed."""

_ODD_OUTPUTS = re.compile(r"\b(nans?|not finite|inf|infinit\w*|denormals?|subnormals?)\b", re.I)
_SLOW_OUTPUTS = re.compile(r"\b(denormals?|subnormals?)\b", re.I)


def sample_doubts(
    case: ProfileCase, asked: Protocol, governor: str | None = None
) -> Iterator[Doubt]:
    """All that one measured case says against itself; ``case`` of the doubts is not set."""
    latency = case.latency_ms
    if latency is None or not latency.samples or latency.p50 <= 0:
        return
    few = len(latency.samples) < FEW_SAMPLES
    if few:
        yield _few(latency, asked)
    elif case.precision is not None and case.precision > asked.precision:
        yield _not_precise(case.precision, asked)
    yield from _noisy(latency, _clocks(governor))
    yield from _drift(latency, asked, _clocks(governor))
    yield from _compilation(case, latency, asked)
    if case.warmup is not None and not case.warmup.stable:
        words = "the times were still changing when the warm-up ended"
        hint = f"{_longer(5 * asked.min_seconds, asked)} leaves the start behind"
        yield Doubt("unstable", "", 1.0, words, words, hint, effect="did not settle")
    yield from _inputs(case.notes)


def _clocks(governor: str | None) -> str:
    """What to do about clocks that follow the load, where they do."""
    if governor in (None, "performance"):
        return ""
    return f", with the CPU governor 'performance' instead of '{governor}'"


def _longer(time: float, asked: Protocol) -> str:
    """The option for at least so many seconds, with the one that allows it where it must."""
    figure = round_up(time)
    return f"--min-time {figure}" + (f" --max-time {figure}" * (figure > asked.max_seconds))


def _few(latency: Latency, asked: Protocol) -> Doubt:
    count = len(latency.samples)
    words = "1 sample" if count == 1 else f"{count} samples"
    needed = FEW_SAMPLES * latency.p50 * latency.calls_per_sample / 1e3
    hint = f"{_longer(needed, asked)} for at least {FEW_SAMPLES}"
    if needed <= asked.min_seconds:
        hint = "let it run to its end"  # it was interrupted
    return Doubt(
        "few-samples",
        "",
        needed,
        f"only {words}: percentiles and interval say little",
        f"fewer than {FEW_SAMPLES} samples: percentiles and intervals say little",
        hint,
    )


def _not_precise(precision: float, asked: Protocol) -> Doubt:
    known, wanted = share(precision), share(asked.precision)
    aim = f"not quite to the ±{wanted}" if known == wanted else f"not to the ±{wanted}"
    # The interval narrows with the square root of the number of samples.
    needed = asked.max_seconds * (precision / asked.precision) ** 2
    ways = ["a quieter machine", f"--precision {round_up(100 * precision)}%"]
    if needed <= LONGEST_HINT_SECONDS:
        now = seconds(asked.max_seconds)
        ways.insert(0, f"--max-time {round_up(needed)} (it was {now})")
    return Doubt(
        "not-precise",
        "",
        precision,
        f"the median is known to ±{known}, {aim} that was asked for",
        f"medians are known to ±{known} at worst, {aim} that was asked for",
        ", ".join(ways[:-1]) + f", or {ways[-1]}",
    )


def _noisy(latency: Latency, clocks: str) -> Iterator[Doubt]:
    if len(latency.samples) < FEWEST_FOR_SPREAD:
        return
    spread, tail = latency.iqr / latency.p50, latency.p95 / latency.p50
    if spread <= NOISY_IQR and tail <= NOISY_TAIL:
        return
    if spread > NOISY_IQR:
        message = f"the times scatter: the middle half of them spans {share(spread)} of the median"
        together = message.replace("spans", "spans up to")
    else:
        message = f"one call in twenty takes {tail:.2g} times the median or longer"
        together = message.replace("takes", "takes up to")
    weight = max(spread / NOISY_IQR, (tail - 1) / (NOISY_TAIL - 1))
    effect = f"scatter by {share(spread if spread > NOISY_IQR else tail - 1)}"
    hint = f"run it again on a quiet machine{clocks}; the 5th percentile suffers least"
    yield Doubt("noisy", "", weight, message, together, hint, effect=effect)


def _drift(latency: Latency, asked: Protocol, clocks: str) -> Iterator[Doubt]:
    third = len(latency.samples) // 3
    first, last = latency.samples[:third], latency.samples[-third:]
    if third < 2 or median(first) <= 0:
        return
    change = median(last) / median(first) - 1
    if abs(change) <= DRIFT or abs(rank_sum_z(first, last)) <= DRIFT_Z:
        return
    way = "slower" if change > 0 else "faster"
    message = f"it became {share(abs(change))} {way} between the first and the last third"
    together = message.replace("became", "became up to")
    taken = sum(latency.samples) * latency.calls_per_sample / 1e3
    longer = _longer(2 * max(taken, asked.min_seconds), asked)
    hint = f"clocks, heat or load changed: run it again with {longer}{clocks}"
    weight = abs(change) / DRIFT
    effect = f"drift by {share(abs(change))}"
    growing = change > GROWING
    if growing:
        hint = f"does the module keep something from call to call, a list or a cache? Else {hint}"
    yield Doubt("drift", way, weight, message, together, hint, effect=effect, alone=growing)


def rank_sum_z(first: Sequence[float], second: Sequence[float]) -> float:
    """How many standard deviations the ranks of ``second`` lie above what chance gives.

    H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically
    larger than the other", Ann. Math. Statist. 18(1), 1947; equal values share their mean rank.
    """
    n, m = len(first), len(second)
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = ties = 0.0
    start = 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        equal = end - start
        ranks += sum(which for _, which in ordered[start:end]) * (start + 1 + end) / 2
        ties += equal**3 - equal
        start = end
    whole = n + m
    variance = n * m / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    expected = m * (whole + 1) / 2
    return (ranks - expected) / math.sqrt(variance) if variance > 0 else 0.0


def _compilation(case: ProfileCase, latency: Latency, asked: Protocol) -> Iterator[Doubt]:
    samples, usual = latency.samples, latency.p50
    compiled = any(part.startswith("compile") for part in case.variant.split("+"))
    limit = FIRST_SLOW_COMPILED if compiled else FIRST_SLOW
    slow = [index for index, sample in enumerate(samples) if sample > limit * usual]
    # Slow samples at the start and none later: otherwise it is noise.
    start = len(slow) if slow == list(range(len(slow))) and len(slow) <= len(samples) / 3 else 0
    if start and _extra_ms(latency, 0) >= FIRST_EXCESS_MS:
        times = f"{samples[0] / usual:.2g} times the median"
        hint = "run it again, since what was compiled is mostly kept, or "
        hint += f"{_longer(5 * asked.min_seconds, asked)} lets it weigh less"
        yield Doubt(
            "compilation",
            "first",
            samples[0] / usual,
            f"the first sample took {times}: something was still compiled or set up",
            f"first samples took up to {times}: something was still compiled or set up",
            hint,
        )
    again = [i for i in slow[start:] if samples[i] > RECOMPILED * usual]
    again = [i for i in again if _extra_ms(latency, i) >= RECOMPILED_EXCESS_MS]
    if compiled and again:
        worst = max(again, key=lambda i: samples[i])
        times = f"{samples[worst] / usual:.2g} times the median"
        why = "as if the code had been compiled again"
        yield Doubt(
            "compilation",
            "again",
            samples[worst] / usual,
            f"sample {worst + 1} of {len(samples)} took {times}, {why}",
            f"samples took up to {times}, {why}",
            "TORCH_LOGS=recompiles shows whether and why; run it again",
        )


def _extra_ms(latency: Latency, index: int) -> float:
    """What one sample took beyond the usual, over all its calls."""
    return (latency.samples[index] - latency.p50) * latency.calls_per_sample


def _inputs(notes: Sequence[str]) -> Iterator[Doubt]:
    """What was noted of outputs that are not usual numbers."""
    for note in notes:
        if not _ODD_OUTPUTS.search(note):
            continue
        hint = "errors of variants mean little then: check the weights, or give other inputs"
        if _SLOW_OUTPUTS.search(note):
            hint = "such numbers are slow on CPUs: other weights or inputs, or "
            hint += "torch.set_flush_denormal(True)"
        yield Doubt("inputs", note, 1.0, note, note, hint)
