"""What changed between two profiles, from figures made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from render import profiles
from render.profile_pieces import case, module, profile

from blocktool.analysis.compare_profiles import ProfileChanges, compare_profiles
from blocktool.analysis.gate import judged
from blocktool.analysis.gate_rules import read_rule
from blocktool.render.json import read, to_json
from blocktool.results.comparison import MetricChange
from blocktool.results.profile import ModuleTimes, Notice, PhaseLatency, Profile, ProfileCase

EIGHT = "batch 8 · float32 · inference · eager"


def timed(ms: float, count: int = 20, **changes: Any) -> ProfileCase:
    """A case with so many processes, of which one is disturbed."""
    each = [ms * (1 + 0.002 * (at * 7 % 11 - 5)) for at in range(count)]
    each[count // 2] *= 1.5
    return case(ms=ms, process_medians_ms=tuple(each), **changes)


def side_by_side(*cases: ProfileCase, name: str = "a", **changes: Any) -> Profile:
    made = profile(*cases, **changes)
    return replace(made, protocol=replace(made.protocol, paired=name))


def figure(changes: ProfileChanges, metric: str, label: str | None = None) -> MetricChange:
    (found,) = (
        each
        for each in (*changes.totals, *changes.changes)
        if each.metric == metric and each.module is None and label in (None, each.case)
    )
    return found


def texts(changes: ProfileChanges) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in changes.statements]


@pytest.mark.parametrize("make", [side_by_side, profile])
def test_two_measurements_of_one_thing(make: Any) -> None:
    old, new = make(timed(100.0), timed(20.0, batch=1)), make(timed(100.1), timed(19.9, batch=1))
    found = compare_profiles(old, new)
    assert {each.verdict for each in found.totals} == {"same"}
    assert all(each.low for each in found.totals if "latency" in each.metric)
    assert (found.statements, found.modules) == ((), ())


def test_a_profile_and_itself() -> None:
    """A copy of a file is no second measurement, and nothing is said of it."""
    made = profile(timed(100.0))
    found = compare_profiles(made, replace(made))
    assert {each.verdict for each in (*found.totals, *found.changes)} == {"same"}
    assert (found.statements, found.modules, found.notes) == ((), (), ())


@pytest.mark.parametrize(
    "make", [profiles.single, profiles.training, profiles.batches, profiles.by_module]
)
def test_one_process_is_never_the_same(make: Any) -> None:
    """Not even as itself: too few are too few."""
    found = compare_profiles(make(), make())
    times = [each for each in found.totals if each.metric == "latency_ms.p50"]
    assert times
    assert {each.verdict for each in times} == {"inconclusive"}


def test_a_case_that_fails_now_has_no_figures() -> None:
    """They are there as missing, so that a rule about them cannot hold."""
    broken = replace(
        timed(100.0), outcome="failed", reason="out of memory", latency_ms=None, throughput=None
    )
    old = profile(timed(100.0), timed(20.0, batch=1))
    found = compare_profiles(old, profile(broken, timed(20.0, batch=1)))
    missing = {each.metric: each for each in found.changes if each.verdict == "removed"}
    assert (missing["latency_ms.p50"].new, missing["latency_ms.p50"].reason) == (
        None,
        "out of memory",
    )
    _, findings = judged([read_rule("latency_ms.p50:+5%")], (*found.totals, *found.changes))
    assert [each.case for each in findings] == [EIGHT]
    again = compare_profiles(profile(broken), profile(broken))
    _, findings = judged([read_rule("latency_ms.p50<=500")], (*again.totals, *again.changes))
    assert len(findings) == 1
    gone = compare_profiles(old, profile(timed(20.0, batch=1)))
    _, findings = judged([read_rule("latency_ms.p50:+5%")], (*gone.totals, *gone.changes))
    assert [each.case for each in findings] == [EIGHT]


def test_a_slowdown_side_by_side() -> None:
    found = compare_profiles(side_by_side(timed(100.0)), side_by_side(timed(110.0)))
    time = figure(found, "latency_ms.p50")
    assert (time.verdict, time.lane, time.case) == ("increased", "measured", EIGHT)
    assert time.change == pytest.approx(0.1, abs=0.003)
    assert time.low is not None
    assert time.high is not None
    assert 0.08 < time.low <= time.high < 0.12
    rate = figure(found, "throughput")
    assert (rate.verdict, rate.change) == ("decreased", pytest.approx(-0.0909, abs=0.003))
    assert [figure(found, each).verdict for each in ("macs", "peak_bytes")] == ["same", "same"]
    ((kind, text),) = texts(found)
    assert kind == "measured"
    assert text.startswith("latency rose by 10.0% (")
    assert found.notes == ()


def test_made_apart_it_is_said() -> None:
    found = compare_profiles(profile(timed(100.0)), profile(timed(110.0)))
    assert figure(found, "latency_ms.p50").verdict == "increased"
    assert "made apart" in found.notes[0]
    other = compare_profiles(side_by_side(timed(100.0)), side_by_side(timed(110.0), name="b"))
    assert "made apart" in other.notes[0]


def test_what_disturbed_is_said_where_it_is_inconclusive() -> None:
    notice = Notice("load", "others used 49% of the cores", "stop them")
    other = Notice("drift", "the times drift", "wait")
    quiet = side_by_side(timed(100.0), warnings=(notice, other))
    wild = timed(101.0)
    wild = replace(wild, process_medians_ms=(50.0, 200.0) * 10)
    found = compare_profiles(quiet, side_by_side(wild))
    assert figure(found, "latency_ms.p50").verdict == "inconclusive"
    assert found.notes == ("old: others used 49% of the cores; stop them",)
    assert compare_profiles(quiet, quiet).notes == ()


def test_one_process_is_never_enough() -> None:
    found = compare_profiles(profile(case(ms=100.0)), profile(case(ms=200.0)))
    for metric in ("latency_ms.p50", "throughput"):
        time = figure(found, metric)
        assert time.verdict == "inconclusive"
        assert time.reason == "1 process on each side; profile with --processes 5 or more"
    assert figure(found, "latency_ms.p50").change == pytest.approx(1.0)
    assert found.statements == ()


def test_the_confidence_is_shared_among_the_cases() -> None:
    """Ten pairs are enough for one case, and no more for two."""
    small, large = timed(10.0, 10, batch=1), timed(100.0, 10)
    slower = [timed(12.0, 10, batch=1), timed(120.0, 10)]
    one = compare_profiles(side_by_side(small), side_by_side(slower[0]))
    assert figure(one, "latency_ms.p50").verdict == "increased"
    two = compare_profiles(side_by_side(small, large), side_by_side(*slower))
    reasons = {each.reason for each in two.totals if each.metric == "latency_ms.p50"}
    assert reasons == {"10 processes on each side; measure with --processes 11 or more"}


def test_what_is_counted_is_exact() -> None:
    old, new = case(), case(macs=5_000_000_000, moved_bytes=1, predicted_peak_bytes=10**9)
    found = compare_profiles(profile(old), profile(new))
    macs = figure(found, "macs")
    assert (macs.lane, macs.verdict, macs.old, macs.new) == (
        *("exact", "decreased"),
        *(old.macs, new.macs),
    )
    assert texts(found)[0] == ("figures", "predicted peak memory rose by 204.2%")
    assert [kind for kind, _ in texts(found)] == ["figures"] * 3
    little = compare_profiles(profile(old), profile(replace(old, macs=(old.macs or 0) + 1)))
    assert figure(little, "macs").verdict == "increased"
    assert texts(little) == [("figures", "MACs rose by less than 0.1%")]


def test_memory_counts_above_the_threshold() -> None:
    old = case(peak_bytes=1000)
    for peak, verdict in ((1000, "same"), (1040, "same"), (1100, "increased"), (900, "decreased")):
        found = compare_profiles(profile(old), profile(replace(old, peak_bytes=peak)))
        memory = figure(found, "peak_bytes")
        assert (memory.verdict, memory.lane) == (verdict, "measured")
    fine = compare_profiles(profile(old), profile(replace(old, peak_bytes=1040)), threshold=0.01)
    assert figure(fine, "peak_bytes").verdict == "increased"
    assert ("measured", "peak memory rose by 4.0%") in texts(fine)


def test_other_environments_leave_what_is_exact() -> None:
    old = side_by_side(timed(100.0))
    assert old.machine is not None
    new = side_by_side(timed(200.0, macs=1), machine=replace(old.machine, threads=1))
    found = compare_profiles(old, new, comparable=False)
    measured = [each for each in (*found.totals, *found.changes) if each.lane == "measured"]
    assert {each.verdict for each in measured} == {"not compared"}
    assert {each.reason for each in measured} == {"not the same threads"}
    assert figure(found, "macs").verdict == "decreased"
    assert [kind for kind, _ in texts(found)] == ["figures"]


def test_percentiles_and_phases_are_information() -> None:
    old = timed(100.0, phases_ms=(PhaseLatency("forward", 30, 29, 31),))
    new = timed(200.0, phases_ms=(PhaseLatency("forward", 60, 59, 61), PhaseLatency("x", 1, 1, 1)))
    found = compare_profiles(side_by_side(old), side_by_side(new))
    names = {each.metric for each in found.changes}
    assert names == {"latency_ms.p5", "latency_ms.p95", "phases_ms.forward.p50"}
    assert {each.verdict for each in found.changes} == {"inconclusive"}
    phase = figure(found, "phases_ms.forward.p50")
    assert (phase.old, phase.new, phase.change) == (30, 60, 1.0)
    assert names.isdisjoint(each.metric for each in found.totals)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            {},
            {"outcome": "failed", "kind": "out-of-memory", "reason": "no 3 GiB left"},
            f"fails now (out-of-memory): {EIGHT}: no 3 GiB left",
        ),
        (
            {"outcome": "failed", "kind": "error", "reason": "ValueError: x"},
            {},
            f"passes now: {EIGHT}; failed before: ValueError: x",
        ),
        (
            {"outcome": "failed", "kind": "error", "reason": "a"},
            {"outcome": "failed", "kind": "crash", "reason": "b"},
            f"fails otherwise (error -> crash): {EIGHT}: b",
        ),
        (
            {},
            {"outcome": "skipped", "kind": "hopeless", "reason": "batch 4 ran out of memory"},
            f"no longer measured: {EIGHT}: batch 4 ran out of memory",
        ),
        ({"outcome": "skipped", "kind": "unavailable"}, {}, f"measured now: {EIGHT}"),
    ],
)
def test_outcomes(old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    before, after = (
        replace(case(), **each, **({"latency_ms": None} if each else {})) for each in (old, new)
    )
    found = compare_profiles(profile(before), profile(after))
    assert texts(found)[0] == ("cases", text)
    assert not any(each.metric == "latency_ms.p50" for each in found.totals)


def test_the_same_failure_is_no_change() -> None:
    bad = case(outcome="failed", kind="error", reason="x", latency_ms=None)
    assert compare_profiles(profile(bad), profile(bad)).statements == ()


def test_interrupted_cases_are_a_note() -> None:
    cut = case(outcome="skipped", kind="interrupted", latency_ms=None)
    found = compare_profiles(profile(case()), profile(cut, interrupted=True))
    assert found.statements == ()
    assert found.notes == ("the new profile was interrupted",)


def test_cases_of_one_side_and_failures_first() -> None:
    old = profile(case(), case(1, 4), case(2, 2))
    new = profile(case(), replace(case(2, 2), outcome="failed", kind="error"), case(3, 16))
    found = compare_profiles(old, new)
    assert [text.partition(":")[0] for _, text in texts(found)] == [
        *("fails now (error)", "case added", "case removed")
    ]
    assert {each.case for each in found.totals if each.metric == "latency_ms.p50"} == {EIGHT}


def test_many_cases_are_told_together() -> None:
    old = [case(at, batch) for at, batch in enumerate((1, 2, 4, 8))]
    new = [replace(each, macs=2 * (each.macs or 0)) for each in old]
    assert texts(compare_profiles(profile(*old), profile(*new)))[0] == (
        "figures",
        "MACs rose by 100.0% in all cases",
    )
    some = compare_profiles(profile(*old), profile(*new[:3], old[3]))
    assert texts(some)[0] == ("figures", "MACs rose by 100.0% in 3 of 4 cases")
    one = compare_profiles(profile(*old), profile(*old[:3], new[3]))
    assert texts(one) == [("figures", f"MACs rose by 100.0%: {EIGHT}")]


def test_the_largest_batch() -> None:
    made = profiles.largest()
    assert made.max_batch is not None
    fewer = replace(made.max_batch, predicted=1, batch=1)
    found = compare_profiles(made, replace(made, max_batch=fewer))
    assert figure(found, "max_batch.predicted").verdict == "decreased"
    assert figure(found, "max_batch.batch").verdict == "decreased"
    other = replace(fewer, limit_bytes=made.max_batch.limit_bytes + 1)
    found = compare_profiles(made, replace(made, max_batch=other))
    for metric in ("max_batch.predicted", "max_batch.batch"):
        assert figure(found, metric).verdict == "not compared"
        assert "another limit" in str(figure(found, metric).reason)
    assert not any(
        "max_batch" in each.metric
        for each in compare_profiles(
            made, replace(made, max_batch=replace(fewer, dtype="float64"))
        ).totals
    )


def test_predictions_are_exact() -> None:
    made = profiles.assumed()
    first = made.cases[0]
    assert first.roofline is not None
    slower = replace(first.roofline, predicted_ms=1.5 * first.roofline.predicted_ms)
    new = replace(made, cases=(replace(first, roofline=slower), *made.cases[1:]))
    found = compare_profiles(made, new)
    changed = [each for each in found.totals if each.verdict != "same"]
    assert [(each.metric, each.lane) for each in changed] == [("roofline.predicted_ms", "exact")]
    assert changed[0].change == pytest.approx(0.5)
    assert not compare_profiles(made, made).statements


def with_modules(*rows: Any) -> Profile:
    rows = tuple(replace(row, moved_bytes=1000 * row.macs) for row in rows)
    return profile(case(modules=ModuleTimes(100.0, 103.0, 5, 0.9, rows)))


def test_modules() -> None:
    whole = {"whole": 100.0}
    old = with_modules(
        module("", "Net", 100, 1, **whole, macs=900),
        module("stem", "Conv2d", 40, 40, **whole, macs=400),
        module("body", "Body", 50, 0, **whole, macs=500),
        module("body.0", "Conv2d", 50, 50, **whole, macs=500),
        module("(forward)", "phase", 9, 9, **whole),
    )
    new = with_modules(
        module("", "Net", 100, 1, **whole, macs=800),
        module("stem", "Conv2d", 60, 60, **whole, macs=600),
        module("head", "Head", 20, 0, **whole, macs=200),
        module("head.fc", "Linear", 20, 20, **whole, macs=200),
        module("(forward)", "phase", 5, 5, **whole),
    )
    found = compare_profiles(old, new)
    assert [
        (each.verdict, each.old_path, each.new_path, each.modules) for each in found.modules
    ] == [
        ("removed", "body", None, 2),
        ("added", None, "head", 2),
        ("changed", "stem", "stem", 1),
    ]
    assert [each.effect for each in found.modules] == pytest.approx(
        [500 / 900, 200 / 900, 200 / 900]
    )
    stem = {each.metric: each for each in found.changes if each.module == "stem"}
    assert stem["macs"].verdict == "increased"
    time = stem["total_ms"]
    assert (time.old, time.new, time.verdict, time.lane) == (40, 60, "inconclusive", "measured")
    assert "for information" in str(time.reason)
    assert not any(each.module == "(forward)" for each in found.changes)


def test_a_module_of_another_class() -> None:
    old = with_modules(module("", "Net", 10, 1, 10.0), module("act", "ReLU", 9, 9, 10.0))
    new = with_modules(module("", "Net", 10, 1, 10.0), module("act", "GELU", 9, 9, 10.0))
    (found,) = compare_profiles(old, new).modules
    assert (found.verdict, found.details) == ("changed", ("ReLU -> GELU",))


@pytest.mark.parametrize("make", [profiles.training, profiles.variants, profiles.interrupted])
def test_all_kinds_of_profiles(make: Any) -> None:
    made = make()
    found = compare_profiles(made, made)
    assert found.statements == ()
    assert all(each.verdict in ("same", "inconclusive") for each in found.totals)
    assert all(each.lane == "measured" for each in found.totals if each.verdict != "same")


def test_the_name_of_a_pair_is_kept_in_a_file() -> None:
    made = side_by_side(timed(10.0), name="together")
    assert json.loads(to_json(made))["protocol"]["paired"] == "together"
    assert read(to_json(made), Profile).protocol.paired == "together"
