"""What repeated timings of one thing say about it, and how well they say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import comb, sqrt
from statistics import fmean, median, stdev

from blocktool.results.profile import Latency

FEWEST = 6
"""Below this many samples no pair of them bounds the median with 95% confidence."""

_T_975 = {
    2: 12.706,
    3: 4.303,
    4: 3.182,
    5: 2.776,
    6: 2.571,
    7: 2.447,
    8: 2.365,
    9: 2.306,
    10: 2.262,
}
"""Student's t at 97.5%, by the number of values (one more than the degrees of freedom)."""
_LEAST_BLOCKS, _MOST_BLOCKS = 8, 10
_SMALLEST_BLOCK = 2
_EXACT = 200
_SLOWER = 0.95
_SLOWER_MANY = 0.98
_DISTURBED = 1.5
_MANY = 5


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value below which a share ``q`` (0 to 1) of the sorted values lies.

    Between two values it is interpolated linearly: definition 7 of Hyndman and Fan, "Sample
    quantiles in statistical packages", 1996, which is also the default of numpy.
    """
    position = q * (len(ordered) - 1)
    index = int(position)
    below = ordered[index]
    above = ordered[min(index + 1, len(ordered) - 1)]
    return below + (above - below) * (position - index)


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """Bounds of the median with 95% confidence, of samples in the order they were taken.

    The order statistics that hold for independent samples, widened to what the medians of
    consecutive blocks say (the method of batch means: A. M. Law, "Simulation Modeling and
    Analysis", chapter 9). Times of calls in a row are not independent: where the machine is faster
    for a while and slower for a while, the blocks differ by more than the samples within them
    would have it. With fewer than 6 samples the bounds are the smallest and the largest.
    """
    return _interval(samples, sorted(samples))


def _interval(samples: Sequence[float], ordered: Sequence[float]) -> tuple[float, float]:
    count = len(samples)
    if count < FEWEST:
        return ordered[0], ordered[-1]
    rank = _rank(count)
    low, high = ordered[rank], ordered[-1 - rank]
    blocks = min(_MOST_BLOCKS, count // _SMALLEST_BLOCK)
    if blocks >= _LEAST_BLOCKS:
        medians = [
            median(samples[count * block // blocks : count * (block + 1) // blocks])
            for block in range(blocks)
        ]
        middle = fmean(medians)
        reach = _T_975[blocks] * stdev(medians, middle) / sqrt(blocks)
        low, high = min(low, middle - reach), max(high, middle + reach)
    # The times are no smaller than the smallest that was ever seen.
    return max(low, ordered[0]), min(high, ordered[-1])


@lru_cache(maxsize=256)
def _rank(count: int) -> int:
    """How many of the smallest samples lie below the lower bound: the largest ``k`` for which at
    most ``k`` of ``count`` independent samples are below the median with a probability of 2.5%.

    H. A. David, H. N. Nagaraja, "Order Statistics", 2003, section 7.1.
    """
    if count > _EXACT:  # the binomial distribution is normal enough
        return int(count / 2 - 0.5 - 1.959964 * sqrt(count) / 2)
    ways, rank = 1, 0
    while 40 * (ways + comb(count, rank + 1)) <= 2**count:
        rank += 1
        ways += comb(count, rank)
    return rank


def latency(samples_ms: Sequence[float], calls_per_sample: int) -> Latency:
    """Median, percentiles and the interval of the median, of samples in the order of time."""
    ordered = sorted(samples_ms)
    low, high = _interval(samples_ms, ordered)
    return Latency(
        p50=quantile(ordered, 0.5),
        p5=quantile(ordered, 0.05),
        p95=quantile(ordered, 0.95),
        iqr=quantile(ordered, 0.75) - quantile(ordered, 0.25),
        low=low,
        high=high,
        calls_per_sample=calls_per_sample,
        samples=tuple(samples_ms),
    )


def across_processes(each: Sequence[Latency]) -> Latency:
    """The times of several processes as one, whose interval covers what differs between them: the
    hull of that of all samples and of Student's t interval of the processes' medians.

    Addresses, page placement and who shares a core are drawn anew in each process, and hold for all
    of its samples: no number of these tells how much they matter.
    """
    joined = latency(
        [sample for one in each for sample in one.samples],
        min(one.calls_per_sample for one in each),
    )
    medians = [one.p50 for one in each]
    if len(medians) < 2:
        return joined
    half = _T_975[min(len(medians), _MOST_BLOCKS)] * stdev(medians) / sqrt(len(medians))
    middle = fmean(medians)
    low, high = min(joined.low, middle - half), max(joined.high, middle + half)
    return replace(joined, low=max(low, 0.0), high=high)


def precision(samples: Sequence[float]) -> float:
    """Half the width of the interval of the median, as a share of the median."""
    ordered = sorted(samples)
    low, high = _interval(samples, ordered)
    middle = quantile(ordered, 0.5)
    return (high - low) / 2 / middle if middle else 0.0


def settled(times: Sequence[float]) -> bool:
    """Whether calls in a row have stopped to get faster, as they do while caches fill.

    Of the later half of the calls (two at least) the second half is compared with the first: by
    more than 5% faster is not settled, or 2% where the halves are long enough for that to be no
    accident. Calls that get slower are no matter of warming up, but of two calls alone one that is
    half as slow again says that something disturbs.
    """
    count = min(len(times), max(2, (len(times) + 1) // 2))
    if count < 2:
        return False
    window = times[-count:]
    earlier, later = window[: count // 2], window[count // 2 :]
    if count == 2 and later[0] > _DISTURBED * earlier[0]:
        return False
    limit = _SLOWER if len(earlier) < _MANY else _SLOWER_MANY
    return median(later) >= limit * median(earlier)
