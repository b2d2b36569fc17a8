"""CSV, Markdown and GitHub's workflow commands, each read as its reader would."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from render.comparison_hostile import HOSTILE, LONG, hostile
from render.comparison_pieces import change, comparison, module
from render.comparisons import MAKERS, budgets, checked, profiled, same, widened
from render.readers import Page, read_command

from blocktool.render import comparison_csv, comparison_github, comparison_markdown
from blocktool.render.formats import formats_of, renderer
from blocktool.render.view import View
from blocktool.results.comparison import (
    CaseChange,
    Comparison,
    Finding,
    Mismatch,
    RuleOutcome,
    Statement,
)

_SEEN = HOSTILE.replace("\x1b", "\ufffd").replace("\n", "\ufffd")


def test_every_format_is_there():
    for name in ("table", "json", "csv", "markdown", "junit", "github"):
        assert name in formats_of("comparison")
        assert "layer4.2" in renderer("comparison", name)(widened(), View())


@pytest.mark.parametrize("name", MAKERS)
def test_markdown(name: str, snapshot: Callable[[str, str], None]):
    snapshot(f"comparison-{name}.md", comparison_markdown.render(MAKERS[name](), View()))


def _page(made: Comparison) -> Page:
    return Page(comparison_markdown.render(made, View()))


def test_markdown_of_no_change_is_one_line_below_the_marker():
    marker = "<!-- blocktool compare -->\n"
    assert comparison_markdown.render(same(), View()) == f"{marker}No change.\n"
    for make in MAKERS.values():
        assert comparison_markdown.render(make(), View()).startswith(f"{marker}### ")


@pytest.mark.parametrize("make", MAKERS.values())
def test_markdown_holds_no_markup_but_ours(make: Callable[[], Comparison]):
    page, made = _page(make()), make()
    ours = {"h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre"}
    ours |= {"details", "summary", "strong", "br", "sub", "blockquote"}
    assert set(page.tags) <= ours
    assert page.links == []
    assert page.tags.count("li") == len(made.findings) + len(made.statements)
    assert page.tags.count("h3") == 1
    told = [each for each in made.totals if not each.metric.startswith("phases_ms.")]
    totals = sum(each.verdict != "same" for each in told) if made.old else 0
    own = [each for each in made.modules if each.verdict != "follows"]
    alike = {(each.verdict, each.details, each.new_type, each.metrics[0].new) for each in own}
    rows = totals + len(alike) + len(made.rules) + len(made.cases)
    assert page.tags.count("tr") == rows + page.tags.count("table")


def test_markdown_shows_names_as_they_are_and_calls_nobody():
    page = _page(hostile())
    # In running text a space without width keeps GitHub from making a link of it.
    assert _SEEN in page.text.replace("\u200b", "")
    assert page.text.startswith("\n1 of 2 rules fails, 1 is skipped")
    tricky = "@octocat #12 https://a.b www.a.b &lt;b&gt; ~~x~~ $y$ _z_ <b> [a](b)"
    markdown = comparison_markdown.render(
        comparison(statements=(Statement("dtype", tricky),)), View()
    )
    assert tricky in Page(markdown).text.replace("\u200b", "")
    for link in ("@o", "#1", "www.", "https:"):
        assert link not in markdown.replace("\\", "")
    assert r"\~\~x\~\~ \$y\$" in markdown


def test_markdown_puts_the_verdict_and_what_breaks_on_top():
    text = comparison_markdown.render(widened(), View())
    order = ["### 2 of 4 rules fail", "**fails** `macs:+1%`", "What was done", "| Parameters |"]
    order += ["<details><summary>24 modules changed", "<details open><summary>2 of 4 rules"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def _huge(rows: int) -> Comparison:
    worst = "@" * 400
    return comparison(
        "check-shapes",
        statements=tuple(Statement("dtype", f"{n} {worst}", (LONG,) * 9) for n in range(rows)),
        totals=tuple(change(f"{worst}{n}", 1, 2, case=f"{worst}{n}") for n in range(rows)),
        modules=tuple(
            module(f"{n}.{worst}", (1, 2 + n), (1, 2), details=(worst,) * 9, effect=0.5)
            for n in range(rows)
        ),
        findings=tuple(Finding(f"{n}{worst}", "a", 1, 2, 1.0, worst) for n in range(rows)),
        rules=tuple(RuleOutcome(f"{n}{worst}", "skipped", 1, worst) for n in range(rows)),
        cases=tuple(
            CaseChange(worst, f"{n}{worst}", "passed", outcome, worst, f"echo {worst * 9}")
            for n in range(rows)
            for outcome in ("failed", None, "skipped")
        ),
        mismatches=(Mismatch(worst, worst, worst, decisive=True),) * rows,
        notes=(worst,) * rows,
    )


def test_markdown_is_never_longer_than_github_takes():
    modules = (module(f"m{n}", (n, 3 * n), (n, 2 * n)) for n in range(1, 8000))
    thousand = replace(widened(), modules=tuple(modules))
    text = comparison_markdown.render(thousand, View())
    assert len(text) <= 60_000
    assert "more modules: `-f json` has them" in text
    assert len(comparison_markdown.render(_huge(1), View())) > 8_000
    worst = comparison_markdown.render(_huge(200), View())
    assert len(worst.encode()) <= 60_000
    assert worst.count("<details") == worst.count("</details>")
    for line in ("198 more findings", "198 more modules", "198 more cases"):
        assert line in worst


def _commands(made: Comparison) -> list[tuple[str, dict[str, str], str]]:
    return [read_command(line) for line in comparison_github.render(made, View()).splitlines()]


def test_github_says_nothing_where_nothing_changed():
    assert comparison_github.render(same(), View()) == ""


def test_github_has_an_error_for_each_finding_a_warning_for_each_doubt_and_a_notice():
    made = _commands(widened())
    assert [name for name, _, _ in made] == ["error", "error", "warning", "notice"]
    assert made[0][1] == {"title": "blocktool: fails macs:+1%"}
    assert made[0][2] == widened().findings[0].message
    assert made[2][2] == "no module matches head.*"
    lines = made[3][2].splitlines()
    assert lines[0].startswith("kernel_size (3, 3) -> (5, 5) in 24 modules: layer1.0.conv1, ")
    assert "Parameters: 11.690 M -> 17.471 M, 49.5% more" in lines
    assert lines[-2:] == [
        "torchvision:resnet18: baseline.json -> pr.json",
        "2 of 4 rules fail, 1 is skipped",
    ]
    doubts = [(name, text) for name, _, text in _commands(profiled()) if name == "warning"]
    assert [text for _, text in doubts] == [
        "inconclusive in 2 of 4 cases",
        "inconclusive: 1 process on each side",
        "made differently: threads 2 -> 16",
    ]


def test_github_tells_budgets_that_hold():
    error, warning, notice = _commands(budgets())
    assert (error[0], warning[0]) == ("error", "warning")
    assert notice[2].splitlines()[:2] == [
        "holds macs<=5G (MACs 1.254 G)",
        "holds *.attn:macs<=200M (12 figures)",
    ]


def test_github_shows_ten_annotations_so_the_tenth_has_the_rest():
    many = tuple(Finding(f"rule {n}", "macs", 1, 2, 1.0, f"more {n}") for n in range(25))
    errors = [each for each in _commands(comparison(findings=many)) if each[0] == "error"]
    assert len(errors) == 10
    assert errors[-1][1] == {"title": "blocktool: 16 more"}
    assert errors[-1][2].splitlines()[-1] == "fails rule 24: more 24"


def test_github_commands_cannot_be_forged():
    text = comparison_github.render(hostile(), View())
    names = [read_command(line)[0] for line in text.splitlines()]
    assert names == ["error", "warning", "warning", "notice"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    _, properties, message = _commands(hostile())[0]
    assert properties == {"title": f"blocktool: fails {_SEEN}"}
    assert message == _SEEN


def _rows(made: Comparison) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(comparison_csv.render(made, View()))))


def test_csv_has_a_row_for_each_figure():
    made = widened()
    rows = _rows(made)
    assert list(rows[0]) == [
        *("level", "module", "case", "metric", "lane", "old", "new", "change", "low", "high"),
        *("verdict", "reason"),
    ]
    levels = Counter(row["level"] for row in rows)
    assert levels == {"total": len(made.totals), "module": 4 * len(made.modules)}
    macs = next(row for row in rows if row["metric"] == "macs")
    assert (macs["old"], macs["new"]) == ("1814073344", "6972579840")
    assert float(macs["change"]) == pytest.approx(6_972_579_840 / 1_814_073_344 - 1, rel=1e-5)
    renamed = next(row for row in rows if row["verdict"] == "renamed")
    assert (renamed["module"], renamed["old"], renamed["new"]) == ("stem", "conv1", "stem")
    added = next(row for row in rows if row["module"] == "layer4.2" and row["metric"] == "params")
    assert (added["old"], added["new"], added["verdict"]) == ("", "4720640", "added")


def test_csv_of_measured_figures_has_their_bounds():
    rows = _rows(profiled())
    slower = next(row for row in rows if row["old"] == "10" and row["lane"] == "measured")
    assert (slower["metric"], slower["new"], slower["verdict"]) == (
        *("latency_ms.p50", "11.23", "increased"),
    )
    assert (slower["low"], slower["high"]) == ("0.098", "0.149")
    assert slower["case"] == "batch 8 · float32 · inference · eager"
    assert _rows(same())[0]["verdict"] == "same"


def test_csv_has_the_cases_and_quotes_what_needs_it():
    cases = [row for row in _rows(checked()) if row["level"] == "case"]
    assert [(row["old"], row["new"]) for row in cases[-2:]] == [
        ("passed", "failed"),
        ("", "passed"),
    ]
    assert cases[0]["case"] == "net.py:Net, 1x16x9x9, train"
    names = {row["module"] for row in _rows(hostile())}
    assert {HOSTILE, LONG} <= names
