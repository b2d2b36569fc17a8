"""What of a check of shapes ended otherwise, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blocktool.render import comparison_words as words
from blocktool.results.comparison import CaseChange

FAIL, PASS, OTHER = "fail now", "pass now", "ended otherwise"
GONE, NEW = "are gone", "are new"
"""The headings under which cases are told, in this order."""
_FAILURES = ("failed", "refuted")
_SUCCESSES = ("passed", "proved")


def groups(cases: Sequence[CaseChange]) -> Iterator[tuple[str, list[CaseChange]]]:
    """The cases of check-shapes under headings, those that fail now first; no empty group."""
    found: dict[str, list[CaseChange]] = {each: [] for each in (FAIL, PASS, OTHER, GONE, NEW)}
    for each in cases:
        found[_group(each)].append(each)
    yield from ((heading, group) for heading, group in found.items() if group)


def _group(case: CaseChange) -> str:
    if case.new in _FAILURES or (case.new == "not proved" and case.old == "proved"):
        return FAIL
    if case.new is None:
        return GONE
    if case.old is None:
        return NEW
    return PASS if case.new in _SUCCESSES else OTHER


def heading_line(heading: str, number: int) -> str:
    """``1 case fails now``, ``3 cases are gone``."""
    if number == 1:
        for plural, singular in (("fail ", "fails "), ("pass ", "passes "), ("are ", "is ")):
            if heading.startswith(plural):
                heading = heading.replace(plural, singular, 1)
    return f"{words.counted(number, 'case')} {heading}"


def line(case: CaseChange) -> str:
    """``net.py:Net 1x3x7x7, eval: wrong shape``."""
    named = f"{case.target} {case.case}"
    return f"{named}: {case.reason}" if case.reason else named


def both(case: CaseChange) -> str:
    """``passed -> failed``; only one of them where the case is on one side alone."""
    return " -> ".join(filter(None, (case.old, case.new)))
