"""Searches the largest batch that fits into memory: prediction first, then runs. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from blocktool.results.profile import TriedBatch

MOST = 2**20
_PREDICTIONS = 12
_RUNS = 16
_EXACT_BELOW = 200
"""Smaller batches are found exactly, larger ones to half a percent."""


@dataclass(frozen=True)
class Found:
    """``batch`` is the largest that was seen to run (0: none), ``predicted`` the largest that was
    said to; ``bounded`` whether the next one that matters was seen to fail."""

    predicted: int
    batch: int
    bounded: bool
    tried: tuple[TriedBatch, ...]


def find_max_batch(
    predict: Callable[[int], int | None], run: Callable[[int], TriedBatch], limit_bytes: int
) -> Found:
    """The largest batch for which ``run`` says that it fits.

    ``predict`` gives the predicted peak of a batch in bytes (None: unknown). A few runs at the
    predicted place decide; where the prediction is off, what they measured replaces it.
    """
    predicted = _predicted(predict, limit_bytes)
    search = _Search(limit_bytes, run, predict)
    guess = max(predicted, 1)
    while search.open and len(search.tried) < _RUNS:
        search.run(guess)
        guess = search.next_guess()
    return Found(predicted, search.fits, search.bounded, tuple(search.tried))


def _gap(batch: int) -> int:
    """How far the next batch that matters is away."""
    return 1 if batch < _EXACT_BELOW else max(1, batch // _EXACT_BELOW)


def _predicted(predict: Callable[[int], int | None], limit: int) -> int:
    """By the secant between a batch that fits and one that does not: peaks are almost straight
    lines over the batch, with kinks where another operation takes the lead."""
    fits, fits_bytes = 0, 0
    low = predict(1)
    if low is None or low > limit:
        return 0
    fits, fits_bytes = 1, low
    fails: int | None = None
    guess = 2
    for _ in range(_PREDICTIONS):
        peak = predict(guess)
        if peak is None:
            break
        if peak <= limit:
            slope = max((peak - fits_bytes) / (guess - fits), 1.0)
            fits, fits_bytes = guess, peak
            ahead = fits + max(int((limit - peak) / slope), 1)
            guess = min(ahead, MOST) if fails is None else min(ahead, fails - 1)
        else:
            fails = guess
            slope = max((peak - fits_bytes) / (guess - fits), 1.0)
            guess = min(fits + max(int((limit - fits_bytes) / slope), 1), fails - 1)
        if fits >= MOST or (fails is not None and fails - fits <= _gap(fits)) or guess <= fits:
            break
    return fits


@dataclass
class _Search:
    """What the runs have shown so far."""

    limit: int
    runner: Callable[[int], TriedBatch]
    predict: Callable[[int], int | None]
    fits: int = 0
    fails: int | None = None
    tried: list[TriedBatch] = field(default_factory=list)
    _step: int = 0

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
        """Between what fits and what fails; while one of the two is missing, ever further."""
        if self.fails is None:
            self._step = max(2 * self._step, _gap(self.fits))
            return min(self.fits + self._step, MOST)
        if self.fits == 0:
            return max(self._scaled() or self.fails // 2, 1)
        # The neighbour first: the prediction is often right.
        if self._step == 0:
            self._step = 1
            return self.fails - _gap(self.fits)
        return (self.fits + self.fails) // 2

    def _scaled(self) -> int | None:
        """Where the measured peak of the batch that failed says that the limit is."""
        last = self.tried[-1]
        if last.peak_bytes is None or last.peak_bytes <= self.limit:
            return None
        return min(int(last.batch * self.limit / last.peak_bytes), last.batch - 1)
