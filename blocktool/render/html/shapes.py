"""What is on the page of a shape report."""

from __future__ import annotations

from blocktool.render import shapes_proofs as proof_words
from blocktool.render import shapes_words as words
from blocktool.render.html.marks import PATTERNS, axis, bars_height, label, short
from blocktool.render.html.pieces import (
    Block,
    Cards,
    Cell,
    Chart,
    Column,
    Fact,
    Item,
    Items,
    Notes,
    Page,
    Table,
    Tone,
    sections,
)
from blocktool.render.html.shapes_grid import grid_blocks
from blocktool.render.html.words import plural, versions
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.results.shapes import Finding, Proof, ShapeReport

_TONES: dict[str, Tone] = {"proved": "good", "refuted": "bad", "not proved": "warn"}
_MOST_BARS = 40


def page(report: ShapeReport, view: View) -> Page:
    """The verdict, what fails and how to see it fail, then what was tried and what is proved."""
    targets = [target.target for target in report.targets]
    named = ", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")
    return Page(
        title=named or "Nothing was checked",
        kind="Shape checks",
        lines=(words.totals_line(report),),
        sections=sections(
            ("findings", "Findings", [_findings(report)]),
            ("figures", "Key figures", [*_remarks(report), _cards(report)]),
            ("targets", "Targets", [_bars(report), _targets(report)]),
            ("refusals", "What is refused", [_refusals(report)]),
            ("proofs", "Proofs", [_proofs(report)]),
            ("cases", "Cases", grid_blocks(report)),
        ),
        versions=versions(report.environment),
        verdict=(words.verdict(report), "good" if report.holds else "bad"),
    )


def _findings(report: ShapeReport) -> Items | None:
    return Items(tuple(map(_finding, report.findings))) if report.findings else None


def _finding(finding: Finding) -> Item:
    failed = words.failure(finding.case)
    return Item(
        words.KINDS[failed.kind],
        words.headline(finding),
        "bad",
        facts=tuple(words.facts(finding)),
        code=failed.details,
        command=command(finding.case.reproduce),
    )


def _remarks(report: ShapeReport) -> list[Block]:
    found: list[Block] = []
    if report.stopped_early:
        found.append(Notes("Stopped early", (("Not every case has run.", ""),), "warn"))
    if notes := [(f"{t.target}: {note}", "") for t in report.targets for note in t.notes]:
        found.append(Notes("Notes", tuple(notes)))
    return found


def _cards(report: ShapeReport) -> Cards:
    passed, failed, skipped = words.totals(report)
    facts = [
        Fact("Passed", f"{passed:,}", f"of {plural(passed + failed, 'case')} that ran"),
        Fact("Failed", f"{failed:,}", plural(len(report.findings), "finding"),
             "bad" if failed else ""),
        Fact("Skipped", f"{skipped:,}", "refused, or not to be checked"),
    ]  # fmt: skip
    if report.proofs:
        proved = sum(proof.verdict == "proved" for proof in report.proofs)
        whole = len(report.proofs)
        tone: Tone = "" if proved == whole else "warn"
        facts.append(Fact("Proved", f"{proved:,}", f"of {plural(whole, 'claim')}", tone))
    facts.append(Fact("Targets", f"{len(report.targets):,}", f"in {report.seconds:.1f} s"))
    return Cards(tuple(facts))


def _bars(report: ShapeReport) -> Chart | None:
    """Outcomes of each target, those with failures first."""
    if not report.targets:
        return None
    ordered = sorted(report.targets, key=lambda target: -target.failed)
    shown = ordered[:_MOST_BARS]
    names = [label(short(target.target)) for target in shown]
    traces = [
        {
            "type": "bar", "orientation": "h", "name": name, "y": names,
            "x": [getattr(target, name) for target in shown],
            "text": [f"{count:,}" if (count := getattr(target, name)) else "" for target in shown],
            "insidetextfont": {"color": "var(--on)"}, "outsidetextfont": {"color": "var(--ink)"},
            "textposition": "inside",
            "marker": {"color": color, "pattern": {"shape": pattern, "fgcolor": "var(--paper)",
                                                   "fillmode": "overlay", "solidity": 0.2,
                                                   "fgopacity": 0.35, "size": 7}},
            "hovertemplate": f"%{{y}}: %{{x}} {name}<extra></extra>",
        }
        for name, color, pattern in (
            ("passed", "var(--c3)", PATTERNS[0]),
            ("failed", "var(--c2)", PATTERNS[1]),
            ("skipped", "var(--c7)", PATTERNS[2]),
        )
    ]  # fmt: skip
    layout = {
        "barmode": "stack", "xaxis": axis("cases", rangemode="tozero"),
        "yaxis": {"autorange": "reversed", "automargin": True},
    }  # fmt: skip
    bad = [target for target in report.targets if target.failed]
    told = "No case failed." if not bad else (
        f"{plural(len(bad), 'target')} of {len(report.targets):,} with failed cases; the most has "
        f"{ordered[0].target}, {ordered[0].failed:,} of {ordered[0].failed + ordered[0].passed:,}."
    )  # fmt: skip
    if len(ordered) > len(shown):
        told += f" The table below has {len(ordered) - len(shown)} more."
    return Chart(
        "targets-chart", "Outcomes by target", told, {"data": traces, "layout": layout},
        height=bars_height(len(shown)) + 40,
    )  # fmt: skip


def _targets(report: ShapeReport) -> Table | None:
    if not report.targets:
        return None
    rows = tuple(
        (
            Cell(target.target, tone="bad" if target.failed else ""),
            Cell(words.held_to(target)),
            Cell(f"{target.passed:,}", target.passed),
            Cell(f"{target.failed:,}", target.failed, "bad" if target.failed else ""),
            Cell(f"{target.skipped:,}", target.skipped),
        )
        for target in report.targets
    )
    columns = (
        Column("Target"), Column("Held to"), Column("Passed", right=True),
        Column("Failed", right=True), Column("Skipped", right=True),
    )  # fmt: skip
    return Table("Outcomes by target", columns, rows, filtered_by="targets")


def _refusals(report: ShapeReport) -> Table | None:
    told = words.refusals(report)
    if not told:
        return None
    rows = tuple((Cell(who), Cell(why), Cell(example, code=True)) for who, why, example in told)
    columns = (Column("Who"), Column("Why"), Column("Example"))
    return Table("Inputs that modules refuse themselves; they are no failures", columns, rows)


def _proofs(report: ShapeReport) -> Items | None:
    return Items(tuple(map(_proof, report.proofs))) if report.proofs else None


def _proof(proof: Proof) -> Item:
    facts = list(proof_words.objections(proof))
    facts += [("note", note) for note in proof.notes]
    if proof.paths:
        ways = plural(proof.paths, "way")
        facts.append(("effort", f"{ways} through the module followed, {proof.sampled} sizes run"))
    name = words.named(proof.target, proof.arguments)
    return Item(
        proof.verdict,
        f"{name}: {proof_words.claim(proof, '→')}",
        _TONES[proof.verdict],
        facts=tuple(facts),
    )
