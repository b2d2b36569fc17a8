"""Which cases fail, in words: the simplest rule that separates them from those that hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_SPATIAL = ("T", "H", "W", "N")
_MULTIPLES = (2, 4, 8, 16, 32, 64, 3, 5, 6, 7, 12, 14, 28)
NOT_SQUARE = "H differs from W"
_FEWEST = 2
"""Cases on the other side that a rule must be seen against."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One case: the value of every symbol, its dtype and mode, and whether it failed."""

    sizes: Mapping[str, int]
    dtype: str
    mode: str
    failed: bool


Rule = tuple[str, Callable[[Seen], bool]]


def failing_rule(cases: Sequence[Seen]) -> str | None:
    """``"H or W is odd"``: a rule that is true of the failing cases and of no other; None where
    none is known. ``"always"`` where every case fails."""
    failing = [case for case in cases if case.failed]
    holding = [case for case in cases if not case.failed]
    if not failing:
        return None
    if not holding:
        return "always" if len(failing) >= _FEWEST else None
    for words, rule in _rules(cases):
        if all(map(rule, failing)) and not any(map(rule, holding)):
            return words
    return None


def _rules(cases: Sequence[Seen]) -> Iterator[Rule]:
    for attribute in ("mode", "dtype"):
        for value in sorted({getattr(case, attribute) for case in cases}):
            words = f"in {value} mode" if attribute == "mode" else f"in {value}"
            yield words, lambda case, a=attribute, v=value: getattr(case, a) == v  # type: ignore[misc]
    names = list(cases[0].sizes)
    yield from _of_sizes(names, cases)
    for value in sorted({case.mode for case in cases}):
        for words, rule in _of_sizes(names, cases):
            yield (
                f"in {value} mode where {words}",
                lambda case, v=value, r=rule: case.mode == v and r(case),  # type: ignore[misc]
            )


def _of_sizes(names: Sequence[str], cases: Sequence[Seen]) -> Iterator[Rule]:
    if "B" in names:
        yield "B is 1", lambda case: case.sizes["B"] == 1
        yield "B is above 1", lambda case: case.sizes["B"] > 1
    spatial = [name for name in names if name in _SPATIAL or name[:2] in ("H_", "W_", "N_")]
    if {"H", "W"} <= set(names):
        yield NOT_SQUARE, lambda case: case.sizes["H"] != case.sizes["W"]
    # Of all sides first: where the cases leave it open, a module treats them alike.
    groups = ([tuple(spatial)] if len(spatial) > 1 else []) + [(name,) for name in spatial]
    for group in groups:
        one_of = " or ".join(group)
        known = {tuple(case.sizes[name] for name in group) for case in cases if not case.failed}
        for m in _MULTIPLES:
            if len(known) < (_FEWEST if m & (m - 1) == 0 else _FEWEST + 1):
                continue  # a few sizes have many divisors in common
            words = f"{one_of} is odd" if m == 2 else f"{one_of} is no multiple of {m}"
            yield words, lambda case, g=group, m=m: any(case.sizes[name] % m for name in g)  # type: ignore[misc]
        yield from _bounds(group, one_of, cases)
        for value in sorted({case.sizes[name] for case in cases for name in group}):
            yield (
                f"{one_of} is not {value}",
                lambda case, g=group, v=value: any(case.sizes[name] != v for name in g),  # type: ignore[misc]
            )
            yield (
                f"{one_of} is {value}",
                lambda case, g=group, v=value: any(case.sizes[name] == v for name in g),  # type: ignore[misc]
            )


def _bounds(group: Sequence[str], one_of: str, cases: Sequence[Seen]) -> Iterator[Rule]:
    """A least or a greatest size. Where none was tried in between, both sides are told."""
    for least, smaller in ((True, "at most"), (False, "at least")):
        edge = min if least else max
        failing = [edge(c.sizes[name] for name in group) for c in cases if c.failed]
        holding = [edge(c.sizes[name] for name in group) for c in cases if not c.failed]
        last, first = (max(failing), min(holding)) if least else (min(failing), max(holding))
        if (last >= first) if least else (last <= first):
            continue
        words = f"{one_of} is {smaller} {last} ({first} holds)"
        if abs(first - last) == 1:
            words = f"{one_of} is " + (f"below {first}" if least else f"at least {last}")
        yield (
            words,
            lambda case, g=group, v=last, e=edge, least=least: (  # type: ignore[misc]
                e(case.sizes[name] for name in g) <= v
                if least
                else e(case.sizes[name] for name in g) >= v
            ),
        )
