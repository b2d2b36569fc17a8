"""Finds the smallest input that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from blocktool.check.causes import signature
from blocktool.check.plan import PlannedCase
from blocktool.results.shapes import Failed

Fails = Callable[[PlannedCase], Failed | None]

_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 96, 128)
_MOST_RUNS = 120


def shrink(case: PlannedCase, failed: Failed, fails: Fails) -> tuple[PlannedCase, Failed]:
    """The smallest case that fails as this one does, and how it fails.

    One symbol after another is set to the least value with which the case still fails with the
    same kind, in the same module and with the same words, until none can be lowered.
    """
    runs = 0

    def at(symbol: str, value: int) -> Failed | None:
        """How the case fails with another value, if it does so in the same way."""
        nonlocal runs
        runs += 1
        now = fails(replace(case, sizes={**case.sizes, symbol: value}))
        return now if now is not None and alike(now, failed) else None

    lowered = True
    while lowered and runs < _MOST_RUNS:
        lowered = False
        for symbol in _order(case.sizes):
            holds = 0
            for value in [step for step in _STEPS if step < case.sizes[symbol]]:
                now = at(symbol, value) if runs < _MOST_RUNS else None
                if now is not None:
                    case = replace(case, sizes={**case.sizes, symbol: value})
                    failed, lowered = now, True
                    break
                holds = value
            while case.sizes[symbol] - holds > 1 and runs < _MOST_RUNS:  # between two steps
                middle = (case.sizes[symbol] + holds) // 2
                now = at(symbol, middle)
                if now is None:
                    holds = middle
                else:
                    case = replace(case, sizes={**case.sizes, symbol: middle})
                    failed = now
    return case, failed


def alike(a: Failed, b: Failed) -> bool:
    """Whether two failures have one cause, as far as one can see."""
    same = (a.kind, a.module) == (b.kind, b.module)
    return same and (a.kind == "shape" or signature(a.message) == signature(b.message))


def _order(sizes: Mapping[str, int]) -> list[str]:
    return sorted(sizes, key=lambda symbol: (symbol != "B", symbol))
