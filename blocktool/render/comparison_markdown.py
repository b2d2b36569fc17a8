"""A comparison as Markdown for a comment of a pull request: the verdict first, details folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_modules as of_modules
from blocktool.render import comparison_outcomes as outcomes
from blocktool.render import comparison_words as words
from blocktool.render.comparison_folded import Row
from blocktool.render.comparison_folded import rows as folded
from blocktool.render.comparison_headline import headline, sides
from blocktool.render.comparison_held import held_to
from blocktool.render.comparison_totals import chosen
from blocktool.render.markdown_text import code, fenced, table, text
from blocktool.render.shell import command
from blocktool.render.styled import UNICODE, clean, shorten
from blocktool.render.view import View
from blocktool.results.comparison import CaseChange, Comparison, MetricChange

MARKER = "<!-- blocktool compare -->"
"""The first line, by which a bot finds the comment that it updates."""
LIMIT = 60_000
"""Bytes of the whole; GitHub takes 65,536 characters."""

_ROWS = (100, 60, 30, 15, 8, 4, 2)  # of each table, the first with which the whole is short enough
_LONGEST = 200  # columns of a text within a line
_LONGEST_COMMAND = 2000
_NO_LINK = "&#8203;"  # a space without width, after which GitHub calls nobody and links nothing


def render(comparison: Comparison, view: View) -> str:
    """Marker, verdict, findings, statements and the figures that changed; modules, cases and the
    rest in parts that unfold. Long tables are cut, so that GitHub takes it as a comment. Where
    nothing changed it says so in one line."""
    if words.silent(comparison):
        return f"{MARKER}\nNo change.\n"
    made = ""
    for most in _ROWS:
        made = _page(comparison, most)
        if len(made.encode()) <= LIMIT:
            break
    return made


def _page(comparison: Comparison, most: int) -> str:
    blocks = [
        f"{MARKER}\n### {_prose(headline(comparison))}",
        _findings(comparison, most),
        _statements(comparison, most),
        _mismatches(comparison, most),
        *_cases(comparison, most),
        _totals(comparison, most) if comparison.old is not None else "",
        _modules(comparison, most) if comparison.modules else "",
        _rules(comparison, most) if comparison.rules else "",
        *(f"Note: {_prose(note)}" for note in comparison.notes[:most]),
        f"<sub>{_prose(_footer(comparison))}</sub>",
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _cut(plain: str) -> str:
    return shorten(clean(plain), _LONGEST, UNICODE)


def _prose(plain: str) -> str:
    """Running text in which nothing is markup, nothing a link, and nobody called by ``@``."""
    shown = text(_cut(plain).replace("&", "&amp;"))
    for mark in "~$":
        shown = shown.replace(mark, f"\\{mark}")
    for start in ("@", "\\#", "www", "http"):
        shown = shown.replace(start, f"{start}{_NO_LINK}")
    return shown


def _code(plain: str) -> str:
    shown = code(_cut(plain))
    return f"`{shown}`" if shown.strip() else ""


def _more(left: int, what: str) -> str:
    if left <= 0:
        return ""
    noun, them = (what, "it") if left == 1 else (f"{what}s", "them")
    return f"{left:,} more {noun}: `-f json` has {them}."


def _bullets(lines: Sequence[str], most: int, what: str) -> str:
    told = "\n".join(f"- {line}" for line in lines[:most])
    return "\n\n".join(filter(None, [told, _more(len(lines) - most, what)]))


def _folded(summary: str, body: Sequence[str], *, opened: bool = False) -> str:
    # In the line of a <summary> HTML is read, and no Markdown.
    head = f"<details{' open' if opened else ''}><summary>{escape(clean(summary))}</summary>"
    return "\n\n".join([head, *filter(None, body), "</details>"])


def _findings(comparison: Comparison, most: int) -> str:
    lines = [f"**fails** {_code(f.rule)}: {_prose(f.message)}" for f in comparison.findings]
    for rule in words.unexplained(comparison):
        lines.append(f"**fails** {_code(rule.rule)}: {_prose(rule.reason or 'it is broken')}")
    return _bullets(lines, most, "finding")


def _statements(comparison: Comparison, most: int) -> str:
    lines = []
    for made in comparison.statements:
        said, where = words.statement(made, 3, _code)
        lines.append(f"{_prose(said)}{where}")
    heading = "What was done:\n\n" if lines else ""
    return heading + _bullets(lines, min(most, 20), "statement")


def _mismatches(comparison: Comparison, most: int) -> str:
    decisive = [each for each in comparison.mismatches if each.decisive]
    lines = [_prose(words.mismatch_line(each)) for each in decisive]
    return f"> **Warning:** {'; '.join(lines[:most])}." if lines else ""


def _totals(comparison: Comparison, most: int) -> str:
    told, left = words.told_figures(comparison)
    shown = sorted(chosen(told, most), key=lambda each: each.case is not None)
    left += len(told) - len(shown)
    blocks = []
    if shown:
        known = [each.case for each in shown if each.case is not None]
        common, apart = words.cases_apart(known) if known else ("", {})
        rows = [_total(each, comparison.threshold, apart) for each in shown]
        heading = ["Case", "Figure", "Old", "New", "Change", "Verdict"]
        first = 0 if any(apart.values()) else 1
        last = 1 if any(each.lane == "measured" for each in shown) else 0
        end = len(heading) if last else -1
        blocks += [_prose(common)] if common else []
        cells = [row[first:end] for row in rows]
        blocks += [table(heading[first:end], cells, left=2 - first, last=last)]
    remarks = [_more(left, "figure"), *map(_prose, words.reasons(shown))]
    remarks.append(_prose(words.same_line(comparison)))
    blocks.append("  \n".join([line for line in remarks if line][: most + 2]))
    return "\n\n".join(filter(None, blocks))


def _total(change: MetricChange, threshold: float, apart: dict[str, str]) -> list[str]:
    sides = figures.before_and_after(change)
    show: Callable[[str], str] = _code if isinstance(change.new or change.old, str) else str
    verdict = _prose(figures.verdict(change, threshold))
    tone = figures.tone(change)
    return [
        _prose(apart[change.case]) if change.case else "",
        _prose(figures.name(change.metric)),
        *map(show, sides),
        _prose(figures.change_or_verdict(change)),
        f"**{verdict}**" if tone == "worse" else verdict,
    ]


def _cases(comparison: Comparison, most: int) -> list[str]:
    blocks = []
    for heading, group in outcomes.groups(comparison.cases):
        failing = heading == outcomes.FAIL
        rows = [
            [_code(each.target), _prose(each.case), outcomes.both(each), _prose(each.reason or "")]
            for each in group[:most]
        ]
        body = [table(("Target", "Case", "Outcome", "Reason"), rows, left=4)]
        body.append(_more(len(group) - most, "case"))
        if failing:
            body.append(_commands(group[: min(most, 10)]))
        line = outcomes.heading_line(heading, len(group))
        blocks.append(_folded(line, body, opened=failing))
    return blocks


def _commands(cases: Sequence[CaseChange]) -> str:
    told = [command(case.reproduce) for case in cases if case.reproduce]
    told = [line for line in told if len(line) <= _LONGEST_COMMAND]  # half a command is none
    return fenced(told, "bash") if told else ""


def _modules(comparison: Comparison, most: int) -> str:
    own, follow = of_modules.own_and_following(comparison.modules)
    rows = folded(own, fold=True)
    left = sum(len(row.all) for row in rows[most:])
    body = [_module_table(rows[:most]) if own else "", _more(left, "module")]
    told = [words.modules_line(own)]
    if follow:
        told.append(words.follows_line(len(follow)))
        named = [_code(words.where(each)) for each in follow[:most]]
        rest = ", ..." if len(follow) > most else ""
        body.append(f"{told[-1]}: {', '.join(named)}{rest}")
    return _folded("; ".join(filter(None, told)), body)


def _module_table(rows: Sequence[Row]) -> str:
    modules = [row.shown for row in rows]
    metrics = of_modules.metrics_of(modules)
    heading = ["", "Module", "What", *map(of_modules.heading, metrics), "Effect"]
    cells = [
        [
            each.verdict,
            _code(words.where(each)) + (f" and {len(row.all) - 1:,} more" if row.all[1:] else ""),
            _prose("; ".join(words.what(each))),
            *(of_modules.difference_of(each, metric)[0] for metric in metrics),
            _prose(of_modules.effect(each)),
        ]
        for row, each in zip(rows, modules, strict=True)
    ]
    return table([_prose(title) for title in heading], cells, left=3)


def _rules(comparison: Comparison, most: int) -> str:
    outcomes = {"passed": "holds", "failed": "**fails**", "skipped": "skipped"}
    rows = [
        [
            outcomes[each.outcome],
            _code(each.rule),
            _prose(held_to(each, comparison)),
            _prose(each.reason or ""),
        ]
        for each in comparison.rules[:most]
    ]
    body = [table(("", "Rule", "Held to", "Remark"), rows, left=4)]
    body.append(_more(len(comparison.rules) - most, "rule"))
    doubtful = any(each.outcome == "skipped" for each in comparison.rules)
    return _folded(words.rules_line(comparison), body, opened=comparison.old is None or doubtful)


def _footer(comparison: Comparison) -> str:
    told = [sides(comparison), words.minor_line(comparison.mismatches)]
    about = comparison.new.environment
    return " · ".join(filter(None, [*told, f"blocktool {about.blocktool}, torch {about.torch}"]))
