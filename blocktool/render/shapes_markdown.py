"""A shape report as Markdown, for the summary of a CI job or a comment: the verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from blocktool.render import shapes_proofs as proof_words
from blocktool.render import shapes_words as words
from blocktool.render.markdown_text import code, fenced, table, text
from blocktool.render.shell import command
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.shapes import CheckedTarget, Finding, Proof, ShapeReport

_OPEN = 3  # up to so many findings are shown unfolded
_MOST = 100  # GitHub refuses a summary of more than a mebibyte


def render(report: ShapeReport, view: View) -> str:
    """Verdict, totals, a table of the targets, each finding under a heading that folds, refusals,
    proofs, and where it was run."""
    blocks = [f"## {words.verdict(report)}", text(words.totals_line(report)) + "."]
    if report.stopped_early:
        blocks.append("> **Warning:** stopped early, not every case has run.")
    if report.targets:
        blocks.append(_targets(report))
    if report.findings:
        blocks.append("### Findings")
    unfolded = len(report.findings) <= _OPEN
    blocks += [_finding(finding, unfolded=unfolded) for finding in report.findings[:_MOST]]
    if (more := len(report.findings) - _MOST) > 0:
        blocks.append(f"And {more} more findings: `-f json` has them all.")
    blocks += _refusals(report)
    if report.proofs:
        blocks += ["### Proofs", _proofs(report)]
    blocks += [
        f"Note: {text(f'{target.target}: {note}')}"
        for target in report.targets
        for note in target.notes
    ]
    blocks.append(f"<sub>{text(_environment(report))}</sub>")
    return "\n\n".join(blocks) + "\n"


def _targets(report: ShapeReport) -> str:
    rows = [
        (
            f"`{code(target.target)}`",
            "**fails**" if target.failed else "holds" if target.passed else "not checked",
            _held_to(target),
            f"{target.passed:,}",
            f"{target.failed:,}",
            f"{target.skipped:,}",
        )
        for target in report.targets
    ]
    return table(("Target", "", "Held to", "Passed", "Failed", "Skipped"), rows, left=3)


def _held_to(target: CheckedTarget) -> str:
    held = words.held_to(target)
    if target.contract and target.contract_source in ("expect", "found"):
        shown = f"`{code(target.contract)}`"
        return f"{shown} (found)" if target.contract_source == "found" else shown
    return text(held)


def _finding(finding: Finding, *, unfolded: bool) -> str:
    failed = words.failure(finding.case)
    kind = words.KINDS[failed.kind]
    # In the line of a <summary> HTML is read, and no Markdown.
    head = f"<b>{escape(kind)}</b>: {escape(clean(words.headline(finding)))}"
    facts = [f"- {label}: {text(told)}" for label, told in words.facts(finding)]
    blocks = [
        f"<details{' open' if unfolded else ''}><summary>{head}</summary>",
        "\n".join(facts),
        *([fenced(failed.details)] if failed.details else []),
        "Reproduce with",
        fenced([command(finding.case.reproduce)], "bash"),
        "</details>",
    ]
    return "\n\n".join(blocks)


def _refusals(report: ShapeReport) -> Iterator[str]:
    told = [
        f"- {text(f'{who}: {reason}')}, e.g. `{code(example)}`"
        for who, reason, example in words.refusals(report)
    ]
    if told:
        summary = f"<summary>Refused inputs, which are no failure ({len(told)})</summary>"
        yield "\n\n".join([f"<details>{summary}", "\n".join(told[:_MOST]), "</details>"])


def _proofs(report: ShapeReport) -> str:
    rows = [
        (
            f"`{code(words.named(proof.target, proof.arguments))}`",
            proof.verdict if proof.verdict == "proved" else f"**{proof.verdict}**",
            f"`{code('; '.join(proof.inputs))}`",
            _output(proof),
            text(" and ".join(proof_words.conditions(proof)))
            or ("always" if proof.output and proof.complete else ""),
            _remarks(proof),
        )
        for proof in report.proofs
    ]
    return table(("Target", "", "Inputs", "Output", "Runs where", "Remarks"), rows, left=6)


def _output(proof: Proof) -> str:
    if not proof.output:
        return ""
    return "<br>".join(
        [f"`{code(proof_words.output(proof))}`", *map(text, proof_words.exceptions(proof))]
    )


def _remarks(proof: Proof) -> str:
    told = [f"{label}: {said}" for label, said in proof_words.objections(proof)]
    return "<br>".join(map(text, [*told, *proof.notes]))


def _environment(report: ShapeReport) -> str:
    about = report.environment
    versions = {"blocktool": about.blocktool, "torch": about.torch, "Python": about.python}
    return " · ".join(
        [*(f"{name} {version}" for name, version in versions.items()), about.platform]
    )
