"""The figures of the whole that are not as they were, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_words as words
from blocktool.render.columns import Cell, Column, fits, layout
from blocktool.render.comparison_lines import (
    MOST,
    cell,
    glyphs_of,
    more,
    plain,
    style_of,
    wrapped,
)
from blocktool.render.styled import Line, shorten
from blocktool.render.view import View
from blocktool.results.comparison import Comparison, MetricChange, Verdict

_CERTAINTY: dict[Verdict, int] = {"inconclusive": 2, "not compared": 3, "same": 4}  # else 0
_LONGEST = 32  # columns of a side; numbers are shorter
_ARRIVALS = ("added", "removed")


def total_lines(comparison: Comparison, view: View) -> list[Line]:
    """A row for each figure that changed or may have, by case; those that did not in one line."""
    told, left = words.told_figures(comparison)
    shown = list(comparison.totals) if view.expand else chosen(told, MOST)
    lines = _table(shown, comparison.threshold, view)
    if not view.expand:
        lines += more(len(told) - len(shown) + left, "figure")
    for reason in words.reasons(shown):
        lines += wrapped(reason, view, "yellow")
    if not view.expand and (alike := words.same_line(comparison)):
        lines += wrapped(alike, view, "dim")
    return lines


def chosen(changes: Sequence[MetricChange], most: int) -> list[MetricChange]:
    """At most so many, in their order: those that are certain first, then the largest."""
    if len(changes) <= most:
        return list(changes)

    def weight(index: int) -> tuple[int, float]:
        each = changes[index]
        rank = 1 if each.verdict in _ARRIVALS else _CERTAINTY.get(each.verdict, 0)
        return rank, -abs(each.change or 0.0)

    kept = sorted(range(len(changes)), key=weight)[:most]
    return [changes[index] for index in sorted(kept)]


def _table(changes: list[MetricChange], threshold: float, view: View) -> list[Line]:
    if not changes:
        return []
    # What is of no case stands first, lest it seem to belong to the case before it.
    changes = sorted(changes, key=lambda each: each.case is not None)
    columns = _columns(changes, threshold, view)
    common, labels = _cases(changes)
    lines = wrapped(common, view, "cyan") if common else []
    if not any(labels):
        return lines + layout(columns, view.width, glyphs_of(view))
    starts = [not index or label != labels[index - 1] for index, label in enumerate(labels)]
    cells = [
        cell(label if starts[index] else "", view, "cyan") for index, label in enumerate(labels)
    ]
    beside = [Column("Case", cells, shrink_to=8), *columns]
    if fits([column for column in beside if column.title != "Change"], view.width):
        return lines + layout(beside, view.width, glyphs_of(view))
    # Too narrow: the case stands above its figures.
    columns[0] = replace(columns[0], cells=[replace(c, lead="  ") for c in columns[0].cells])
    head, rule, *rows = layout(columns, view.width, glyphs_of(view))
    lines += [head, rule]
    for start, label, row in zip(starts, labels, rows, strict=True):
        lines += wrapped(label, view, "cyan") if start and label else []
        lines.append(row)
    return lines


def _columns(changes: list[MetricChange], threshold: float, view: View) -> list[Column]:
    sides = [[_side(text, view) for text in figures.before_and_after(each)] for each in changes]
    names = [cell(figures.name(each.metric), view) for each in changes]
    shares = [cell(figures.change_or_verdict(each), view, style_of(each)) for each in changes]
    columns = [
        Column("Figure", names, shrink_to=16),
        Column("Old", [Cell(old) for old, _ in sides], right=True, drop=2),
        Column("New", [Cell(new, "bold") for _, new in sides], right=True, drop=3),
        Column("Change", shares, right=True),
    ]
    if any(each.lane == "measured" for each in changes):  # of exact figures the change says all
        columns[-1] = replace(columns[-1], drop=1)
        told = [cell(figures.verdict(each, threshold), view, style_of(each)) for each in changes]
        columns.append(Column("Verdict", told))
    return columns


def _side(text: str, view: View) -> str:
    """A figure, whole; a text that is no number may be longer than there is room for."""
    return shorten(plain(text, view), _LONGEST, glyphs_of(view))


def _cases(changes: list[MetricChange]) -> tuple[str, list[str]]:
    """What the cases have in common, and of each figure what tells its case from the others."""
    known = [each.case for each in changes if each.case is not None]
    if not known:
        return "", []
    common, apart = words.cases_apart(known)
    return common, ["" if each.case is None else apart[each.case] for each in changes]
