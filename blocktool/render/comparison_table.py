"""A comparison for people: what was done, what it breaks, what it costs; nothing if nothing."""

from __future__ import annotations

from blocktool.render import comparison_words as words
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.comparison_cases import case_lines
from blocktool.render.comparison_headline import sides
from blocktool.render.comparison_held import held_to
from blocktool.render.comparison_lines import MOST, cell, glyphs_of, more, wrapped
from blocktool.render.comparison_modules import module_lines
from blocktool.render.comparison_totals import total_lines
from blocktool.render.styled import Line, to_text
from blocktool.render.view import View
from blocktool.results.comparison import Comparison

_MOST_STATEMENTS = 8
_RULE_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def render(comparison: Comparison, view: View) -> str:
    """The comparison in at most ``view.width`` columns; only a command that reproduces a failure
    stays whole, so that it can be copied. Where both sides are alike and no rule is broken it is
    the empty string, and so where there is nothing to compare and no rule to hold."""
    if words.silent(comparison) or (comparison.old is None and not comparison.rules):
        return ""
    if comparison.old is None:
        blocks = [_findings(comparison, view), _held(comparison, view)]
    else:
        blocks = [
            _statements(comparison, view),
            _findings(comparison, view),
            case_lines(comparison, view),
            total_lines(comparison, view),
            module_lines(comparison, view),
            _mismatches(comparison, view),
            _rules(comparison, view),
        ]
    blocks += [_notes(comparison, view), wrapped(sides(comparison), view, "dim")]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [[], *block] if lines else block
    return to_text(lines, color=view.color)


def _statements(comparison: Comparison, view: View) -> list[Line]:
    made = comparison.statements
    shown = made if view.expand else made[:_MOST_STATEMENTS]
    lines: list[Line] = []
    for each in shown:
        line = words.statement_line(each, most=None if view.expand else 3)
        lines += wrapped(line[len(each.text) :], view, head=each.text)
    return lines + more(len(made) - len(shown), "statement")


def _findings(comparison: Comparison, view: View) -> list[Line]:
    found = comparison.findings
    shown = found if view.expand else found[:MOST]
    lines: list[Line] = []
    for each in shown:
        lines += wrapped(f" {each.message}", view, "red", head=f"fails {each.rule}:")
    lines += more(len(found) - len(shown), "finding")
    for rule in words.unexplained(comparison):
        lines += wrapped(words.rule_line(rule), view, "red")
    return lines


def _held(comparison: Comparison, view: View) -> list[Line]:
    """Every rule, and the figures that it was held to."""
    rules = comparison.rules
    if not rules:
        return []
    outcomes = {"passed": "holds", "failed": "fails", "skipped": "skipped"}
    columns = [
        Column("Rule", [cell(each.rule, view) for each in rules], shrink_to=16),
        Column("", [Cell(outcomes[each.outcome], _RULE_STYLES[each.outcome]) for each in rules]),
        Column(
            "Held to",
            [cell(held_to(each, comparison), view) for each in rules],
            shrink_to=16,
        ),
    ]
    lines = layout(columns, view.width, glyphs_of(view))
    for each in rules:
        if each.reason:
            lines += wrapped(words.rule_line(each), view, _RULE_STYLES[each.outcome])
    return lines


def _mismatches(comparison: Comparison, view: View) -> list[Line]:
    lines: list[Line] = []
    for each in comparison.mismatches:
        if each.decisive or view.expand:
            style = "yellow" if each.decisive else "dim"
            lines += wrapped(words.mismatch_line(each), view, style)
    if not view.expand and (minor := words.minor_line(comparison.mismatches)):
        lines += wrapped(minor, view, "dim")
    return lines


def _rules(comparison: Comparison, view: View) -> list[Line]:
    lines: list[Line] = []
    for each in comparison.rules:
        known = each.reason is not None or view.expand
        if each.outcome == "skipped" or (each.outcome == "passed" and known):
            style = "yellow" if each.outcome == "skipped" else "dim"
            lines += wrapped(words.rule_line(each), view, style)
    if told := words.rules_line(comparison):
        lines += wrapped(told, view, "bold red" if words.broken(comparison) else "bold green")
    return lines


def _notes(comparison: Comparison, view: View) -> list[Line]:
    return [line for note in comparison.notes for line in wrapped(f"note: {note}", view)]
