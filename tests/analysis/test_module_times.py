"""From intervals to the table of modules, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from render.summaries import row, summary

from blocktool.analysis.module_times import RunTimes, times_by_module
from blocktool.results.profile import ModuleTimes
from blocktool.results.summary import PhaseTotals

TYPES = {
    "": "Net",
    "stem": "Conv2d",
    "stages": "ModuleList",
    "stages.0": "Block",
    "stages.0.fc": "Linear",
    "stages.1": "Block",
    "head": "Linear",
}
RUN = RunTimes(
    whole_ms=20.0,
    own_ms={"": 2.0, "head": 1.0, "stages.0.fc": 4.0, "stages.0": 3.0, "stages.1": 6.0},
    backward_ms={"stages.0.fc": 2.5, "head": 0.5},
    calls={"": 1, "head": 1, "stages.0": 1, "stages.0.fc": 2, "stages.1": 1},
    callers=frozenset({"", "stages.0"}),
)
SUMMARY = summary(
    [
        row("", "Net", macs=9_000_000, read=600, written=300),
        row("stages.0", "Block", macs=7_000_000, read=400_000, written=300_000),
        row("head", macs=2_000_000),
    ]
)


def table(*runs: RunTimes) -> ModuleTimes:
    return times_by_module(runs, TYPES, SUMMARY, 10.0, ("a note",))


def test_totals_add_up_by_path_in_the_order_of_registration() -> None:
    times = table(RUN)
    assert [(r.path, r.depth, r.calls, r.total_ms, r.own_ms) for r in times.rows] == [
        ("", 0, 1, 16.0, 2.0),
        ("stages", 1, 0, 13.0, 0.0),
        ("stages.0", 1, 1, 7.0, 3.0),
        ("stages.0.fc", 2, 2, 4.0, 4.0),
        ("stages.1", 1, 1, 6.0, 6.0),
        ("head", 1, 1, 1.0, 1.0),
    ]
    assert [r.backward_ms for r in times.rows] == [3.0, 2.5, 2.5, 2.5, 0.0, 0.5]
    assert [r.share for r in times.rows] == pytest.approx([0.125, 0, 3 / 16, 0.25, 0.375, 1 / 16])
    assert (times.whole_ms, times.instrumented_ms, times.overhead) == (10.0, 20.0, 1.0)
    assert times.attributed == pytest.approx((4 + 6 + 1) / 16)
    assert times.notes == ("a note",)


def test_work_is_joined_by_path() -> None:
    rows = {r.path: r for r in table(RUN).rows}
    block = rows["stages.0"]
    assert (block.macs, block.moved_bytes) == (7_000_000, 700_000)
    assert block.gflops == pytest.approx(2.0)  # 14e6 FLOPs in 7 ms
    assert block.gbps == pytest.approx(0.1)
    assert (rows["stages.1"].macs, rows["stages.1"].gflops, rows["stages.1"].gbps) == (0, 0, 0)


def test_the_runs_in_the_middle_count() -> None:
    def run(whole: float, head: float) -> RunTimes:
        return replace(RUN, whole_ms=whole, own_ms={"": 2.0, "head": head})

    disturbed = run(90, 80)
    runs = [run(21, 11), disturbed, run(19, 9), run(23, 14), disturbed, run(1, 0.5), run(22, 12)]
    runs.append(run(25, 16))  # in order: 1 19 | 21 22 23 25 | 90 90
    (root, head) = table(*runs).rows
    assert head.own_ms == pytest.approx((11 + 12 + 14 + 16) / 4)
    assert root.total_ms == pytest.approx(head.own_ms + 2)
    assert table(*runs).instrumented_ms == 22.5
    assert table(*runs[:3]).rows[1].own_ms == 11  # of three, the one in the middle


def test_a_module_that_only_some_runs_call() -> None:
    seldom = replace(RUN, own_ms={**RUN.own_ms, "head": 0.0}, calls={"": 1, "stages.1": 1})
    rows = {r.path: r for r in table(RUN, seldom).rows}
    assert rows["head"].own_ms == 0.5


def test_phases_are_children_of_the_root() -> None:
    own = {"": 2.0, "head": 90.0, "(forward)": 0.05, "(backward)": 3.0, "(optimizer)": 4.95}
    training = replace(
        SUMMARY, mode="training", phases=(PhaseTotals("optimizer", 3, 0, 0, 5, 600_000, 390_000),)
    )
    times = times_by_module([replace(RUN, own_ms=own)], TYPES, training, 10.0)
    assert [(r.path, r.type, r.depth, round(r.own_ms, 6)) for r in times.rows] == [
        ("", "Net", 0, 2.05),  # with the forward's, which is less than a thousandth
        ("head", "Linear", 1, 90.0),
        ("(backward)", "phase", 1, 3.0),
        ("(optimizer)", "phase", 1, 4.95),
    ]
    assert times.rows[0].total_ms == pytest.approx(100)
    assert times.rows[-1].gbps == pytest.approx(0.99e6 / 4.95e-3 / 1e9)
    assert times.attributed == pytest.approx(0.9)
