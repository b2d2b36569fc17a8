"""By how much times changed, from the medians of several processes on both sides.

The unit of replication is the process. Addresses, page placement and who shares a core are drawn
anew in each, and hold for all of its samples, so that no number of samples in one process tells how
much they matter (T. Kalibera, R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).

Everything is in logarithms, since what disturbs a time multiplies it, and distribution-free:
processes fall into groups, and a neighbour makes some of them slower by half, but never faster.

*Side by side* (:func:`paired_change`): process k of one side ran right before or after process k of
the other, the order turning from pair to pair. If nothing changed the two could be swapped, so the
logarithm of their ratio is as often above 0 as below, whatever the machine does from pair to pair.
That is all that a signed-rank test needs to be exact (J. Hájek, Z. Šidák, P. K. Sen, "Theory of
Rank Tests", 1999). Its scores here are ranks that stop to grow at a third of the number of pairs:
of plain ranks a disturbed pair has the largest, and few of those hide a change; of signs alone most
of what undisturbed pairs say is lost. The interval has every change that the test does not reject
(T. P. Hettmansperger, J. W. McKean, "Robust Nonparametric Statistical Methods", 2011).

*Apart* (:func:`apart_change`): the interval of Mann and Whitney's test, with the estimate of Hodges
and Lehmann (the median of all ratios, of each new process to each old one).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from math import comb, expm1, log
from statistics import median

FALSE_ALARM = 0.01
"""The chance that any case of one comparison, all taken together, is said to have changed though it
has not."""

LOOKS = 3
"""How often a comparison side by side may look whether it knows enough, and measure more where it
does not. The error is shared among the looks, so that whichever of them ends it, and why, all of
them together are wrong no more often than one may be."""

MOST = 60
"""Of more processes on one side, this many are as good: the interval is narrow by then."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A relative change (new - old) / old with the bounds of its interval."""

    change: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def within(self, threshold: float) -> bool:
        """Whether the change is no larger than ``threshold``, wherever in the interval it is."""
        return -threshold <= self.low and self.high <= threshold

    def beyond(self, threshold: float) -> bool:
        """Whether the change is larger than ``threshold``, wherever in the interval it is."""
        return self.low > threshold or self.high < -threshold

    def of_the_inverse(self) -> Estimate:
        """The change of a rate, where this is that of a time."""
        change, low, high = (1 / (1 + each) - 1 for each in (self.change, self.high, self.low))
        return Estimate(change, low, high)


def paired_change(old: Sequence[float], new: Sequence[float], error: float) -> Estimate | None:
    """The change from times of which the k-th ones were taken one right after the other.

    The interval holds with confidence 1 - ``error``. None where so few pairs (see
    :func:`fewest_pairs`) have no interval of that confidence.
    """
    pairs = list(zip(old, new, strict=True))[:MOST]
    if min((min(pair) for pair in pairs), default=0.0) <= 0:
        return None
    ratios = [log(after / before) for before, after in pairs]
    scores = _scores(len(ratios))
    critical = _critical_score(len(ratios), error)
    if critical < 0:
        return None
    total = sum(scores)
    # Where a pair and another, or the same, lie on both sides of a change at equal distance: there
    # alone their ranks or signs change.
    middles = [(a + b) / 2 for at, a in enumerate(ratios) for b in ratios[: at + 1]]
    breaks = sorted(set(middles))

    def unlikeness(gap: int) -> int:
        """Minus the score of the pairs above a change that lies between two breaks."""
        if gap == 0:
            return -total
        if gap == len(breaks):
            return 0
        return -_score_above((breaks[gap - 1] + breaks[gap]) / 2, ratios, scores)

    gaps = range(len(breaks) + 1)

    def first(score: int, *, below: bool) -> float:
        """The break from which on the score is at most ``score``, or below it."""
        find = bisect_right if below else bisect_left
        return breaks[max(find(gaps, -score, key=unlikeness), 1) - 1]

    # The score takes whole values; twice, so that half of the total is one.
    middle = (first(-(-total // 2), below=True) + first(total // 2, below=False)) / 2
    low, high = first(total - critical, below=True), first(critical, below=False)
    return _estimate(middle, min(low, high), max(low, high))


def apart_change(old: Sequence[float], new: Sequence[float], error: float) -> Estimate | None:
    """The change from times of processes that have nothing to do with each other.

    The interval holds with confidence 1 - ``error`` if the processes of both sides are drawn from
    the same conditions, which runs at different times never quite are. None where there are too
    few (see :func:`fewest_apart`).
    """
    if min((*old, *new), default=0.0) <= 0:
        return None
    before, after = ([log(each) for each in side[:MOST]] for side in (old, new))
    critical = _critical_count(len(before), len(after), error)
    if critical < 0:
        return None
    ratios = sorted(b - a for a in before for b in after)
    return _estimate(median(ratios), ratios[critical], ratios[-1 - critical])


def fewest_pairs(error: float) -> int:
    """From how many pairs on there is an interval of confidence 1 - ``error``."""
    return next(pairs for pairs in count(1) if 2**pairs * error >= 2)


def fewest_apart(error: float) -> int:
    """The same for processes on each side, where they were measured apart."""
    return next(each for each in count(1) if comb(2 * each, each) * error >= 2)


def _estimate(change: float, low: float, high: float) -> Estimate:
    return Estimate(expm1(change), expm1(low), expm1(high))


def _score_above(change: float, ratios: Sequence[float], scores: Sequence[int]) -> int:
    """The sum of scores, by distance from ``change``, of the ratios above it."""
    ranked = sorted((abs(ratio - change), ratio) for ratio in ratios)
    above = (score for (_, ratio), score in zip(ranked, scores, strict=True) if ratio > change)
    return sum(above)


@lru_cache(maxsize=64)
def _scores(pairs: int) -> tuple[int, ...]:
    """Of the nearest pair to the farthest."""
    most = max(1, -(-pairs // 3))
    return tuple(min(rank, most) for rank in range(1, pairs + 1))


@lru_cache(maxsize=64)
def _critical_score(pairs: int, error: float) -> int:
    """The largest score that the pairs above 0 reach, or stay below, with a probability of at most
    ``error`` / 2 where each of them is as often above as below; -1 where there is none."""
    ways = [1]  # by score: of how many of the 2**pairs choices of those above
    for score in _scores(pairs):
        longer = ways + [0] * score
        for at, number in enumerate(ways):
            longer[at + score] += number
        ways = longer
    return _last(ways, 2**pairs, error)


@lru_cache(maxsize=64)
def _critical_count(old: int, new: int, error: float) -> int:
    """The same for the number of ratios below 1, of ``old`` * ``new``.

    H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically
    larger than the other", 1947: the numbers of ways are the coefficients of a Gaussian binomial.
    """
    most = old * new
    ways = [1] + [0] * most
    for step in range(1, old + 1):
        for at in range(most, new + step - 1, -1):
            ways[at] -= ways[at - new - step]
        for at in range(step, most + 1):
            ways[at] += ways[at - step]
    return _last(ways, comb(old + new, old), error)


def _last(ways: Sequence[int], of: int, error: float) -> int:
    """The last place up to which at most a share ``error`` / 2 of all ways lies; -1 for none."""
    within = 0
    for at, number in enumerate(ways):
        within += number
        if within > of * error / 2:
            return at - 1
    return len(ways) - 1
