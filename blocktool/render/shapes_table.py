"""A shape report for people: a quiet line for what holds, the whole story for what does not."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.render import shapes_proofs as proof_words
from blocktool.render import shapes_words as words
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.shell import command
from blocktool.render.styled import (
    ASCII,
    UNICODE,
    Glyphs,
    Line,
    clean,
    shorten,
    to_text,
    width_of,
    wrap,
)
from blocktool.render.view import View
from blocktool.results.shapes import Finding, Proof, ShapeReport

_MOST_FINDINGS = 20
_MOST_REFUSALS = 6
_LEAST_REASON = 24
_FEW_PROOFS = 3  # up to so many are told with all their notes
_LABEL = 10
_STYLES = {"proved": "green", "refuted": "bold red", "not proved": "yellow"}


def render(report: ShapeReport, view: View) -> str:
    """The report in at most ``view.width`` columns; only a command that reproduces a failure, and
    the name of a file, stay whole whatever their width, so that they can be copied."""
    glyphs = UNICODE if view.unicode else ASCII
    blocks: list[list[Line]] = [
        _targets(report, view, glyphs),
        _refusals(report, view, glyphs),
        *(_finding(finding, view, glyphs) for finding in report.findings[:_MOST_FINDINGS]),
        _proofs(report, view, glyphs),
        _notes(report, view),
        [[(words.totals_line(report), "bold green" if report.holds else "bold red")]],
    ]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [[], *block] if lines else block
    return to_text(lines, color=view.color)


def _plain(text: str, view: View) -> str:
    return clean(text, unicode=view.unicode)


def _targets(report: ShapeReport, view: View, glyphs: Glyphs) -> list[Line]:
    def figure(number: int, style: str) -> Cell:
        return Cell(f"{number:,}", style if number else "dim")

    targets = report.targets
    names = [Cell(_plain(t.target, view), "bold red" if t.failed else "") for t in targets]
    held = [
        Cell(_plain(words.held_to(t), view), "" if t.contract_source == "expect" else "dim")
        for t in targets
    ]
    columns = [
        Column("Target", names, shrink_to=20),
        Column("Held to", held, shrink_to=16),
        Column("Passed", [figure(t.passed, "") for t in targets], right=True),
        Column("Failed", [figure(t.failed, "bold red") for t in targets], right=True),
        Column("Skipped", [figure(t.skipped, "") for t in targets], right=True),
    ]
    return layout(columns, view.width, glyphs) if targets else []


def _refusals(report: ShapeReport, view: View, glyphs: Glyphs) -> list[Line]:
    told = words.refusals(report)
    lines: list[Line] = []
    for who, reason, example in told[:_MOST_REFUSALS]:
        text = _plain(f"{who}: {reason}, e.g. {example}", view)
        lines += [[(line, "dim")] for line in wrap(text, view.width, indent=2)]
    if (more := len(told) - _MOST_REFUSALS) > 0:
        lines.append([(f"and {more} more reasons to refuse: -f json has them", "dim")])
    return lines


def _finding(finding: Finding, view: View, glyphs: Glyphs) -> list[Line]:
    failed = words.failure(finding.case)
    kind = words.KINDS[failed.kind]
    lines: list[Line] = _labelled(kind, words.headline(finding), "bold red", view, indent=2)
    for label, text in words.facts(finding):
        lines += [
            [("  ", ""), *line]
            for line in _labelled(label, text, "cyan", view, indent=_LABEL, margin=2)
        ]
    for detail in failed.details:
        text = _plain(detail, view)
        whole = words.place([detail]) is not None
        lines.append([("    " + (text if whole else shorten(text, view.width - 4, glyphs)), "dim")])
    lines.append([("  reproduce with", "cyan")])
    lines.append([("  " + command(finding.case.reproduce, unicode=view.unicode), "bold")])
    return lines


def _labelled(
    label: str, text: str, style: str, view: View, *, indent: int, margin: int = 0
) -> list[Line]:
    """A label and running text, which goes on at ``indent``."""
    head = f"{label}: " if indent < _LABEL else label.ljust(indent)
    filled = f"{'x' * width_of(head)}{_plain(text, view)}"
    first, *others = wrap(filled, view.width - margin, indent=indent)
    return [[(head, style), (first[width_of(head) :], "")], *([(line, "")] for line in others)]


def _proofs(report: ShapeReport, view: View, glyphs: Glyphs) -> list[Line]:
    if not report.proofs:
        return []
    lines: list[Line] = [[(proof_words.proofs_line(report.proofs), "bold")]]
    for proof in report.proofs:
        lines += _proof(proof, view, glyphs, notes=len(report.proofs) <= _FEW_PROOFS)
    return lines


def _proof(proof: Proof, view: View, glyphs: Glyphs, *, notes: bool) -> Iterator[Line]:
    name = words.named(proof.target, proof.arguments)
    text = f"{name}: {proof_words.claim(proof, glyphs.arrow)}"
    yield from _labelled(proof.verdict, text, _STYLES[proof.verdict], view, indent=12)
    told = [
        (f"{label}: {text}" if label == "contract" else text, "red")
        for label, text in proof_words.objections(proof)
    ]
    if notes or proof.verdict != "proved":
        told += [(f"note: {note}", "dim") for note in proof.notes]
        told += [(_effort(proof), "dim")] if proof.paths else []
    for text, style in told:
        for line in wrap(_plain(text, view), view.width - 12):
            yield [(" " * 12 + line, style)]


def _effort(proof: Proof) -> str:
    ways = "1 way" if proof.paths == 1 else f"{proof.paths} ways"
    return f"{ways} through the module followed, {proof.sampled} sizes run"


def _notes(report: ShapeReport, view: View) -> list[Line]:
    told = [
        (f"note: {target.target}: {note}", "") for target in report.targets for note in target.notes
    ]
    if (more := len(report.findings) - _MOST_FINDINGS) > 0:
        told.append((f"and {more} more findings: -f json has them all", "yellow"))
    if report.stopped_early:
        told.append(("stopped early: not every case has run", "yellow"))
    return [
        [(line, style)]
        for text, style in told
        for line in wrap(_plain(text, view), view.width, indent=6)
    ]
