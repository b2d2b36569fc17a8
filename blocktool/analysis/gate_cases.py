"""Which cases of a profile a rule means: ``latency_ms.p50[batch=8,dtype=bfloat16]``."""

from __future__ import annotations

from collections.abc import Iterable

from blocktool.analysis.matched_cases import SEPARATOR

CASE_KEYS = ("batch", "size", "dtype", "mode", "variant")
"""What a case of a profile can be chosen by."""

_AMP = "amp"


def fits(chosen: Iterable[tuple[str, str]], label: str | None) -> bool:
    """Whether a case has all that is asked of it; None, no case, fits where nothing is asked."""
    told = _told(label or "")
    return all(value in told.get(key, ()) for key, value in chosen)


def _told(label: str) -> dict[str, tuple[str, ...]]:
    """What a label (:func:`blocktool.analysis.matched_cases.labels`) says, by key: its parts are
    batch, size where it matters, dtype, "amp", mode and variant, in this order."""
    batch, *rest = label.split(SEPARATOR)
    told: dict[str, tuple[str, ...]] = {}
    if batch:
        told["batch"] = (batch.removeprefix("batch "),)
    for key in ("variant", "mode"):
        if rest:
            told[key] = (rest.pop(),)
    amp = rest[-1:] == [_AMP]
    if amp:
        rest.pop()
    if rest:
        dtype = rest.pop()
        # Of autocast, both what it is computed in, and how it is shown.
        told["dtype"] = (dtype, f"{dtype} {_AMP}") if amp else (dtype,)
    if rest:
        told["size"] = (SEPARATOR.join(rest),)
    return told
