"""The cases of a profile as tables that fit, and as charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, pairwise

from blocktool.render import profile_figures as figures
from blocktool.render import units
from blocktool.render.charts import bars
from blocktool.render.columns import Cell, Column, fits, layout, least_width
from blocktool.render.profile_figures import Figure
from blocktool.render.profile_keys import Key, keys_of, named
from blocktool.render.profile_words import has_time, reason
from blocktool.render.styled import Glyphs, Line, clean, shorten, width_of, wrap
from blocktool.render.view import View
from blocktool.results.profile import Profile, ProfileCase

_CHARTS = 4  # so many charts of one kind help; more are a wall
_DETAILS = 12  # lines of a traceback
_READABLE = 80  # a reason may be so wide where the table is narrower
_LEAST_BATCHES = 3


def case_lines(profile: Profile, view: View, glyphs: Glyphs) -> list[Line]:
    """The table of the cases, as many tables below each other as its columns need, and what it
    has no room for: reasons in full, and the lines of code behind them."""
    cases, keys = profile.cases, keys_of(profile.cases)
    found = figures.figures(cases, precision=profile.protocol.precision)
    lines, cut = _tables(cases, keys, found, view, glyphs)
    training = [case for case in cases if len(case.phases_ms) > 1]
    if training:
        phases = figures.phase_figures(training)
        lines += [[], *_tables(training, keys, phases, view, glyphs)[0]]
    told = [case for i, case in enumerate(cases) if i in cut or case.details]
    return [*lines, *([[]] if told else []), *_reasons(told, keys, view)]


def _tables(
    cases: Sequence[ProfileCase],
    keys: Sequence[Key],
    found: Sequence[Figure],
    view: View,
    glyphs: Glyphs,
) -> tuple[list[Line], set[int]]:
    """Every column of ``found``, in tables that each begin with the keys.

    A case without a time has its reason in the place of the figures, in the first table alone; also
    given are the places of the cases whose reasons had to be cut.
    """
    lines: list[Line] = []
    cut: set[int] = set()
    for part in _split(cases, keys, found, view):
        # The places of the rows among the cases.
        rows = [i for i, case in enumerate(cases) if not lines or has_time(case)]
        columns = [
            *_key_columns([cases[i] for i in rows], keys, view),
            *_figure_columns(rows, cases, part, view),
        ]
        table = layout(columns, view.width, glyphs)
        room = min(view.width, max(_READABLE, sum(width_of(text) for text, _ in table[1])))
        for line, i in enumerate(rows, start=2):
            if has_time(cases[i]):
                continue
            kept = list(table[line])[: 2 * len(keys) - 1]  # a gap stands between two cells
            left = max(room - sum(width_of(text) for text, _ in kept) - 2, 12)
            why = clean(reason(cases[i]), unicode=view.unicode)
            style = "red" if cases[i].outcome == "failed" else "dim"
            table[line] = [*kept, ("  ", ""), (shorten(why, left, glyphs), style)]
            if width_of(why) > left:
                cut.add(i)
        lines += [[], *table] if lines else table
    return lines, cut


def _key_columns(cases: Sequence[ProfileCase], keys: Sequence[Key], view: View) -> list[Column]:
    def cells(key: Key) -> list[Cell]:
        return [
            Cell(clean(key.show(case), unicode=view.unicode), "" if has_time(case) else "dim")
            for case in cases
        ]

    return [
        Column(key.title, cells(key), right=key.right, shrink_to=None if key.right else 8)
        for key in keys
    ]


def _figure_columns(
    rows: Sequence[int],
    cases: Sequence[ProfileCase],
    found: Sequence[Figure],
    view: View,
) -> list[Column]:
    return [
        Column(
            clean(figure.title, unicode=view.unicode),
            [Cell(clean(figure.texts[i], unicode=view.unicode), figure.tones[i]) for i in rows],
            right=figure.title != "Bound",
        )
        for figure in found
    ]


def _split(
    cases: Sequence[ProfileCase], keys: Sequence[Key], found: Sequence[Figure], view: View
) -> list[list[Figure]]:
    """The columns in as few parts as fit, and of those ways the one with the narrowest tables.

    Columns of one chunk stay together.
    """
    chunks: list[list[Figure]] = []
    for figure in found:
        if chunks and chunks[-1][-1].chunk == figure.chunk:
            chunks[-1].append(figure)
        else:
            chunks.append([figure])
    if not chunks:
        return [[]]
    places = [range(len(cases)), [i for i, case in enumerate(cases) if has_time(case)]]
    key_columns = [_key_columns([cases[i] for i in rows], keys, view) for rows in places]

    def columns(part: Sequence[Figure], later: bool) -> list[Column]:
        return [*key_columns[later], *_figure_columns(places[later], cases, part, view)]

    for count in range(1, len(chunks) + 1):
        ways = []
        for cuts in combinations(range(1, len(chunks)), count - 1):
            edges = [0, *cuts, len(chunks)]
            parts = [list(chain.from_iterable(chunks[a:b])) for a, b in pairwise(edges)]
            tables = [columns(part, part is not parts[0]) for part in parts]
            if count == len(chunks) or all(fits(table, view.width) for table in tables):
                ways.append((max(map(least_width, tables)), parts))
        if ways:
            return min(ways, key=lambda way: way[0])[1]
    return [list(found)]


def _reasons(cases: Sequence[ProfileCase], keys: Sequence[Key], view: View) -> Iterator[Line]:
    """Each reason in full, once, with the cases that it is about."""
    told: dict[tuple[str, str, tuple[str, ...]], list[ProfileCase]] = {}
    for case in cases:
        told.setdefault((case.outcome, reason(case), case.details), []).append(case)
    for (outcome, why, details), those in told.items():
        where = "; ".join(named(case, keys) for case in those)
        text = clean(f"{outcome}: {where}: {why}", unicode=view.unicode)
        first, *rest = wrap(text, view.width, indent=2)
        style = "bold red" if outcome == "failed" else "yellow"
        yield [(f"{outcome}:", style), (first[len(outcome) + 1 :], "")]
        yield from ([(line, "")] for line in rest)
        yield from detail_lines(details, view)


def detail_lines(details: Sequence[str], view: View) -> Iterator[Line]:
    """Lines of code, as they are."""
    for detail in details[:_DETAILS]:
        yield [(f"    {clean(detail, unicode=view.unicode)}", "dim")]


def chart_lines(cases: Sequence[ProfileCase], view: View, glyphs: Glyphs) -> list[Line]:
    """Throughput by batch where there are at least three, and variants relative to eager."""
    timed = [case for case in cases if has_time(case)]
    lines: list[Line] = []
    for charts in (_by_batch(timed, cases), _by_variant(timed, cases)):
        if not 1 <= len(charts) <= _CHARTS:
            continue
        for title, rows, styles, right in charts:
            text = clean(title, unicode=view.unicode)
            shown = [
                (clean(label, unicode=view.unicode), length, clean(figure, unicode=view.unicode))
                for label, length, figure in rows
            ]
            drawn = bars(shown, view.width, glyphs, right=right, styles=styles)
            lines += [*([[]] if lines else []), [(text, "bold")], *drawn]
    return lines


_Chart = tuple[str, list[tuple[str, float, str]], list[str], bool]


def _by_batch(timed: Sequence[ProfileCase], cases: Sequence[ProfileCase]) -> list[_Chart]:
    charts: list[_Chart] = []
    for where, group in _groups(timed, cases, without="Batch"):
        rates = {case.batch: figures.throughput(case) or 0.0 for case in group if case.batch}
        if len(rates) < _LEAST_BATCHES:
            continue
        rows = [(f"batch {n}", rate, units.figure(rate)) for n, rate in sorted(rates.items())]
        charts.append((_titled("Items/s by batch", where), rows, ["green"] * len(rows), True))
    return charts


def _by_variant(timed: Sequence[ProfileCase], cases: Sequence[ProfileCase]) -> list[_Chart]:
    charts: list[_Chart] = []
    for where, group in _groups(timed, cases, without="Variant"):
        base = next((case for case in group if case.variant == "eager"), None)
        whole = figures.time_ms(base) if base is not None else None
        if not whole or len(group) < 2:
            continue
        rows, styles = [], []
        for case in group:
            ms = figures.time_ms(case) or 0.0
            rows.append((case.variant, ms, units.percent(ms / whole)))
            styles.append("blue" if case is base else "green" if ms <= whole else "yellow")
        charts.append((_titled("Time, eager = 100%", where), rows, styles, False))
    return charts


def _titled(title: str, where: str) -> str:
    return f"{title} ({where})" if where else title


def _groups(
    timed: Sequence[ProfileCase], cases: Sequence[ProfileCase], *, without: str
) -> list[tuple[str, list[ProfileCase]]]:
    """The cases that differ in one key alone, and what the others are for them."""
    keys = [key for key in keys_of(cases) if key.title != without]
    label: Callable[[ProfileCase], str] = lambda case: named(case, keys)  # noqa: E731
    found: dict[str, list[ProfileCase]] = {}
    for case in timed:
        found.setdefault(label(case), []).append(case)
    return list(found.items())
