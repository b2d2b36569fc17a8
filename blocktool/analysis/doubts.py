"""Doubts about single cases, and how they become few notices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from blocktool.results.profile import Notice, NoticeKind

_ORDER: tuple[NoticeKind, ...] = (
    "inputs",
    "oversubscribed",
    "throttled",
    "load",
    "compilation",
    "unstable",
    "drift",
    "noisy",
    "few-samples",
    "not-precise",
)
"""The most severe first: figures of another computation than was meant, of a hindered machine, of
another state of the module, and figures that are merely vague."""

_CAUSES = frozenset[NoticeKind](("oversubscribed", "throttled", "load"))
_SYMPTOMS = frozenset[NoticeKind](("unstable", "drift", "noisy"))
_NICE = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to distrust one case (None: all of them).

    Doubts with the same ``kind`` and ``topic`` are one notice, in the words of the one with the
    largest ``weight``: ``message`` where it stands alone, else ``together``. ``effect`` is what
    a symptom adds to the words of its cause ("scatter by 23%").
    """

    kind: NoticeKind
    topic: str
    weight: float
    message: str
    together: str
    hint: str
    case: int | None = None
    effect: str = ""
    alone: bool = False
    """Told for itself, also where a cause is known that might explain it."""


def merged(doubts: Iterable[Doubt]) -> tuple[Notice, ...]:
    """One notice for each kind and topic, the most severe first.

    A symptom (times that scatter) in a case with a known cause (load) is told with the cause.
    """
    doubts = list(doubts)
    effects = _effects(doubts)
    explained = {id(effect) for found in effects.values() for effect in found}
    groups: dict[tuple[NoticeKind, str], list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        if id(doubt) not in explained:
            groups[doubt.kind, doubt.topic].append(doubt)
    ranked = sorted(groups, key=lambda key: (_ORDER.index(key[0]), -_weight(groups[key])))
    return tuple(_notice(groups[key], effects.get(key, [])) for key in ranked)


def _weight(group: Sequence[Doubt]) -> float:
    return max(doubt.weight for doubt in group)


def _effects(doubts: Sequence[Doubt]) -> dict[tuple[NoticeKind, str], list[Doubt]]:
    """The symptoms that each group of causes explains: those of the first cause of their case."""
    causes = [doubt for doubt in doubts if doubt.kind in _CAUSES]
    causes.sort(key=lambda doubt: (_ORDER.index(doubt.kind), -doubt.weight))
    effects: dict[tuple[NoticeKind, str], list[Doubt]] = defaultdict(list)
    for symptom in doubts:
        if symptom.kind in _SYMPTOMS and not symptom.alone:
            first = next((c for c in causes if c.case is None or c.case == symptom.case), None)
            if first is not None:
                effects[first.kind, first.topic].append(symptom)
    return effects


def _notice(group: Sequence[Doubt], effects: Sequence[Doubt]) -> Notice:
    worst = max(group, key=lambda doubt: doubt.weight)
    message = worst.message if len(group) == 1 else worst.together
    worst_effects: dict[NoticeKind, Doubt] = {}
    for effect in effects:
        known = worst_effects.get(effect.kind)
        if known is None or known.weight < effect.weight:
            worst_effects[effect.kind] = effect
    if effects:
        kinds = sorted(worst_effects, key=_ORDER.index, reverse=True)
        message += f"; the times {listed([worst_effects[kind].effect for kind in kinds])}"
    cases = {doubt.case for doubt in group}
    known_cases = () if None in cases else tuple(sorted(case for case in cases if case is not None))
    return Notice(worst.kind, message, worst.hint, known_cases)


def of_case(doubts: Iterable[Doubt], case: int) -> list[Doubt]:
    """The same doubts, about this case."""
    return [replace(doubt, case=case) for doubt in doubts]


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def share(part: float) -> str:
    """``23%``, ``1.4%``: a share of one in two digits."""
    return f"{100 * part:.0f}%" if part >= 0.0995 else f"{100 * part:.2g}%"


def seconds(time: float) -> str:
    """``0.12 s``, ``3.4 s``, ``75 s``."""
    return f"{time:.0f} s" if time >= 9.95 else f"{time:.2g} s"


def round_up(number: float) -> int:
    """The next figure that one would type: 3, 5, 10, 15, ... 600, then whole hundreds."""
    return next((nice for nice in _NICE if number <= nice), math.ceil(number / 100) * 100)
