"""Which variant to use, from what was measured.

A variant is *acceptable* if its outputs are finite and their signal-to-noise ratio, against the
eager module in higher precision, is at least 20 dB (a tenth of the output is noise then), or its
largest error at most twice that of the eager module in the case's own dtype. Where nothing could be
compared, only variants that keep precision and arithmetic are acceptable.

A variant is *faster* than another if the intervals of their medians lie apart. Of the acceptable
variants that are faster than eager, that with the smallest median is taken, and in its place the
one with the fewest changes, then the smallest error, whose interval meets its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blocktool.results.profile import Latency, ProfileCase, Verdict
from blocktool.results.quantize import LITTLE

_BASELINE = "eager"
_AS_EXACT = 2.0
"""Times eager's own error, up to which a larger one is rounding of another order."""

_KEEP_PRECISION = frozenset(
    (
        "eager",
        "channels-last",
        "fused",
        "compile",
        "compile-max-autotune",
        "compile-reduce-overhead",
    )
)
_WORTH_SAYING = 0.01
"""Of memory that is saved or lost."""

Measured = tuple[ProfileCase, Latency]


def verdicts(cases: Sequence[ProfileCase]) -> tuple[Verdict, ...]:
    """One verdict for each combination of inputs, dtype, mode and autocast in which eager and at
    least one other variant were measured, in the order of the cases."""
    groups: dict[object, list[Measured]] = {}
    for case in cases:
        if case.outcome == "passed" and case.latency_ms is not None:
            question = (case.inputs, case.dtype, case.mode, case.amp)
            groups.setdefault(question, []).append((case, case.latency_ms))
    found: list[Verdict] = []
    for group in groups.values():
        eager = next((one for one in group if one[0].variant == _BASELINE), None)
        others = [one for one in group if one[0].variant != _BASELINE]
        if eager is not None and others:
            found.append(_verdict(eager, others))
    return tuple(found)


def unacceptable(case: ProfileCase) -> str | None:
    """Why a variant's outputs are not good enough, in a few words; None where they are."""
    error = case.error
    if error is None:
        kept = _KEEP_PRECISION.issuperset(case.variant.split("+"))
        return None if kept else "its error is not known"
    if error.max_relative_error is None:
        return "its outputs are not finite"
    if error.sqnr_db is None or error.sqnr_db >= LITTLE:
        return None
    own = error.eager_relative_error
    if own is not None and error.max_relative_error <= _AS_EXACT * own:
        return None
    return f"its error is too large ({error.sqnr_db:.1f} dB)"


def _verdict(eager: Measured, others: list[Measured]) -> Verdict:
    acceptable = [one for one in others if unacceptable(one[0]) is None]
    faster = [one for one in acceptable if _apart(one[1], eager[1])]
    chosen, equals = _chosen(faster) if faster else (eager, [])
    case, latency = chosen
    said = _praise(chosen, eager) if faster else _no_better(eager, acceptable)
    clauses = [said, *_equals(equals), *_rejected(eager, chosen, others)]
    return Verdict(
        batch=case.batch,
        inputs=case.inputs,
        dtype=case.dtype,
        mode=case.mode,
        use=case.variant,
        speedup=eager[1].p50 / latency.p50,
        significant=bool(faster),
        reason="; ".join(clauses),
    )


def _apart(faster: Latency, slower: Latency) -> bool:
    """Whether the interval of one median lies below that of the other."""
    return faster.high < slower.low


def _chosen(faster: list[Measured]) -> tuple[Measured, list[Measured]]:
    """The one to use, and others that are as fast."""
    best = min(faster, key=lambda one: one[1].p50)
    equals = [one for one in faster if not _apart(best[1], one[1])]
    chosen = min(equals, key=_cost)
    return chosen, [one for one in equals if one is not chosen]


def _cost(one: Measured) -> tuple[int, float, float]:
    case, latency = one
    error = case.error.max_relative_error if case.error is not None else None
    return len(case.variant.split("+")), 0.0 if error is None else error, latency.p50


def _praise(chosen: Measured, eager: Measured) -> str:
    case, latency = chosen
    said = [f"{eager[1].p50 / latency.p50:.3g}x as fast as eager"]
    if case.error is not None and case.error.max_relative_error is not None:
        said.append(f"error {_short(case.error.max_relative_error)}")
    if case.peak_bytes and eager[0].peak_bytes:
        change = case.peak_bytes / eager[0].peak_bytes - 1
        if abs(change) >= _WORTH_SAYING:
            said.append(f"{abs(change):.0%} {'more' if change > 0 else 'less'} memory")
    return ", ".join(said)


def _no_better(eager: Measured, acceptable: list[Measured]) -> str:
    if not acceptable:
        return "no variant has outputs that are good enough"
    case, latency = min(acceptable, key=lambda one: one[1].p50)
    ratio = latency.p50 / eager[1].p50
    if _apart(eager[1], latency):
        return f"eager is the fastest: {case.variant}, the next, takes {ratio:.3g}x its time"
    return f"no variant is clearly faster: {case.variant} takes {ratio:.3g}x the time of eager"


def _equals(equals: list[Measured]) -> Iterator[str]:
    if equals:
        names = _and([case.variant for case, _ in equals])
        yield f"{names} {'is' if len(equals) == 1 else 'are'} as fast within the noise"


def _rejected(eager: Measured, chosen: Measured, others: list[Measured]) -> Iterator[str]:
    """The fastest one that was passed over for its outputs."""
    passed_over = [
        one
        for one in others
        if unacceptable(one[0]) and _apart(one[1], chosen[1]) and _apart(one[1], eager[1])
    ]
    if passed_over:
        case, latency = min(passed_over, key=lambda one: one[1].p50)
        speedup = eager[1].p50 / latency.p50
        yield f"{case.variant} is {speedup:.3g}x as fast, but {unacceptable(case)}"


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _short(error: float) -> str:
    """``3e-3`` for 0.0031, ``0`` for none."""
    mantissa, _, exponent = f"{error:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if error else "0"
