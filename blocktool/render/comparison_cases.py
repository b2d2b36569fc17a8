"""What of a check of shapes ended otherwise, as text for people: the failures first."""

from __future__ import annotations

from blocktool.render import comparison_outcomes as outcomes
from blocktool.render.columns import Column, layout
from blocktool.render.comparison_lines import MOST, cell, glyphs_of, more, plain, wrapped
from blocktool.render.shell import command
from blocktool.render.styled import Line
from blocktool.render.view import View
from blocktool.results.comparison import CaseChange, Comparison

_MOST_FAILURES = 6
_STYLES = {outcomes.FAIL: "bold red", outcomes.PASS: "bold green"}


def case_lines(comparison: Comparison, view: View) -> list[Line]:
    """A heading for each way in which cases differ; what fails now is told with its command."""
    lines: list[Line] = []
    for heading, group in outcomes.groups(comparison.cases):
        style = _STYLES.get(heading, "bold")
        lines += [[], *wrapped(outcomes.heading_line(heading, len(group)), view, style)]
        if heading == outcomes.FAIL:
            shown = group if view.expand else group[:_MOST_FAILURES]
            for case in shown:
                lines += _failure(case, view)
        else:
            shown = group if view.expand else group[:MOST]
            lines += _table(shown, view)
        lines += more(len(group) - len(shown), "case")
    return lines[1:]


def _failure(case: CaseChange, view: View) -> list[Line]:
    was = f" (was {case.old})" if case.old else " (is new)"
    lines = wrapped(f" {case.case}{was}", view, head=case.target)
    if case.reason:
        lines += [[("  ", ""), *line] for line in wrapped(case.reason, narrower(view), "red")]
    if case.reproduce:
        lines.append([("  " + command(case.reproduce, unicode=view.unicode), "cyan")])
    return lines


def narrower(view: View) -> View:
    """The view for what is indented by two."""
    return View(width=view.width - 2, unicode=view.unicode)


def _table(cases: list[CaseChange], view: View) -> list[Line]:
    def column(title: str, texts: list[str], shrink_to: int, style: str = "") -> Column:
        return Column(title, [cell(text, view, style) for text in texts], shrink_to=shrink_to)

    columns = [
        column("Target", [each.target for each in cases], 14),
        column("Case", [each.case for each in cases], 14),
        column("Outcome", [outcomes.both(each) for each in cases], 16),
    ]
    reasons = [plain(each.reason or "", view) for each in cases]
    if any(reasons):
        columns.append(column("Reason", reasons, 10, "dim"))
    return layout(columns, view.width, glyphs_of(view))
