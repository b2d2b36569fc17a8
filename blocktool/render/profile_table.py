"""A profile as a table for people: the figures first, then what they are worth."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.render import profile_notes as below
from blocktool.render import profile_words as words
from blocktool.render import units
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.profile_card import card_lines
from blocktool.render.profile_cases import case_lines, chart_lines
from blocktool.render.profile_keys import keys_of, named, shared
from blocktool.render.profile_modules import module_lines
from blocktool.render.styled import ASCII, UNICODE, Glyphs, Line, clean, to_text, wrap
from blocktool.render.view import View
from blocktool.results.profile import MaxBatch, Profile

_NO_BREAK = "\N{NO-BREAK SPACE}"
_MODULES = 4  # so many cases are shown module by module


def render(profile: Profile, view: View) -> str:
    """The profile in at most ``view.width`` columns; only lines of code stay whole.

    One case is a card, several are a table, in parts where it is too wide. Figures are never
    shortened nor wrapped.
    """
    glyphs = UNICODE if view.unicode else ASCII
    cases = profile.cases
    single = len(cases) == 1
    blocks: list[list[Line]] = [
        _head(profile, view, glyphs),
        card_lines(profile, cases[0], view, glyphs) if single else [],
        case_lines(profile, view, glyphs) if len(cases) > 1 else [],
        chart_lines(cases, view, glyphs),
        _verdicts(profile, view),
        *_modules(profile, view, glyphs),
        _limits(profile, view, glyphs),
        _largest(profile.max_batch, view, glyphs),
        _warnings(profile, view),
        _notes(profile, view),
        _footer(profile, view),
    ]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [[], *block] if lines else block
    return to_text(lines, color=view.color)


def _plain(text: str, view: View) -> str:
    return clean(text, unicode=view.unicode)


def _facts(facts: list[str], view: View, glyphs: Glyphs) -> list[Line]:
    """Facts in a row, each of which stays on one line."""
    # A no-break space keeps the words of a fact together.
    told = [_plain(fact, view).replace(" ", _NO_BREAK) for fact in facts]
    lines = wrap(f" {glyphs.dot} ".join(told), view.width)
    return [[(line.replace(_NO_BREAK, " "), "")] for line in lines]


def _head(profile: Profile, view: View, glyphs: Glyphs) -> list[Line]:
    lines: list[Line] = [
        [
            (_plain(profile.target, view), "bold"),
            (f"  {_plain(profile.root_type, view)}", "cyan"),
        ],
        *_facts(words.place(profile), view, glyphs),
    ]
    lines += _facts(shared(profile.cases), view, glyphs)
    if (told := words.prediction(profile)) is not None:
        lines += _wrapped(told, "bold yellow", view)
    if profile.interrupted:
        lines += _wrapped(words.conclusion(profile), "bold yellow", view)
    return lines


def _verdicts(profile: Profile, view: View) -> list[Line]:
    lines: list[Line] = []
    for found in profile.verdicts:
        where, use, why = words.verdict(found, profile.verdicts)
        head = f"{where}: use " if where else "use "
        text = _plain(f"{head}{use}: {why}", view)
        first, *rest = wrap(text, view.width, indent=2)
        told = _plain(head + use, view)
        if first.startswith(told):
            start = len(_plain(head, view))
            spans = [(first[:start], ""), (first[start : len(told)], "bold green")]
            lines.append([*spans, (first[len(told) :], "")])
        else:
            lines.append([(first, "")])
        lines += [[(line, "")] for line in rest]
    return lines


def _modules(profile: Profile, view: View, glyphs: Glyphs) -> Iterator[list[Line]]:
    cases = [case for case in profile.cases if case.modules is not None]
    keys = keys_of(profile.cases)
    for case in cases[:_MODULES]:
        lines: list[Line] = []
        if keys:
            lines.append([(_plain(f"By module: {named(case, keys)}", view), "bold")])
        if case.modules is not None:
            lines += module_lines(case.modules, view, glyphs)
        yield lines
    if (more := len(cases) - _MODULES) > 0:
        yield [[(f"and {words.counted(more)} more by module: -f json has them", "dim")]]


def _limits(profile: Profile, view: View, glyphs: Glyphs) -> list[Line]:
    if profile.ceilings is None:
        return []
    return _facts(words.limits(profile.ceilings), view, glyphs)


def _largest(found: MaxBatch | None, view: View, glyphs: Glyphs) -> list[Line]:
    if found is None:
        return []
    lines = _wrapped(words.largest_batch(found), "bold", view)
    if not found.tried:
        return lines

    def cells(texts: list[str], style: str = "") -> list[Cell]:
        return [Cell(_plain(text, view), style) for text in texts]

    tried = found.tried
    columns = [
        Column("Tried", cells([f"{each.batch:,}" for each in tried]), right=True),
        Column(
            "",
            [
                Cell("fits" if each.fits else "does not fit", "green" if each.fits else "red")
                for each in tried
            ],
        ),
        Column("Peak memory", cells([_bytes(each.peak_bytes) for each in tried]), right=True),
        Column(
            "Predicted", cells([_bytes(each.predicted_peak_bytes) for each in tried]), right=True
        ),
        Column("Reason", cells([each.reason or "" for each in tried], "dim"), shrink_to=12, drop=1),
    ]
    if not any(each.reason for each in tried):
        columns.pop()
    return [*lines, *layout(columns, view.width, glyphs)]


def _bytes(nbytes: int | None) -> str:
    return "-" if nbytes is None else units.size(nbytes)


def _warnings(profile: Profile, view: View) -> list[Line]:
    lines: list[Line] = []
    for notice in profile.warnings:
        label = "warning: "
        text = _plain(label + words.warning(notice, profile.cases), view)
        first, *rest = wrap(text, view.width, indent=len(label))
        lines.append([(label, "bold yellow"), (first[len(label) :], "yellow")])
        lines += [[(line, "yellow")] for line in rest]
        hint = wrap(_plain(f"hint: {notice.hint}", view), view.width - 3, indent=6)
        lines += [[(f"   {line}", "")] for line in hint]
    return lines


def _notes(profile: Profile, view: View) -> list[Line]:
    lines: list[Line] = []
    for note in below.notes(profile):
        text = _plain(f"note: {note}", view)
        lines += [[(line, "")] for line in wrap(text, view.width, indent=6)]
    return lines


def _footer(profile: Profile, view: View) -> list[Line]:
    """How and where it was measured, and what the figures mean."""
    lines: list[Line] = []
    several = len(profile.cases) > 1
    by_module = any(case.modules is not None for case in profile.cases)
    told = (
        below.protocol(profile),
        below.environment(profile),
        below.legend(profile.cases, several=several, modules=by_module),
    )
    for line in filter(None, told):
        lines += _wrapped(line, "dim", view)
    return lines


def _wrapped(text: str, style: str, view: View) -> list[Line]:
    return [[(line, style)] for line in wrap(_plain(text, view), view.width)]
