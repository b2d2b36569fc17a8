"""What is on the page of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_headline as headlines
from blocktool.render import comparison_words as words
from blocktool.render.comparison_folded import Row
from blocktool.render.comparison_folded import rows as folded
from blocktool.render.html.comparison_charts import exact_chart, measured_chart
from blocktool.render.html.comparison_effects import effects_chart
from blocktool.render.html.comparison_gate import findings, rules
from blocktool.render.html.pieces import (
    Block,
    Cell,
    Column,
    Item,
    Items,
    Notes,
    Page,
    Prose,
    Table,
    Tone,
    sections,
)
from blocktool.render.html.words import versions
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.results.comparison import CaseChange, Comparison, MetricChange

_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "neutral": ""}
_FIRST = ("params", "macs", "elementwise_flops", "activation_bytes", "total_ms")
_FAILING = ("failed", "refuted", "not proved")


def page(comparison: Comparison, view: View) -> Page:
    """What was done and what breaks a rule, then figures, modules and cases."""
    failing = [case for case in comparison.cases if _fails_now(case)]
    others = [case for case in comparison.cases if not _fails_now(case)]
    new = comparison.new
    return Page(
        title=new.target or new.name,
        kind="Comparison" if comparison.old is not None else "Budgets",
        lines=(headlines.sides(comparison).replace(" -> ", " → "),),
        sections=sections(
            ("findings", "Findings", [*findings(comparison), rules(comparison)]),
            ("done", "What was done", [*_statements(comparison), *_remarks(comparison)]),
            ("failing", "What fails now", [_failing(failing)]),
            ("totals", "Figures of the whole", _totals(comparison)),
            ("measured", "Measured changes", [measured_chart(comparison)]),
            ("modules", "Modules by effect", _by_module(comparison, view)),
            ("cases", "Other outcomes", [_cases(others)]),
            ("made", "Where the reports were made", [_mismatches(comparison)]),
        ),
        versions=versions(new.environment),
        verdict=_verdict(comparison),
    )


def _verdict(comparison: Comparison) -> tuple[str, Tone]:
    text = headlines.headline(comparison)
    if words.broken(comparison):
        return text, "bad"
    held = words.rules_line(comparison)
    if held and held != text:
        text += f"; {held}"
    return text, "good" if words.silent(comparison) or comparison.old is None else ""


def _statements(comparison: Comparison) -> list[Block]:
    if comparison.statements:
        items = []
        for each in comparison.statements:
            text, where = words.statement(each)
            where = where.lstrip(",: ")  # it is made to follow the text on a line
            known = len(each.modules) > 3
            items.append(
                Item(text, f"– {where}" if where else "", modules=each.modules if known else ())
            )
        return [Items(tuple(items))]
    if comparison.old is None:
        return []
    return [Prose((f"{headlines.headline(comparison)}.",))]


def _remarks(comparison: Comparison) -> list[Block]:
    found: list[Block] = []
    if decisive := [each for each in comparison.mismatches if each.decisive]:
        items = tuple((words.mismatch_line(each), "") for each in decisive)
        found.append(Notes("The reports were made differently", items, "warn"))
    if comparison.notes:
        found.append(Notes("Notes", tuple((note, "") for note in comparison.notes)))
    return found


def _totals(comparison: Comparison) -> list[Block | None]:
    if not comparison.totals:
        return []
    several = any(change.case for change in comparison.totals)
    # Of exact figures the change says all.
    judged = any(each.lane == "measured" or each.reason for each in comparison.totals)
    rows = tuple(
        (
            Cell(figures.name(change.metric)),
            *((Cell(change.case or ""),) if several else ()),
            *_figures(change, comparison.threshold, judged=judged),
        )
        for change in comparison.totals
    )
    columns = [Column("Figure"), *((Column("Case"),) if several else ())]
    columns += [Column("Before", right=True), Column("After", right=True)]
    columns += [Column("Change", right=True), *((Column("Verdict"),) if judged else ())]
    table = Table("Every figure of the whole", tuple(columns), rows, filtered_by="figures")
    return [exact_chart(comparison), table]


def _figures(change: MetricChange, threshold: float, *, judged: bool) -> tuple[Cell, ...]:
    before, after = figures.before_and_after(change)
    told = figures.verdict(change, threshold)
    if change.reason and change.verdict != "same":
        told += f": {change.reason}"
    tone: Tone = "muted" if change.verdict == "same" else _TONES[figures.tone(change)]
    if change.verdict in ("inconclusive", "not compared"):
        tone = "warn"
    return (
        Cell(before, _number(change.old)),
        Cell(after, _number(change.new)),
        Cell((figures.change_text if judged else figures.change_or_verdict)(change),
             change.change, tone),
        *((Cell(told, tone=tone),) if judged else ()),
    )  # fmt: skip


def _number(value: float | int | str | None) -> float | None:
    return value if isinstance(value, int | float) else None


def _by_module(comparison: Comparison, view: View) -> list[Block | None]:
    """Those that changed alike are one, as in the table of the command."""
    if not comparison.modules:
        return []
    rows = tuple(map(_module, folded(comparison.modules, fold=not view.expand)))
    columns = (
        Column("Module"), Column("What"), Column("How"), Column("Figures"),
        Column("Effect", right=True),
    )  # fmt: skip
    table = Table("Modules that are not as they were", columns, rows, filtered_by="modules")
    return [effects_chart(comparison, expand=view.expand), table]


def _module(row: Row) -> tuple[Cell, ...]:
    change = row.shown
    return (
        Cell(words.where_all(row.all), code=True),
        Cell(change.verdict),
        Cell("; ".join(words.what(change))),
        Cell("; ".join(_differences(change.metrics))),
        Cell(figures.share(change.effect), change.effect),
    )


def _differences(metrics: Sequence[MetricChange]) -> list[str]:
    """``MACs +205.521 M`` of the figures that matter most, of the first others where none of those
    differs."""
    told = [(each.metric, text) for each in metrics if (text := figures.difference(each))]
    first = [pair for pair in told if pair[0] in _FIRST]
    return [f"{figures.name(metric)} {text}" for metric, text in first or told[:3]]


def _fails_now(case: CaseChange) -> bool:
    return case.new in _FAILING


def _failing(cases: list[CaseChange]) -> Items | None:
    if not cases:
        return None
    return Items(
        tuple(
            Item(
                case.target,
                f"{case.case} ({f'was {case.old}' if case.old else 'is new'})",
                "bad",
                facts=(("reason", case.reason),) if case.reason else (),
                command=command(case.reproduce) if case.reproduce else None,
            )
            for case in cases
        )
    )


def _cases(cases: list[CaseChange]) -> Table | None:
    if not cases:
        return None
    rows = tuple(
        (
            Cell(case.target),
            Cell(case.case),
            Cell(case.old or "not there"),
            Cell(case.new or "gone"),
            Cell(case.reason or ""),
        )
        for case in cases
    )
    columns = tuple(map(Column, ("Target", "Case", "Before", "After", "Reason")))
    return Table("Cases that end otherwise", columns, rows, filtered_by="cases")


def _mismatches(comparison: Comparison) -> Table | None:
    if not comparison.mismatches:
        return None
    rows = tuple(
        (
            Cell(each.name),
            Cell(each.old),
            Cell(each.new),
            Cell("yes" if each.decisive else "no", tone="warn" if each.decisive else ""),
        )
        for each in comparison.mismatches
    )
    columns = tuple(map(Column, ("What", "Before", "After", "Do figures depend on it?")))
    return Table("What differs between where the reports were made", columns, rows)
