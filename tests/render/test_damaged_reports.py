"""Damaged reports: shown where that makes sense, else refused in one line, never a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from render.profiles import by_module
from render.refusals import checked_refusal, refused
from render.summaries import backbone

from blocktool.errors import ReportError
from blocktool.render.formats import renderer
from blocktool.render.json import read_any, to_json
from blocktool.render.view import View

FOLDER = Path(__file__).parents[1] / "data" / "reports"
OLD = sorted(FOLDER.glob("*.json"))
SUMMARY = to_json(backbone())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"calls": 1,', '"calls": NaN,'), "NaN is no number of JSON's"),
        (('"calls": 1,', '"calls": -Infinity,'), "-Infinity is no number of JSON's"),
        (('"calls": 1,', '"calls": 1e999,'), "the number 1e999 is too large"),
        (('"calls": 1,', f'"calls": {"9" * 9_000},'), "a number has 9000 digits"),
        (('"calls": 1,', '"calls": 1, "calls": 2,'), "the key 'calls' stands twice"),
        (('"calls": 1,', '"calls": "1",'), r"Expected `int`, got `str` - at `$.modules[0].calls`"),
        (('"calls": 1,', ""), "missing required field `calls` - at `$.modules[0]`"),
        (('"1"', "1"), "its schema_version is no string"),
        (('"1"', '"2\\u001b[31m' + "x" * 900 + '"'), "schema version 2\\x1b[31mxxx"),
        (('"summary"', "null"), "its kind is no string"),
        (('"summary"', '"sum\\nmary"'), "of the unknown kind 'sum\\nmary'"),
        (('"path": "stem.conv"', '"path": "stem"'), "modules has a path twice"),
        (
            ('"path": "stem.conv"', '"path": "' + "a." * 400 + 'a"'),
            "modules nest deeper than 300 levels",
        ),
    ],
    ids=range(13),
)
def test_damaged_reports(change: tuple[str, str], message: str):
    assert change[0] in SUMMARY
    assert message in refused(SUMMARY.replace(*change, 1)).replace("\\\\", "\\")


def test_a_report_cut_anywhere_is_refused():
    for end in range(0, len(SUMMARY) - 2, 61):
        refused(SUMMARY[:end])


def _changed(report: Any, **fields: Any) -> str:
    return json.dumps({**report, **fields})


def test_reports_that_contradict_themselves():
    summary = json.loads(SUMMARY)
    assert "modules is empty" in refused(_changed(summary, modules=[]))
    assert "does not begin with the module itself" in refused(
        _changed(summary, modules=summary["modules"][1:])
    )
    line = {"ops": [0, 1], "modules": ["", ""], "categories": {"inputs": [1]}, "phases": {}}
    assert "lists of different lengths" in refused(_changed(summary, timeline=line))
    nothing: dict[str, Any] = {"ops": [], "modules": [], "categories": {"inputs": []}, "phases": {}}
    assert "timeline is empty" in refused(_changed(summary, timeline=nothing))
    tied = {"shape": [3], "dtype": "float32", "modules": [summary["modules"][-1]["path"], ""]}
    assert read_any(_changed(summary, shared=[tied])).shared
    tied["modules"][0] = "no.such"
    message = "shared names a module that is not there"
    assert message in refused(_changed(summary, shared=[tied]))
    profile = json.loads(to_json(by_module()))
    profile["cases"][0]["latency_ms"]["high"] = 1e300
    assert "cases[0].latency_ms is no time" in refused(json.dumps(profile))
    profile["cases"][0]["latency_ms"]["samples"] = []
    assert "cases[0].latency_ms has no samples" in refused(json.dumps(profile))
    formulas = json.loads((FOLDER / "formulas-first.json").read_text("utf-8"))
    formulas["totals"]["macs"] = "6 apples"
    assert "'6 apples' is no formula" in refused(json.dumps(formulas))


def test_diagrams_that_contradict_themselves():
    node = {
        "id": "n1", "kind": "module", "path": "", "name": "", "type": "", "detail": "",
        "shapes": [], "dtype": "", "cost": {},
    }  # fmt: skip
    made = {"target": "", "root_type": "", "mode": "forward", "traced_on": "", "attention": ""}
    made |= {"depth": 1, "levels": 1, "symbols": {}, "conditions": [], "total": {}, "groups": []}
    environment = {"blocktool": "", "torch": "", "python": "", "platform": ""}
    made |= {"schema_version": "1", "kind": "diagram", "environment": environment}
    made |= {"nodes": [node], "edges": [{"source": "n1", "target": "n1"}]}
    assert read_any(json.dumps(made)).nodes[0].id == "n1"
    assert "same id" in refused(_changed(made, nodes=[node, node]))
    assert "edges name a node" in refused(_changed(made, nodes=[]))
    assert "nodes name a group" in refused(_changed(made, nodes=[{**node, "group": "g1"}]))
    group = {"id": "g1", "path": "", "name": "", "type": "", "group": "g2"}
    assert "groups name a group" in refused(_changed(made, groups=[group]))


def _places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, item in inner
        for place in (
            (*where, key),
            *(_places(item, (*where, key)) if isinstance(item, dict | list) else ()),
        )
    ]


REPORTS = [json.loads(path.read_text("utf-8")) for path in OLD]
PLACES = [(number, place) for number, each in enumerate(REPORTS) for place in _places(each)]
REMOVED = object()
JUNK = st.sampled_from([REMOVED, None, True, -1, 0, 2**70, 1e300, -1.5, "", "x", "\ud800", {}, []])
JUNK |= st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)


@given(st.sampled_from(PLACES), JUNK)
@settings(max_examples=300, deadline=None)
@example((0, ("schema_version",)), REMOVED)
def test_whatever_stands_in_a_report_it_is_shown_or_refused(place: Any, junk: Any):
    number, where = place
    report = copy.deepcopy(REPORTS[number])
    inside = report
    for key in where[:-1]:
        inside = inside[key]
    if junk is REMOVED:
        del inside[where[-1]]
    else:
        inside[where[-1]] = junk
    try:
        read = read_any(json.dumps(report), "old.json")
    except ReportError as error:
        checked_refusal(error)
    else:
        renderer(report["kind"], "table")(read, View())


@given(st.text() | st.binary().map(lambda each: each.decode("latin-1")), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_whatever_is_put_into_the_text_it_is_read_or_refused(junk: str, at: int):
    place = len(SUMMARY) * at // 1000
    try:
        read_any(SUMMARY[:place] + junk + SUMMARY[place + len(junk) :], "old.json")
    except ReportError as error:
        checked_refusal(error)
