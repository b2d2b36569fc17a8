"""The rules of a gate, and what breaks them."""

from __future__ import annotations

from collections import Counter

from blocktool.render.html.pieces import Block, Cell, Column, Details, Item, Items, Table, Tone
from blocktool.render.html.words import plural
from blocktool.results.comparison import Comparison, Finding

_TONES: dict[str, Tone] = {"passed": "good", "failed": "bad", "skipped": "warn"}
_EACH = 3
"""Findings of a rule that are told one by one; a rule for modules may have hundreds."""


def findings(comparison: Comparison) -> list[Block]:
    """The first findings of each rule, and where there are more, all of them as a table."""
    told: Counter[str] = Counter()
    items = []
    for each in comparison.findings:
        told[each.rule] += 1
        if told[each.rule] <= _EACH:
            items.append(_item(each))
    blocks: list[Block] = [Items(tuple(items))] if items else []
    if len(items) < len(comparison.findings):
        rows = tuple(
            (
                Cell(each.rule, code=True),
                Cell(each.module or "", code=True),
                Cell(each.case or ""),
                Cell(each.message),
            )
            for each in comparison.findings
        )
        title = f"All {plural(len(rows), 'finding')}"
        columns = (Column("Rule"), Column("Module"), Column("Case"), Column("What breaks it"))
        table = Table("Every finding", columns, rows, filtered_by="findings")
        blocks.append(Details(title, (table,)))
    return blocks


def _item(finding: Finding) -> Item:
    """What the message does not name itself is told beside it."""
    known = (("module", finding.module), ("case", finding.case))
    facts = tuple((label, text) for label, text in known if text and text not in finding.message)
    return Item(f"fails {finding.rule}:", finding.message, "bad", facts=facts)


def rules(comparison: Comparison) -> Table | None:
    """Every rule with its outcome; None without any."""
    if not comparison.rules:
        return None
    rows = tuple(
        (
            Cell(rule.rule, code=True),
            Cell(rule.outcome, tone=_TONES[rule.outcome]),
            Cell(f"{rule.figures:,}", rule.figures),
            Cell(rule.reason or ""),
        )
        for rule in comparison.rules
    )
    columns = (
        Column("Rule"), Column("Outcome"), Column("Figures", right=True), Column("Remark"),
    )  # fmt: skip
    return Table("The rules, and how many figures each was held to", columns, rows)
