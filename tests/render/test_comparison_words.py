from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from render.comparison_pieces import change, comparison, measured, module
from render.comparisons import MAKERS, budgets, checked, profiled, same, widened

from blocktool.render import comparison_outcomes as outcomes
from blocktool.render import comparison_words as words
from blocktool.render.comparison_headline import headline, sides
from blocktool.render.comparison_held import held_to
from blocktool.results.comparison import CaseChange, Finding, RuleOutcome, Statement


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Statement("dtype", "all is bfloat16"), "all is bfloat16"),
        (Statement("configured", "k 3 -> 5", ("a.b",)), "k 3 -> 5: a.b"),
        (Statement("configured", "k 3 -> 5", ("",)), "k 3 -> 5: (root)"),
        (Statement("configured", "k 3 -> 5", ("a", "b")), "k 3 -> 5 in 2 modules: a, b"),
        (
            Statement("configured", "k 3 -> 5", ("a", "b", "c", "d")),
            "k 3 -> 5 in 4 modules: a, b, c, ...",
        ),
        (Statement("added", "stem.conv added", ("stem.conv",)), "stem.conv added"),
        (Statement("added", "stem.conv added", ("stem",)), "stem.conv added: stem"),
        (Statement("added", "conv added", ("a",)), "conv added: a"),
        (Statement("added", "added Block", ("a.1", "a.2")), "added Block, 2 times: a.1, a.2"),
    ],
)
def test_statements_name_their_modules_once(made: Statement, told: str):
    assert words.statement_line(made) == told


def test_a_statement_can_name_them_all():
    paths = tuple(f"m{n}" for n in range(12))
    told = "".join(words.statement(Statement("dtype", "cast", paths), None, str.upper))
    assert told == f"cast in 12 modules: {', '.join(paths).upper()}"


def test_what_became_of_a_module():
    moved = module("b", (1, 1), (1, 1), old_path="a", old_type="Conv2d", new_type="Linear")
    moved = replace(moved, metrics=(change("output_shapes", "1x3", "1x4"),))
    assert words.where(moved) == "b"
    assert words.what(moved) == ["was a", "Output shapes 1x3 -> 1x4"]
    # The details have another class already: it is told once.
    replaced = replace(moved, details=("Conv2d -> Linear",))
    assert words.what(replaced) == ["was a", "Conv2d -> Linear"]
    gone = module("a", (1, None), (1, None), new_path=None, new_type=None, modules=3)
    assert (words.where(gone), words.what(gone)) == ("a", ["Conv2d", "3 modules"])


def test_modules_are_counted_by_what_became_of_them():
    own = widened().modules
    assert words.modules_line(own) == "24 modules changed, 1 added, 1 removed, 1 renamed"
    assert words.modules_line([each for each in own if each.verdict == "follows"]) == ""
    assert words.modules_line(own[:1]) == "1 module added"


@pytest.mark.parametrize(
    ("failed", "passed", "skipped", "told"),
    [
        (0, 0, 0, ""),
        (0, 1, 0, "1 rule holds"),
        (0, 3, 0, "3 rules hold"),
        (0, 3, 2, "3 rules hold, 2 are skipped"),
        (1, 3, 1, "1 of 5 rules fails, 1 is skipped"),
        (2, 0, 0, "2 of 2 rules fail"),
    ],
)
def test_rules_are_counted(failed: int, passed: int, skipped: int, told: str):
    kinds = ["failed"] * failed + ["passed"] * passed + ["skipped"] * skipped
    rules = tuple(RuleOutcome(f"r{n}", kind, 1) for n, kind in enumerate(kinds))  # type: ignore[arg-type]
    assert words.rules_line(comparison(rules=rules)) == told


def test_only_what_is_alike_on_both_sides_and_breaks_no_rule_is_silent():
    assert words.silent(same())
    assert words.silent(comparison(rules=(RuleOutcome("a", "skipped", 0, "b"),), notes=("c",)))
    assert not any(words.silent(make()) for make in MAKERS.values())
    assert not words.silent(comparison(old=None))
    assert not words.silent(replace(same(), findings=(Finding("a", "b", 1, 1, 0, "c"),)))
    assert not words.silent(replace(same(), rules=(RuleOutcome("macs:0", "failed", 1),)))
    unsure = measured("latency_ms.p50", 1, 1, None, None, verdict="inconclusive")
    assert not words.silent(comparison(totals=(unsure,)))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (same(), "No change"),
        (widened(), "2 of 4 rules fail, 1 is skipped"),
        (replace(widened(), findings=(), rules=()), "Parameters +49.5%, MACs +284.4%, "),
        (profiled(), "Latency, median up to +12.3%, Throughput -11.0%, Peak bytes -25.0%"),
        (checked(), "2 cases fail now, 1 case passes now"),
        (budgets(), "1 of 4 rules fails, 1 is skipped"),
        (comparison(statements=(Statement("renamed", "a"),)), "Changed"),
        (
            comparison(statements=(Statement("renamed", "a"),), totals=(change("macs", 1, 1),)),
            "Changed, at the same cost",
        ),
        (
            comparison(totals=(measured("a", 1, 1, None, None, verdict="inconclusive"),) * 3),
            "3 figures inconclusive",
        ),
        (comparison(totals=(change("read_bytes", 2, 3),)), "Bytes read +50.0%"),
    ],
)
def test_headlines(made: Any, told: str):
    assert headline(made).startswith(told)


def test_cases_have_in_common_what_all_of_them_say():
    common, apart = words.cases_apart(["batch 1 · float32 · eager", "batch 8 · float32 · eager"])
    assert common == "float32 · eager"
    assert list(apart.values()) == ["batch 1", "batch 8"]
    assert words.cases_apart(["batch 1 · eager"]) == ("batch 1 · eager", {"batch 1 · eager": ""})


def test_failures_of_shapes_come_first():
    groups = dict(outcomes.groups(checked().cases))
    assert list(groups) == [*("fail now", "pass now", "ended otherwise", "are gone", "are new")]
    assert [each.new for each in groups["fail now"]] == ["not proved", "failed"]
    new = CaseChange("net", "1x1", None, "failed")
    assert [heading for heading, _ in outcomes.groups([new])] == ["fail now"]
    assert outcomes.heading_line("are gone", 1) == "1 case is gone"
    assert outcomes.heading_line("fail now", 2) == "2 cases fail now"


def test_reasons_are_told_once():
    assert words.reasons(words.told_figures(profiled())[0]) == [
        "inconclusive (2 figures): between -2.1% and +9.0%; measure with more --processes",
        "not compared: threads differ",
    ]


def test_details_of_other_figures_are_left_out_while_there_are_others():
    parts = [change(f"operations.aten.{op}", 1, 2) for op in ("add", "mul")]
    parts += [measured(f"latency_ms.{p}", 1, 2, None, None) for p in ("p5", "p95")]
    whole = [change("operations", 2, 4), measured("latency_ms.p50", 1, 2, None, None)]
    made = comparison(totals=(*parts, change("macs", 1, 1), *whole))
    assert words.told_figures(made) == (whole, 4)
    assert words.told_figures(comparison(totals=tuple(parts))) == (parts, 0)


def test_what_a_budget_was_held_to():
    made = budgets()
    assert [held_to(rule, made) for rule in made.rules] == [
        "MACs 1.254 G",
        "Latency, median 9.100 ms to 18.30 ms",
        "12 figures",
        "",
    ]
    # A rule about modules is not about the whole, though its metric is the same.
    assert held_to(RuleOutcome("*.attn:macs<=2G", "passed", 1), made) == "1 figure"
    assert held_to(RuleOutcome("macs_of_it<=2G", "passed", 1), made) == "1 figure"
    one = RuleOutcome("latency_ms.p50 [ batch=8 ] <= 20ms", "passed", 1)
    assert held_to(one, made) == "Latency, median 18.30 ms"
    for other in ("latency_ms.p50[batch=8]:+5%", "of another < release <= 5"):
        assert held_to(RuleOutcome(other, "passed", 1), made) == "1 figure"
    text = comparison(old=None, totals=(change("param_dtype", None, "float32"),))
    rule = RuleOutcome("param_dtype==float32", "passed", 1)
    assert held_to(rule, text) == "Parameter dtype float32"


def test_a_budget_that_fails_for_a_missing_case_says_so():
    cases = ("batch 1 · float32 · inference · eager", "batch 8 · float32 · inference · eager")
    ran, failed = (
        change("latency_ms.p50", 9.0, new, case=each)
        for new, each in zip((9.1, None), cases, strict=True)
    )
    both = RuleOutcome("latency_ms.p50<=15ms", "failed", 2)
    told = "Latency, median 9.100 ms, 1 missing"
    assert held_to(both, comparison(totals=(ran, failed))) == told
    one = RuleOutcome("latency_ms.p50[batch=8]<=15ms", "failed", 1)
    assert held_to(one, comparison(totals=(ran, failed))) == "Latency, median missing"


def test_what_was_compared():
    assert sides(widened()) == "torchvision:resnet18: baseline.json -> pr.json"
    assert sides(budgets()) == "profile.json (timm:vit_tiny_patch16_224)"
