from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from render.comparison_hostile import HOSTILE, hostile
from render.comparison_pieces import change, comparison, measured, module
from render.comparisons import MAKERS, budgets, checked, profiled, same, widened
from rich.cells import cell_len

from blocktool.render.comparison_table import render
from blocktool.render.comparison_totals import chosen
from blocktool.render.shell import command
from blocktool.render.view import View
from blocktool.results.comparison import Finding, Mismatch, RuleOutcome, Statement

_CASES = {
    "comparison-widened-80.txt": ("widened", View(width=80)),
    "comparison-widened-140.txt": ("widened", View(width=140)),
    "comparison-widened-color-100.txt": ("widened", View(width=100, color=True)),
    "comparison-profiled-60.txt": ("profiled", View(width=60)),
    "comparison-profiled-80.txt": ("profiled", View(width=80)),
    "comparison-profiled-color-140.txt": ("profiled", View(width=140, color=True)),
    "comparison-checked-80.txt": ("checked", View(width=80)),
    "comparison-budgets-80.txt": ("budgets", View(width=80)),
    "comparison-hostile-100.txt": ("hostile", View(width=100)),
    "comparison-hostile-ascii-80.txt": ("hostile", View(width=80, unicode=False)),
}


@pytest.mark.parametrize("name", _CASES)
def test_snapshots(name: str, snapshot: Callable[[str, str], None]):
    made, view = _CASES[name]
    snapshot(name, render(MAKERS[made](), view))


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("expand", [True, False])
@pytest.mark.parametrize("name", MAKERS)
def test_only_what_is_copied_is_wider_than_asked(
    name: str, expand: bool, unicode: bool, width: int
):
    made = MAKERS[name]()
    lines = render(made, View(width=width, unicode=unicode, expand=expand)).splitlines()
    copied = [f"  {command(c.reproduce, unicode=unicode)}" for c in made.cases if c.reproduce]
    assert set(copied) <= set(lines)
    assert max(cell_len(line) for line in lines if line not in copied) <= width
    assert unicode or all(line.isascii() for line in lines)


@pytest.mark.parametrize("name", MAKERS)
def test_colour_changes_nothing_but_colour(name: str):
    plain, colored = (
        render(MAKERS[name](), View(width=100, color=color)) for color in (False, True)
    )
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert colored != plain


def test_nothing_changed_is_silent():
    assert render(same(), View()) == ""
    assert render(same(), View(expand=True)) == ""
    unsure = measured("latency_ms.p50", 1, 1, None, None, verdict="inconclusive")
    assert render(comparison(totals=(unsure,)), View()) != ""


def test_what_was_done_stands_first_and_then_what_it_breaks():
    lines = render(widened(), View(width=140)).splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == [
        "kernel_size (3",
        "BasicBlock added: layer4.2",
    ]
    assert lines[5:7] == [
        "",
        "fails macs:+1%: macs of the whole rose by 284.4% (1,814,073,344 -> 6,972,579,840), "
        "allowed is +1%",
    ]


def test_a_long_comparison_fits_a_screen_unless_all_is_asked_for():
    own = [module(f"layer1.{n}.conv1", (n, 3 * n), (n, 2 * n)) for n in range(1, 28)]
    follow = [each for each in widened().modules if each.verdict == "follows"]
    made = replace(widened(), modules=(*own, *follow))
    short = render(made, View(width=80)).splitlines()
    assert sum(line.startswith("changed  layer1.") for line in short) == 20
    assert "7 more modules; --all shows them" in short
    assert "14 modules follow: built as before, with other figures" in short
    everything = render(made, View(width=80, expand=True))
    assert "more modules" not in everything
    assert all(each.new_path in everything for each in made.modules if each.new_path)
    assert "Activations" in everything  # which is the same
    assert "Activations" not in "\n".join(short)


def test_modules_that_changed_alike_are_one_row_with_the_sums_of_all():
    short = render(widened(), View(width=140)).splitlines()
    (row,) = [line for line in short if line.startswith("changed  layer1.0.conv1")]
    assert row.split()[2:5] == ["and", "23", "more"]
    # 24 times 102,400 - 36,864 parameters, and 321,126,400 - 115,605,504 MACs.
    assert "+1.573 M" in row
    assert "+4.933 G" in row
    everything = render(widened(), View(width=140, expand=True))
    assert everything.count("+65.536 K") == 24


def test_statements_and_findings_are_cut_as_well():
    many = comparison(
        statements=tuple(Statement("dtype", f"statement {n}") for n in range(12)),
        findings=tuple(Finding(f"r{n}", "macs", 1, 2, 1.0, "more") for n in range(21)),
    )
    text = render(many, View())
    assert "4 more statements; --all shows them" in text
    assert "1 more finding; --all shows it" in text
    assert "more s" not in render(many, View(expand=True))


def test_of_many_figures_the_certain_and_large_are_kept_in_their_order():
    changes = [change("macs", 100, 100 + n) for n in (1, 50, 3)]
    unsure = measured("throughput", 1, 9, None, None, verdict="inconclusive")
    kept = chosen([unsure, *changes], 2)
    assert [each.new for each in kept] == [150, 103]
    assert chosen([unsure, *changes], 4) == [unsure, *changes]


def test_a_figure_of_no_case_is_not_taken_for_one_of_the_case_before():
    for width in (60, 80, 140):
        lines = render(profiled(), View(width=width)).splitlines()
        place = next(i for i, line in enumerate(lines) if "Largest batch" in line)
        assert set(lines[place - 1]) == {"─"}


def test_signs_say_without_colour_what_colour_says():
    text = render(profiled(), View(width=140, color=True))
    red, green = (
        {re.sub(r"\x1b\[[0-9;]*m", "", part).strip() for part in re.findall(pattern, text)}
        for pattern in (r"\x1b\[31m[^\x1b]*", r"\x1b\[32m[^\x1b]*")
    )
    assert {"+12.3%", "-11.0%", "12.3% slower (9.8% – 14.9%)", "11.0% lower (8.9% – 13.0%)"} <= red
    assert {"-10.0%", "10.0% faster (8.0% – 12.0%)", "25.0% less (24.0% – 26.0%)"} <= green


def test_measured_figures_that_are_the_same_say_to_within_what():
    text = render(replace(profiled(), threshold=0.025), View(width=140, expand=True))
    assert "the same to within 2.5%" in text
    short = render(profiled(), View(width=140))
    assert "2 figures are the same, measured ones to within 5%" in short


def test_columns_of_modules_are_those_that_differ():
    grown = module("a", (1, 3), (5, 5), effect=0.25)
    head, _, row = render(comparison(modules=(grown,)), View(width=80)).splitlines()[:3]
    assert head.split() == ["Module", "Params", "Effect"]
    assert row.split() == ["changed", "a", "+2", "25.0%"]


def test_a_measured_figure_of_a_module_that_is_the_same_shows_no_difference():
    slow = measured("total_ms", 1.0, 2.0, None, None, module="a")
    alike = measured("total_ms", 1.0, 1.01, -0.02, 0.02, module="b", verdict="same")
    rows = [
        replace(module(path, (1, 1), (1, 1)), metrics=(time,))
        for path, time in (("a", slow), ("b", alike))
    ]
    lines = render(comparison(modules=tuple(rows)), View(width=80)).splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["changed", "a", "+1.000", "ms"],
        ["changed", "b"],
    ]


def test_shapes_that_fail_are_told_with_their_command():
    lines = render(checked(), View(width=80)).splitlines()
    place = lines.index("2 cases fail now")
    assert lines[place + 3 : place + 6] == [
        "net.py:Net 1x16x33x33, eval (was passed)",
        "  wrong shape: expected 1x16x33x33, and 1x16x34x34 came out",
        f"  {checked().cases[4].reproduce}",
    ]


def test_decisive_differences_have_a_line_each():
    made = comparison(
        statements=(Statement("dtype", "a"),),
        mismatches=(
            Mismatch("device", "H100", "A100", decisive=True),
            Mismatch("torch", "2.12.0", "2.13.0", decisive=True),
            Mismatch("blocktool", "1", "2", decisive=False),
            Mismatch("python", "3.11", "3.12", decisive=False),
        ),
    )
    assert render(made, View()).splitlines()[2:5] == [
        "made differently: device H100 -> A100",
        "made differently: torch 2.12.0 -> 2.13.0",
        "blocktool, python also differ; no figure depends on it",
    ]
    assert "made differently: python 3.11 -> 3.12" in render(made, View(expand=True))


def test_rules_that_hold_are_counted_or_told_one_by_one():
    made = replace(widened(), findings=(), rules=(RuleOutcome("params:+90%", "passed", 1),) * 2)
    assert "2 rules hold\n" in render(made, View())
    assert "params:+90%" not in render(made, View())
    assert render(made, View(expand=True)).count("holds params:+90%") == 2


def test_a_rule_that_failed_is_told_even_without_a_finding():
    made = replace(same(), rules=(RuleOutcome("macs:0", "failed", 1, "broken"),))
    text = render(made, View())
    assert "fails macs:0: broken" in text
    assert "the rule fails" in text


def test_budgets_alone_tell_their_figures_though_all_hold():
    made = replace(budgets(), findings=(), rules=budgets().rules[:1])
    assert [line.split() for line in render(made, View()).splitlines()] == [
        ["Rule", "Held", "to"],
        ["─" * 29],
        ["macs<=5G", "holds", "MACs", "1.254", "G"],
        [],
        ["profile.json", "(timm:vit_tiny_patch16_224)"],
    ]


def test_names_are_never_markup_nor_control_characters():
    text = render(hostile(), View(width=140))
    assert "[red]a|b`c`\U0001f4a5<script>alert(1)</script>\ufffd[31m畳\ufffd%0A" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "\x1b" in HOSTILE
