"""Searches the largest batch that fits into memory: prediction first, then runs. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from blocktool.results.profile import TriedBatch

MOST = 2**20
_PREDICTIONS = 12
_RUNS = 16
_ESTIMATES = 3
"""So many guesses between what fits and what fails; then halves, which always come to an end."""
_EXACT_BELOW = 200
"""Smaller batches are found exactly, larger ones to half a percent."""


@dataclass(frozen=True)
class Found:
    """``batch`` is the largest that was seen to run (0: none), ``predicted`` the largest that was
    said to; ``bounded`` whether the next one that matters was seen to fail."""

    predicted: int | None
    batch: int
    bounded: bool
    tried: tuple[TriedBatch, ...]


def find_max_batch(
    predict: Callable[[int], int | None],
    run: Callable[[int], TriedBatch],
    limit_bytes: int,
    least: int = 1,
) -> Found:
    """The largest batch for which ``run`` says that it fits, from ``least`` on.

    ``predict`` gives the predicted peak of a batch in bytes (None: unknown). A few runs at the
    predicted place decide; where the prediction is off, what they measured corrects it. With an
    exact prediction it takes two runs, with one that is off by a factor four or five.
    """
    predict = cache(predict)
    predicted = _predicted(predict, limit_bytes, least)
    search = _Search(limit_bytes, run, predict, least, fits=least - 1)
    guess = max(predicted or 0, least)
    while search.open and len(search.tried) < _RUNS:
        search.run(guess)
        guess = search.next_guess()
    batch = search.fits if search.fits >= least else 0
    return Found(predicted, batch, search.bounded, tuple(search.tried))


def _gap(batch: int) -> int:
    """How far the next batch that matters is away."""
    return 1 if batch < _EXACT_BELOW else max(1, batch // _EXACT_BELOW)


def _predicted(predict: Callable[[int], int | None], limit: int, start: int) -> int | None:
    """By the secant between a batch that fits and one that does not: peaks are almost straight
    lines over the batch, with kinks where another operation takes the lead. Where a kink makes the
    secant slow, by halves."""
    least = predict(start)
    if least is None:
        return None
    if least > limit:
        return 0
    fits, fits_bytes = start, least
    fails: int | None = None
    guess = start + 1
    for _ in range(_PREDICTIONS):
        peak = predict(guess)
        if peak is None:
            break
        slope = max((peak - fits_bytes) / (guess - fits), 1.0)
        before = MOST if fails is None else fails - fits
        if peak <= limit:
            fits, fits_bytes = guess, peak
        else:
            fails = guess
        if fits >= MOST or (fails is not None and fails - fits <= _gap(fits)):
            break
        guess = fits + max(int((limit - fits_bytes) / slope), 1)
        if fails is None:
            guess = min(guess, MOST)
        elif guess >= fails:
            guess = fails - 1
        elif 2 * (fails - fits) > before:
            guess = (fits + fails) // 2
    return fits


@dataclass
class _Search:
    """What the runs have shown so far."""

    limit: int
    runner: Callable[[int], TriedBatch]
    predict: Callable[[int], int | None]
    least: int = 1
    fits: int = 0
    fails: int | None = None
    tried: list[TriedBatch] = field(default_factory=list)
    _step: int = 0
    _estimates: int = 0

    @property
    def open(self) -> bool:
        if self.fails is None:
            return self.fits < MOST
        return self.fails - self.fits > _gap(self.fits)

    @property
    def bounded(self) -> bool:
        return not self.open and self.fails is not None

    def run(self, batch: int) -> None:
        done = replace(self.runner(batch), predicted_peak_bytes=self.predict(batch))
        self.tried.append(done)
        if done.fits:
            self.fits = max(self.fits, batch)
        elif self.fails is None or batch < self.fails:
            self.fails = batch

    def next_guess(self) -> int:
        """Where the runs so far say that the limit is, or the neighbour that is left to see."""
        estimate = self._estimate()
        if self.fails is None:
            if estimate is not None and estimate > self.fits:
                return min(estimate, MOST)
            self._step = max(2 * self._step, _gap(self.fits))
            return min(self.fits + self._step, MOST)
        if self.fits < self.least:
            half = max(self.fails // 2, self.least)
            return half if estimate is None else min(max(estimate, self.least), self.fails - 1)
        self._estimates += 1
        if estimate is None or estimate >= self.fails or self._estimates > _ESTIMATES:
            return (self.fits + self.fails) // 2
        # Never so close to either end that the other end would stay open.
        gap = _gap(self.fits)
        return min(max(estimate, self.fits + gap), self.fails - gap)

    def _estimate(self) -> int | None:
        """The largest batch by the measured peaks: on the line through two of them, else by the
        prediction times what it is off by; None before a peak was measured."""
        seen = sorted((t.batch, t.peak_bytes) for t in self.tried if t.peak_bytes is not None)
        if not seen:
            return None
        if len(seen) == 1:
            batch, peak = seen[0]
            said = self.predict(batch)
            if said is None:
                return batch * self.limit // max(peak, 1)
            return _predicted(self.predict, self.limit * said // max(peak, 1), self.least)
        (first, low), (second, high) = self._nearest(seen)
        return second + (self.limit - high) * (second - first) // max(high - low, 1)

    def _nearest(self, seen: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The two whose peaks are nearest to the limit, in order of the batch."""
        return sorted(sorted(seen, key=lambda point: abs(point[1] - self.limit))[:2])
