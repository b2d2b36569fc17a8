"""What is said of a figure that was measured on both sides.

A time is said to have increased or decreased where that is significant over processes and larger
than the threshold. Of reports that were measured side by side the interval must leave out 0, and
the estimate be larger than the threshold. Reports that were made apart differ in more than their
processes (what else the machine did, its clock), which no interval of one of them covers: there the
whole interval must lie beyond the threshold. It is the same where the whole interval lies within
it, and inconclusive otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blocktool.analysis.significance import (
    Estimate,
    apart_change,
    fewest_apart,
    fewest_pairs,
    paired_change,
)
from blocktool.results.comparison import MetricChange, Verdict

_NO_SPREAD = "for information: how it varies from process to process is not in a report"


@dataclass(frozen=True)
class Judge:
    """How measured figures are compared.

    ``threshold`` is by how much they must differ to count, as a share, ``error`` the chance of a
    false alarm that one case may have, ``spoiled`` why they are not compared at all.
    """

    threshold: float
    side_by_side: bool
    error: float
    spoiled: str | None = None

    def time(
        self,
        bare: MetricChange,
        old: Sequence[float],
        new: Sequence[float],
        *,
        inverse: bool = False,
    ) -> MetricChange:
        """A median, from those of the processes of both sides; ``inverse`` for a rate.

        Where they tell how it changed, that is the change, and need not be the ratio of the two
        medians.
        """
        if self.spoiled is not None:
            return replace(bare, verdict="not compared", reason=self.spoiled)
        estimate, reason = self._estimated(old, new)
        if estimate is None:
            return replace(bare, reason=reason)
        shown = estimate.of_the_inverse() if inverse else estimate
        verdict = self._verdict(shown)
        return replace(
            bare,
            change=shown.change,
            low=shown.low,
            high=shown.high,
            verdict=verdict,
            reason=self._open(estimate) if verdict == "inconclusive" else None,
        )

    def knows(self, old: Sequence[float], new: Sequence[float]) -> bool:
        """Whether there are processes enough to say anything."""
        fewest = (fewest_pairs if self._pairs(old, new) else fewest_apart)(self.error)
        return min(len(old), len(new)) >= fewest

    def counter(self, bare: MetricChange) -> MetricChange:
        """What is counted in a run, and comes out the same in every run."""
        if self.spoiled is not None:
            return replace(bare, verdict="not compared", reason=self.spoiled)
        if bare.change is None and bare.old != bare.new:
            return replace(bare, reason="there was none before")
        change = bare.change or 0.0
        return replace(bare, verdict=self._verdict(Estimate(change, change, change)))

    def information(self, bare: MetricChange) -> MetricChange:
        """A figure of which reports do not say how it varies."""
        if self.spoiled is not None:
            return replace(bare, verdict="not compared", reason=self.spoiled)
        return replace(bare, reason=_NO_SPREAD)

    def _verdict(self, estimate: Estimate) -> Verdict:
        if estimate.within(self.threshold):
            return "same"
        if self.side_by_side:
            counts = estimate.significant and abs(estimate.change) > self.threshold
        else:
            counts = estimate.beyond(self.threshold)
        if not counts:
            return "inconclusive"
        return "increased" if estimate.change > 0 else "decreased"

    def _estimated(
        self, old: Sequence[float], new: Sequence[float]
    ) -> tuple[Estimate | None, str | None]:
        """The change over processes; where there is none, why, and what to do."""
        paired = self._pairs(old, new)
        estimate = (paired_change if paired else apart_change)(old, new, self.error)
        if estimate is not None:
            return estimate, None
        if self.knows(old, new):
            return None, "times of 0 have no ratio"
        fewest = fewest_pairs(self.error) if paired else fewest_apart(self.error)
        had = [max(1, len(side)) for side in (old, new)]
        counted = f"{had[0]} process{'' if had[0] == 1 else 'es'} on each side"
        if had[0] != had[1]:
            counted = f"{had[0]} and {had[1]} processes"
        verb = "measure" if paired else "profile"
        return None, f"{counted}; {verb} with --processes {fewest} or more"

    def _pairs(self, old: Sequence[float], new: Sequence[float]) -> bool:
        return self.side_by_side and len(old) == len(new)

    def _open(self, estimate: Estimate) -> str:
        """Why it cannot be told, and what to do."""
        known = f"its time changed by {estimate.low:+.1%} to {estimate.high:+.1%}"
        if self.side_by_side:
            return f"{known}; measure with more --processes"
        return f"{known}; measure side by side (--targets --measure), or with more --processes"


def bare(
    metric: str,
    old: float,
    new: float,
    *,
    case: str | None = None,
    module: str | None = None,
) -> MetricChange:
    """Two measured figures, of which nothing is said yet."""
    change = (new - old) / old if old else None
    return MetricChange(metric, old, new, change, "inconclusive", "measured", module, case)
