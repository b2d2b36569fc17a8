"""What charts are made of: names, colours, limits and scales."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from render import comparisons, profiles
from render.comparison_pieces import change, comparison, measured, module
from render.profile_pieces import case, profile

from blocktool.render.html import comparison as comparison_page
from blocktool.render.html import marks, page, render
from blocktool.render.html.comparison_charts import exact_chart, measured_chart
from blocktool.render.html.memory import live_chart
from blocktool.render.html.page import in_script
from blocktool.render.html.pieces import Block, Chart, Page, Prose, Table
from blocktool.render.html.profile_roofline import roofline_chart
from blocktool.render.html.profile_samples import samples_chart
from blocktool.render.json import read, to_json
from blocktool.render.view import View
from blocktool.results.comparison import Comparison
from blocktool.results.profile import Profile, ProfileCase
from blocktool.results.roofline import Ceilings
from blocktool.results.summary import LiveBytes, PeakMemory

LIMITS = Ceilings("CPU", {"float32": 300.0}, 20.0, 1.0, "measured")


def blocks(made: Page, section: str) -> tuple[Block, ...]:
    return next(each.blocks for each in made.sections if each.id == section)


def looks(made: Comparison) -> dict[str, str]:
    """The word in the legend for each figure of the measured chart."""
    chart = measured_chart(made)
    assert chart is not None
    return {name: trace["name"] for trace in chart.figure["data"] for name in trace["y"]}


def test_a_measured_change_has_the_colour_of_what_it_is_worth():
    made = comparison(
        "profile",
        totals=(
            measured("latency_ms.p50", 10.0, 12.0, 0.1, 0.3),
            measured("throughput", 100.0, 80.0, -0.3, -0.1),
            measured("peak_bytes", 100, 80, -0.2, -0.2),
            measured("max_batch.batch", 10, 12, 0.2, 0.2),
        ),
    )
    assert looks(made) == {
        "Latency, median": "for the worse",
        "Throughput": "for the worse",
        "Peak bytes": "for the better",
        "Largest batch": "for the better",
    }
    # The counted chart says it in the same colours.
    counted = exact_chart(comparison(totals=(change("macs", 1, 2), change("params", 2, 1))))
    chart = measured_chart(made)
    assert counted is not None
    assert chart is not None
    found = [
        {trace["name"]: trace["marker"]["color"] for trace in each.figure["data"]}
        for each in (counted, chart)
    ]
    assert found[0] == found[1]


def test_cases_are_named_by_what_tells_them_apart_in_short_lines():
    chart = measured_chart(comparisons.profiled())
    assert chart is not None
    names = [name for trace in chart.figure["data"] for name in trace["y"]]
    assert "Latency, median<br>batch 8 · eager" in names
    assert max(len(line) for name in names for line in name.split("<br>")) <= 28
    assert "(float32 · inference)" in chart.told
    assert sorted(chart.figure["layout"]["yaxis"]["categoryarray"]) == sorted(names)


def test_long_names_of_cases_stay_places_of_their_own():
    labels = [f"batch 1 · {'size ' * 30}{n}{' more' * 30} · eager" for n in range(3)]
    made = comparison(
        "profile",
        totals=tuple(measured("throughput", 1.0, 2.0, 0.5, 1.5, case=each) for each in labels),
    )
    names = list(looks(made))
    assert len(names) == 3
    assert max(len(line) for name in names for line in name.split("<br>")) <= 32


def test_the_words_beside_intervals_are_those_of_the_rule():
    told = measured_chart(comparisons.profiled())
    assert told is not None
    assert "a change counts where its whole interval lies outside the stripe;" in told.told
    assert "of targets that were measured side by side" in told.told


def test_modules_that_changed_alike_are_one_row_and_one_bar():
    chart, table = blocks(comparison_page.page(comparisons.widened(), View()), "modules")
    assert isinstance(chart, Chart)
    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows] == [
        "layer1.0.conv1 and 23 more",
        "layer4.2",
        "aux",
        "layer0.0.bn1 and 13 more",
        "stem",
    ]
    bars = [name for trace in chart.figure["data"] for name in trace["y"]]
    assert "layer1.0.conv1 and 23 more" in bars
    _, every = blocks(comparison_page.page(comparisons.widened(), View(expand=True)), "modules")
    assert isinstance(every, Table)
    assert len(every.rows) == len(comparisons.widened().modules)


def test_one_kind_of_change_needs_no_chart():
    alike = tuple(module(f"a.{n}", (1, 2), (3, 4), effect=0.5) for n in range(4))
    (table,) = blocks(comparison_page.page(comparison(modules=alike), View()), "modules")
    assert isinstance(table, Table)
    assert len(table.rows) == 1


@pytest.mark.parametrize(("name", "judged"), [("widened", False), ("profiled", True)])
def test_exact_figures_need_no_verdict(name: str, judged: bool):
    made = comparison_page.page(comparisons.MAKERS[name](), View())
    (table,) = [each for each in blocks(made, "totals") if isinstance(each, Table)]
    assert ("Verdict" in [column.title for column in table.columns]) is judged
    assert {len(row) for row in table.rows} == {len(table.columns)}
    if not judged:
        assert "changed" in [row[-1].text for row in table.rows]  # of the dtype


def limits(made: Profile) -> tuple[list[str], list[str], str]:
    """Of the roofline: the limits that are drawn, the points of the table, and what is said."""
    chart = roofline_chart(made)
    assert isinstance(chart, Chart)
    assert isinstance(chart.data, Table)
    traces = chart.variants[0].figure["data"]
    drawn = [trace["name"] for trace in traces if trace["mode"] == "lines"]
    return drawn, [row[0].text for row in chart.data.rows], chart.variants[0].told


def test_a_roofline_has_the_limit_of_every_dtype_that_is_computed_in():
    both = replace(LIMITS, gflops={"float32": 300.0, "bfloat16": 900.0, "float64": 100.0})
    for cases in (
        (case(0), case(1, dtype="bfloat16")),
        (case(0), case(1, variant="fused+bf16")),
        (case(0), case(1, variant="amp-bf16")),
    ):
        drawn, points, told = limits(profile(*cases, ceilings=both))
        assert drawn == ["limit, float32", "limit, bfloat16"]
        assert len(points) == 2
        assert "left out" not in told


def test_points_without_a_known_limit_are_left_out_and_counted():
    drawn, points, told = limits(
        profile(case(0), case(1, variant="bf16"), case(2, dtype="float64"), ceilings=LIMITS)
    )
    assert drawn == ["limit, float32"]
    assert len(points) == 1
    assert told.endswith(
        "2 cases are left out: no limit of arithmetic in bfloat16 and float64 is known."
    )
    alone = roofline_chart(profile(case(0, dtype="bfloat16"), ceilings=LIMITS))
    assert isinstance(alone, Prose)
    assert alone.lines == ("1 case is left out: no limit of arithmetic in bfloat16 is known.",)


def test_the_other_half_precision_serves_as_in_the_figures():
    half = replace(LIMITS, gflops={"float16": 900.0})
    drawn, _, _ = limits(profile(case(0, dtype="bfloat16"), ceilings=half))
    assert drawn == ["limit, float16"]


def ticks_of(axis: dict[str, Any]) -> float:
    return float(axis.get("dtick", 0))


def test_between_few_operations_only_whole_ones_are_marked():
    def line(last: int) -> dict[str, Any]:
        ops = tuple(range(last + 1))
        live = LiveBytes(ops, ("",) * len(ops), {"parameters": (1,) * len(ops)}, {"forward": 0})
        memory = PeakMemory(1, "aten.mm", "", "forward", 1, 0, 0, 0, 0, 0, 0)
        axis: dict[str, Any] = live_chart(live, memory).variants[0].figure["layout"]["xaxis"]
        return axis

    assert ticks_of(line(3)) == 1
    assert ticks_of(line(400)) == 0  # as plotly likes: marks of 400 would be a wall
    few = case(0)
    assert few.latency_ms is not None
    few = replace(few, latency_ms=replace(few.latency_ms, samples=few.latency_ms.samples[:3]))
    chart = samples_chart(profile(few))
    assert chart is not None
    layout = chart.variants[0].figure["layout"]
    assert ticks_of(layout["xaxis"]) == ticks_of(layout["xaxis2"]) == 1


def test_a_logarithmic_axis_is_finite_whatever_stands_on_it():
    for low, high in ((1e-323, 1e308), (0.1, math.inf), (1.0, 1.0)):
        axis = marks.log_axis("rate", low, high)
        assert all(map(math.isfinite, axis["range"] + axis["tickvals"]))
        assert len(axis["tickvals"]) < 1000


def test_what_is_no_number_is_not_drawn():
    assert json.loads(in_script([math.inf, -math.inf, math.nan, 1.5])) == [None, None, None, 1.5]


def rates(made: ProfileCase) -> Iterator[ProfileCase]:
    yield replace(made, gflops=1e308)
    yield replace(made, gbps=1e308)
    yield replace(made, throughput=1e308)
    yield replace(made, precision=1e308)
    yield replace(made, macs=10**30, moved_bytes=1)
    yield replace(made, macs=1, moved_bytes=10**30)


@pytest.mark.parametrize("place", range(6))
def test_absurd_rates_do_not_break_a_page(place: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "plotly_script", lambda: "window.Plotly = {};")
    made = profiles.by_module()
    broken = list(rates(made.cases[0]))[place]
    report = read(to_json(replace(made, cases=(broken, *made.cases[1:]))), Profile)
    assert "</html>" in render(report, View())
    rich = replace(LIMITS, gflops={"float32": 1e308}, gbps=1e-308)
    assert "</html>" in render(replace(report, ceilings=rich), View())
