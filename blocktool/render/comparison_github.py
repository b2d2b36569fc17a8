"""A comparison as workflow commands of GitHub Actions: annotations of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.render import comparison_words as words
from blocktool.render.comparison_headline import changes, headline, sides
from blocktool.render.comparison_held import held_to
from blocktool.render.view import View
from blocktool.render.workflow_commands import Level, workflow_command
from blocktool.results.comparison import Comparison

_SHOWN = 10  # annotations of a level that GitHub shows of one step
_MOST_LINES = 12

Annotation = tuple[str, list[str]]


def render(comparison: Comparison, view: View) -> str:
    """One ``::error`` for each finding, a ``::warning`` for each rule that could not be held and
    for decisive differences of where the reports were made, and a ``::notice`` of what changed.
    Where both sides are alike and no rule is broken it is the empty string."""
    if words.silent(comparison):
        return ""
    lines = [
        *_commands("error", list(_errors(comparison))),
        *_commands("warning", list(_warnings(comparison))),
        *_commands("notice", [_notice(comparison)]),
    ]
    return "".join(f"{line}\n" for line in lines)


def _commands(level: Level, annotations: list[Annotation]) -> Iterator[str]:
    """What GitHub would not show for their number shares the last annotation."""
    apart, rest = annotations, []
    if len(annotations) > _SHOWN:
        apart, rest = annotations[: _SHOWN - 1], annotations[_SHOWN - 1 :]
    for title, lines in apart:
        yield workflow_command(level, lines, title=title)
    if rest:
        told = [f"{title.removeprefix('blocktool: ')}: {lines[0]}" for title, lines in rest]
        yield workflow_command(level, told, title=f"blocktool: {len(rest)} more")


def _errors(comparison: Comparison) -> Iterator[Annotation]:
    for finding in comparison.findings:
        yield f"blocktool: fails {finding.rule}", [finding.message]
    for rule in words.unexplained(comparison):
        yield f"blocktool: fails {rule.rule}", [rule.reason or "the rule is broken"]


def _warnings(comparison: Comparison) -> Iterator[Annotation]:
    for rule in comparison.rules:
        if rule.outcome == "skipped":
            yield f"blocktool: skipped {rule.rule}", [rule.reason or "it was held to no figure"]
        elif rule.outcome == "passed" and rule.reason:
            yield f"blocktool: holds {rule.rule}", [rule.reason]
    decisive = [words.mismatch_line(each) for each in comparison.mismatches if each.decisive]
    if decisive:
        yield "blocktool: the reports were made differently", decisive


def _notice(comparison: Comparison) -> Annotation:
    if comparison.old is None:
        lines = [
            f"{words.rule_line(each)} ({held})" if (held := held_to(each, comparison)) else ""
            for each in comparison.rules
            if each.outcome == "passed"
        ]
    else:
        lines = changes(comparison)
    lines = [line for line in lines if line]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"and {len(lines) - _MOST_LINES + 1} more"]
    told = [sides(comparison), words.rules_line(comparison)]
    return f"blocktool: {headline(comparison)}", [*lines, *filter(None, told)]
