"""Modules as icicle and as table: what they show adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from render import profiles, summaries
from render.summaries import row, summary

from blocktool.render.html import profile as profile_page
from blocktool.render.html import summary as summary_page
from blocktool.render.html import tree
from blocktool.render.html.pieces import Chart, Details, TreeTable
from blocktool.render.view import View
from blocktool.results.summary import Summary


def chart_of(made: Summary, view: View | None = None, rows: int = tree.MOST_ROWS) -> Chart:
    page = summary_page.page(made, view or View(), rows)
    (block,) = next(each.blocks for each in page.sections if each.id == "modules")
    assert isinstance(block, Chart)
    return block


def sums(chart: Chart, variant: int) -> list[float]:
    """What each part of the icicle amounts to: its own and what lies in it, as plotly adds it."""
    trace = chart.figure["data"][0]
    own = list(chart.variants[variant].figure["data"][0]["values"])
    for place in range(len(own) - 1, 0, -1):
        own[int(trace["parents"][place])] += own[place]
    return own


def test_parts_add_up_to_the_figures_of_the_report():
    made = summaries.backbone()
    chart = chart_of(made, View(expand=True))
    trace = chart.figure["data"][0]
    assert len(trace["labels"]) == len(made.modules)
    assert [each.name for each in chart.variants] == [
        *("Parameters", "MACs", "Elementwise FLOPs", "Activations", "Bytes moved"),
    ]
    assert sums(chart, 0) == [each.params for each in made.modules]
    assert sums(chart, 1) == [each.macs for each in made.modules]


def test_repeated_modules_are_one_part_unless_expanded():
    labels = chart_of(summaries.backbone()).figure["data"][0]["labels"]
    assert "1-4 ×4" in labels
    assert "3" not in labels
    table = chart_of(summaries.backbone()).data
    assert isinstance(table, TreeTable)
    assert "stage.3.conv2" in [each.path for each in table.rows]


def test_parameters_that_are_shared_do_not_exceed_the_whole():
    made = summary([row("", "Net", params=100), row("a", params=100), row("b", params=100)])
    chart = chart_of(made)
    assert chart.figure["data"][0]["branchvalues"] == "remainder"
    assert chart.variants[0].figure["data"][0]["values"] == [0, 100, 100]
    assert chart.variants[0].figure["data"][0]["customdata"][0][1] == "100%"


def test_a_module_without_figures_has_a_table_alone():
    page = summary_page.page(summary([row("", "Identity")]), View())
    (block,) = next(each.blocks for each in page.sections if each.id == "modules")
    assert isinstance(block, TreeTable)


def test_levels_are_left_out_before_a_page_grows_too_large():
    table = chart_of(summaries.backbone(), rows=8).data
    assert isinstance(table, TreeTable)
    assert len(table.rows) == 5
    assert "1 of 3 levels; -f csv has all" in table.caption
    assert not any(each.parent for each in table.rows[1:])


def test_of_a_flat_module_with_too_many_others_the_first_are_shown():
    rows = [row("", "Net", params=1000), *(row(f"m{n}", params=10) for n in range(100))]
    chart = chart_of(summary(rows), View(expand=True), rows=20)
    table = chart.data
    assert isinstance(table, TreeTable)
    assert len(table.rows) == len(chart.figure["data"][0]["labels"]) == 20
    assert "(19 of 100 modules; -f csv has all)" in table.caption
    # What is left out still counts in the whole.
    assert sums(chart, 0)[0] == 1000
    assert chart.variants[0].figure["data"][0]["values"][:2] == [810, 10]


def test_cases_share_the_rows_of_a_page():
    made = profiles.by_module()
    several = replace(made, cases=tuple(replace(made.cases[0], index=n) for n in range(3)))
    page = profile_page.page(several, View(), 30)
    shown = next(each.blocks for each in page.sections if each.id == "modules")
    charts = [shown[0], *(each.blocks[0] for each in shown if isinstance(each, Details))]
    sizes = [len(each.data.rows) for each in charts if isinstance(each, Chart) and each.data]
    assert len(sizes) == 3
    assert max(sizes) <= 10


def test_the_depth_asked_for_is_drawn():
    assert chart_of(summaries.backbone(), View(depth=1)).figure["data"][0]["maxdepth"] == 2
    assert chart_of(summaries.backbone(), View(depth=9)).figure["data"][0]["maxdepth"] == 4


def test_a_name_that_plotly_would_read_as_a_tag_is_escaped():
    made = summaries.backbone()
    rows = [replace(each, path=each.path.replace("stem", "<b>stem")) for each in made.modules]
    labels = chart_of(replace(made, modules=tuple(rows))).figure["data"][0]["labels"]
    assert "&lt;b&gt;stem" in labels


def test_times_of_modules_are_those_of_the_report():
    made = profiles.by_module()
    page = profile_page.page(made, View(expand=True))
    chart = next(each.blocks[0] for each in page.sections if each.id == "modules")
    assert isinstance(chart, Chart)
    times = made.cases[0].modules
    assert times is not None
    added = sums(chart, 0)
    assert added == pytest.approx([each.total_ms for each in times.rows])
    assert "Time: 100.0 ms in all" in chart.variants[0].told
