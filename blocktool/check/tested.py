"""Runs with numbers that test a claim, and put it right where only they can tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from blocktool.analysis.size_sets import finite
from blocktool.check.claims import Claim
from blocktool.check.explore import Exploration
from blocktool.check.outputs import Outputs, Shapes, shapes_at, shapes_text
from blocktool.check.samples import least_sizes, small_sizes, telling_sizes, usual_sizes

_FEW = 16
_LARGEST = 2**40  # together with channels this is far below the 2**63 of an index

Numeric = Callable[[Mapping[str, int]], Shapes | str]
"""The shapes that come out at some sizes, or the error."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run with numbers."""

    sizes: dict[str, int]
    result: Shapes | str

    @property
    def ran(self) -> bool:
        """Whether an output came out."""
        return not isinstance(self.result, str)

    def __str__(self) -> str:
        return ", ".join(f"{name}={size}" for name, size in self.sizes.items())


@dataclass(frozen=True, slots=True)
class Tested:
    """A claim after its test.

    ``contradictions`` are runs that differ from what a way with symbols says of their sizes,
    ``unsettled`` those that differ from the claim where there is no such way. ``least`` are the
    sizes from which on every size is on a way, ``all_small`` tells whether all smaller ones were
    run.
    """

    claim: Claim
    samples: tuple[Sample, ...]
    contradictions: tuple[str, ...]
    unsettled: tuple[str, ...]
    least: dict[str, int] | None
    all_small: bool


def tested(
    found: Exploration,
    claimed: Claim,
    out: Outputs | None,
    numeric: Numeric,
    most: int,
    end: float,
) -> Tested:
    """Run sizes on both sides of every condition, and small ones that are on no way.

    After ``end`` (of time.monotonic()) only so many are run that there are a few.
    """

    def run(wanted: Iterable[dict[str, int]], most: int, done: _Samples) -> _Samples:
        return _run(wanted, numeric, most, done, end)

    least = least_sizes(found)
    small = small_sizes(found, claimed, least) if least else []
    wanted = [sizes for sizes in telling_sizes(found, claimed) if found.within.holds(sizes)]
    # Half of the runs for conditions; all for small sizes that need them, if that is enough.
    room = max(most - len(small), most // 3)
    samples = run(wanted, room, {})
    samples = run(small, most, samples)
    all_small = all(_key(sizes) in samples for sizes in small)
    samples = run(wanted, most, samples)
    ran = list(samples.values())
    claimed = _corrected(found, claimed, ran, least or {})
    contradictions: list[str] = []
    unsettled: list[str] = []
    for sample in ran:
        wrong = _wrong(found, claimed, out, sample)
        if wrong:
            known = any(way.region.holds(sample.sizes) for way in found.ways)
            (contradictions if known else unsettled).append(wrong)
    return Tested(claimed, tuple(ran), tuple(contradictions), tuple(unsettled), least, all_small)


def can_run(sizes: Mapping[str, int]) -> bool:
    """Whether tensors of such sizes can be made, if only without data."""
    return prod(sizes.values()) <= _LARGEST


_Samples = dict[tuple[tuple[str, int], ...], Sample]


def _key(sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(sizes.items()))


def _run(
    wanted: Iterable[dict[str, int]], numeric: Numeric, most: int, done: _Samples, end: float
) -> _Samples:
    done = dict(done)
    for sizes in wanted:
        if len(done) >= most or (len(done) >= _FEW and time.monotonic() > end):
            break
        key = _key(sizes)
        if key not in done and can_run(sizes):
            result = numeric(sizes)
            plain = result if isinstance(result, str) else tuple(map(tuple, result))
            done[key] = Sample(sizes, plain)
    return done


def expected(
    found: Exploration, claimed: Claim, out: Outputs | None, sizes: Mapping[str, int]
) -> Shapes | None:
    """The shapes that are claimed for these sizes, None where the module is not to run."""
    for way in found.ways:
        if way.region.holds(sizes):
            return shapes_at(way.run.outputs, sizes) if way.runs else None
    if out is None or not claimed.holds(sizes):
        return None
    return shapes_at(out.formula, sizes)


def _wrong(found: Exploration, claimed: Claim, out: Outputs | None, sample: Sample) -> str | None:
    """What a run shows that is not as claimed."""
    claims = claimed.holds(sample.sizes)
    if claims != sample.ran:
        said = "it runs" if claims else "it does not run"
        return f"at {sample} {said} by the conditions, but {_shown(sample.result)}"
    shapes = expected(found, claimed, out, sample.sizes)
    if sample.ran != (shapes is not None):
        said = "an error" if shapes is None else f"the output {_shown(shapes)}"
        return f"at {sample} a way gives {said}, but {_shown(sample.result)}"
    if shapes is not None and shapes != sample.result:
        return f"at {sample} the output is {_shown(sample.result)}, not {_shown(shapes)}"
    return None


def _shown(result: Shapes | str) -> str:
    if isinstance(result, str):
        return f"raises {result}"
    return shapes_text(result)


def _corrected(
    found: Exploration, claimed: Claim, ran: Sequence[Sample], least: Mapping[str, int]
) -> Claim:
    """A small size that is on no way runs if it did, the others being as usual."""
    usual = usual_sizes(found, claimed)
    if len(claimed.regions) != 1:
        return claimed
    (only,) = claimed.regions
    sets = dict(only.sets)
    for symbol, end in least.items():
        by_size: dict[int, bool] = {}
        for sample in ran:
            # Only what differs in this symbol alone tells that it is this symbol.
            alone = {**sample.sizes, symbol: usual[symbol]} == usual
            known = any(way.region.holds(sample.sizes) for way in found.ways)
            if alone and not known and sample.sizes[symbol] < end:
                by_size[sample.sizes[symbol]] = sample.ran
        wrong = {size for size, runs in by_size.items() if (size in only.of(symbol)) != runs}
        added = finite(size for size in wrong if size not in only.of(symbol))
        removed = finite(size for size in wrong if size in only.of(symbol))
        sets[symbol] = (only.of(symbol) | added) - removed
    return Claim((replace(only, sets=sets),))
