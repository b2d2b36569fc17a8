"""The second opinion, in the formats that people read and in those that programs do."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from blocktool.analysis.summary import summarize_trace
from blocktool.render import json as report
from blocktool.render import summary_csv, summary_markdown, summary_table
from blocktool.render.styled import width_of
from blocktool.render.summary_cross_check import steps, verdict, where
from blocktool.render.view import View
from blocktool.results.cross_check import Cause, CrossCheck, ModuleDifference
from blocktool.results.summary import Summary
from blocktool.trace.tracer import trace


def some(cause: str, *figures: int) -> Cause:
    modules = tuple(ModuleDifference(f"blocks.{i}[red]", f, 1) for i, f in enumerate(figures))
    return Cause(cause, sum(figures), f"fvcore has its reasons for {cause}", modules)


EXPLAINED = CrossCheck(
    "fvcore",
    "0.1.5",
    ours=1_001_000,
    theirs=990_500,
    difference=10_500,
    causes=(some("attention", 3_000, 4_000, 2_000, 1_000, 2_000), some("layer_norm", -1_500)),
)
UNEXPLAINED = replace(
    EXPLAINED,
    ours=1_000_993,
    difference=10_493,
    unexplained=-7,
    unexplained_modules=(ModuleDifference("", -7, 2),),
)
SAME = CrossCheck("fvcore", "0.1.5", 1000, 1000, 0)
NONE = CrossCheck("fvcore", "", 1000, None, None, unavailable="fvcore needs real tensors")


@pytest.fixture(scope="module")
def summary() -> Summary:
    with torch.device("meta"):
        return summarize_trace(trace(nn.Linear(4, 4), (2, 4)))


@pytest.mark.parametrize("check", [EXPLAINED, UNEXPLAINED])
def test_the_steps_lead_from_their_figure_to_ours(check: CrossCheck) -> None:
    theirs, *between, ours = (int(step.macs.replace(",", "")) for step in steps(check))
    assert theirs + sum(between) == ours == check.ours


@pytest.mark.parametrize("check", [SAME, NONE])
def test_there_are_no_steps_where_nothing_differs(check: CrossCheck) -> None:
    assert list(steps(check)) == []


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (EXPLAINED, "fvcore 0.1.5 counts otherwise; every difference is explained"),
        (UNEXPLAINED, "fvcore 0.1.5 counts otherwise, and not all of the difference is explained"),
        (SAME, "fvcore 0.1.5 counts the same: 1,000 MACs in the forward"),
        (NONE, "no second count: fvcore needs real tensors"),
    ],
)
def test_the_verdict(check: CrossCheck, sentence: str) -> None:
    assert verdict(check) == sentence


def test_unexplained_parts_that_cancel_are_not_passed_over() -> None:
    parts = (ModuleDifference("a", 5, 1), ModuleDifference("b", -5, 1))
    check = replace(SAME, unexplained_modules=parts)
    assert "not all" in verdict(check)
    assert [step.modules for step in steps(check)][1] == parts


def test_where_names_the_weightiest_modules() -> None:
    assert where(EXPLAINED.causes[0].modules) == (
        "in 5 modules: blocks.1[red], blocks.0[red], blocks.2[red] and 2 more"
    )
    assert where(EXPLAINED.causes[1].modules) == "in blocks.0[red]"
    assert where(UNEXPLAINED.unexplained_modules) == "in the module itself"


TABLE = """\
Cross-check: fvcore 0.1.5 counts otherwise, and not all of the difference is
explained
MACs by fvcore    990,500  the forward, in eval mode
attention         +12,000  fvcore has its reasons for attention; in 5 modules:
                           blocks.1[red], blocks.0[red], blocks.2[red] and 2
                           more
layer_norm         -1,500  fvcore has its reasons for layer_norm; in
                           blocks.0[red]
unexplained            -7  counted by one tool alone, for no reason known here;
                           in the module itself
MACs here       1,000,993  the forward
"""


def test_the_table(summary: Summary) -> None:
    text = summary_table.render(replace(summary, cross_check=UNEXPLAINED), View(width=80))
    assert TABLE in text
    assert "Cross-check" not in summary_table.render(summary, View(width=80))


def test_the_table_expanded_gives_each_module_its_figure(summary: Summary) -> None:
    view = View(width=80, expand=True, unicode=False)
    text = summary_table.render(replace(summary, cross_check=EXPLAINED), view)
    assert "; in 5 modules:\n                   +3,000  blocks.0[red]\n" in text
    assert text.isascii()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits(summary: Summary, width: int) -> None:
    text = summary_table.render(replace(summary, cross_check=UNEXPLAINED), View(width=width))
    block = text[text.index("Cross-check") : text.index("MACs here")]
    assert max(map(width_of, block.splitlines())) <= width


def test_markdown(summary: Summary) -> None:
    text = summary_markdown.render(replace(summary, cross_check=EXPLAINED), View())
    assert "**Cross-check:** fvcore 0.1.5 counts otherwise; every difference is explained" in text
    assert (
        "|  | MACs | Why | Where |\n| :-- | --: | :-- | :-- |\n"
        "| MACs by fvcore | 990,500 | the forward, in eval mode |  |\n"
    ) in text
    assert "| layer\\_norm | -1,500 | fvcore has its reasons for layer\\_norm | in bl" in text
    told = summary_markdown.render(replace(summary, cross_check=NONE), View())
    assert "**Cross-check:** no second count: fvcore needs real tensors\n" in told


@pytest.mark.parametrize("check", [EXPLAINED, UNEXPLAINED, SAME, NONE])
def test_json_there_and_back(summary: Summary, check: CrossCheck) -> None:
    whole = replace(summary, cross_check=check)
    text = report.to_json(whole)
    assert report.read_summary(text) == whole
    found = json.loads(text)["cross_check"]
    assert found["ours"] == check.ours
    assert [cause["name"] for cause in found["causes"]] == [cause.name for cause in check.causes]


def test_json_gives_each_cause_a_line(summary: Summary) -> None:
    lines = report.to_json(replace(summary, cross_check=EXPLAINED)).splitlines()
    assert sum('"name": "attention"' in line for line in lines) == 1
    assert '    "difference": 10500,' in lines


@pytest.mark.parametrize("change", [lambda s: s, lambda s: replace(s, cross_check=EXPLAINED)])
def test_csv_stays_one_table_of_modules(
    summary: Summary, change: Callable[[Summary], Summary]
) -> None:
    rows = list(csv.reader(summary_csv.render(change(summary), View()).splitlines()))
    assert len(rows) == 2
    assert len(rows[0]) == len(rows[1])
