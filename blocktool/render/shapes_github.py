"""A shape report as workflow commands of GitHub Actions: annotations of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.render import shapes_proofs as proof_words
from blocktool.render import shapes_words as words
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.render.workflow_commands import workflow_command
from blocktool.results.shapes import Finding, Proof, ShapeReport


def render(report: ShapeReport, view: View) -> str:
    """One ``::error`` for each finding and each claim that is not proved; a ``::notice`` for each
    proof of several outputs, and for the totals. An error stands at the line of the user's code
    that led to it, where it is known; its path is as in the traceback: relative to the directory in
    which the check ran."""
    lines = [
        *map(_finding, report.findings),
        *(line for proof in report.proofs for line in _proof(proof)),
        workflow_command("notice", _summary(report), title=f"blocktool: {words.verdict(report)}"),
    ]
    return "".join(f"{line}\n" for line in lines)


def _finding(finding: Finding) -> str:
    failed = words.failure(finding.case)
    lines = [
        words.headline(finding),
        *(f"{label}: {text}" for label, text in words.facts(finding)),
        f"reproduce with: {command(finding.case.reproduce)}",
    ]
    place = words.place(failed.details)
    return workflow_command(
        "error",
        lines,
        title=f"{finding.case.target}: {words.KINDS[failed.kind]}",
        file=place and place[0],
        line=place and place[1],
    )


def _proof(proof: Proof) -> Iterator[str]:
    if proof.verdict != "proved":
        name = words.named(proof.target, proof.arguments)
        lines = [f"{name}: {proof_words.claim(proof, '→')}"]
        lines += [f"{label}: {text}" for label, text in proof_words.objections(proof)]
        yield workflow_command("error", lines, title=f"{proof.target}: {proof.verdict}")
    elif proof_words.exceptions(proof):
        name = words.named(proof.target, proof.arguments)
        line = f"{name}: {proof_words.claim(proof, '→')}"
        yield workflow_command("notice", [line], title=f"{proof.target}: its output varies")


def _summary(report: ShapeReport) -> list[str]:
    lines = [words.totals_line(report)]
    if report.proofs:
        lines.append(proof_words.proofs_line(report.proofs))
    if report.stopped_early:
        lines.append("stopped early: not every case has run")
    return lines
