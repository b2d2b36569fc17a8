from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from render.shape_reports import broken, case, catalog, hostile, proved, report, varied

from blocktool.errors import ReportError
from blocktool.render.json import read, render, to_json
from blocktool.render.view import View
from blocktool.results.shapes import Failed, ShapeReport
from blocktool.results.specs import TensorSpec


@pytest.mark.parametrize("make", [catalog, broken, proved, hostile, varied])
def test_what_is_written_is_what_is_read(make: Callable[[], Any]):
    assert read(to_json(make()), ShapeReport) == make()


def test_the_contract():
    made = json.loads(render(broken(), View()))
    assert list(made)[:2] == ["schema_version", "kind"]
    assert (made["schema_version"], made["kind"], made["holds"]) == ("1", "check-shapes", False)
    assert json.loads(to_json(catalog()))["holds"] is True
    failed, wrong, passed, skipped, *_ = made["cases"]
    assert list(failed)[:10] == [
        *("target", "arguments", "inputs", "dtype", "mode", "outcome", "kind", "expected"),
        *("actual", "reproduce"),
    ]
    assert [c["outcome"] for c in made["cases"][:4]] == ["failed", "failed", "passed", "skipped"]
    assert (failed["kind"], wrong["kind"], passed["kind"]) == ("error", "shape", None)
    assert (wrong["expected"], wrong["actual"]) == ("1x16x1x1", "1x16x3x3")
    assert wrong["arguments"] == {"padding": 2, "norm": None}
    assert wrong["inputs"] == [{"name": None, "shape": [1, 16, 1, 1], "dtype": "float32"}]
    assert failed["module"] == "stages.1.merge"
    assert failed["details"][0] == 'File "net.py", line 12, in forward'
    assert failed["reproduce"].startswith("blocktool check-shapes net.py:Net")
    assert (skipped["reason"], passed["reason"]) == ("needs 224x224", None)
    assert made["findings"][0]["case"] == failed
    assert made["findings"][0]["where"] == "H is odd"
    proof = json.loads(to_json(proved()))["proofs"][0]
    wanted = {"target", "output", "constraints", "verdict", "reason"}
    assert wanted <= set(proof)
    assert proof["constraints"] == ["H % 2 == 0", "W % 2 == 0"]
    known, left = json.loads(to_json(varied()))["proofs"]
    assert (known["complete"], left["complete"], known["where"]) == (True, False, "H >= 8")
    assert known["outputs"][1] == {"output": "B, 2, H, W", "constraints": ["C >= 2", "H >= 101"]}
    assert [each["output"] for each in left["outputs"]] == [f"B, C, {h}, 3" for h in range(2, 9)]


def test_one_case_to_a_line():
    lines = to_json(broken()).splitlines()
    assert sum(line.startswith('    {"target"') and "reproduce" in line for line in lines) == 6


def test_ten_thousand_cases_are_read_as_they_were_written():
    cases = [
        case(
            None if index % 50 else Failed("shape", "wrong", "B", "C", details=("a line",)),
            *(2, 64, index, index),
            arguments={"stride": index % 3, "groups": 4},
        )
        for index in range(1, 10_001)
    ]
    made = report(*cases)
    assert read(to_json(made), ShapeReport) == made


def test_arguments_that_json_cannot_hold_are_written_as_text():
    given = {"norm": int, "p": float("inf"), "sizes": (1, [2.5]), "kw": {1: None}, "on": True}
    made = json.loads(to_json(report(case(arguments=given))))
    assert made["cases"][0]["arguments"] == {
        "norm": "<class 'int'>", "p": "inf", "sizes": [1, [2.5]], "kw": {"1": None}, "on": True
    }  # fmt: skip


def test_inputs_keep_name_and_dtype():
    specs = (TensorSpec((2, 7), "int64"), TensorSpec((), "bool", "mask"))
    made = report(case(inputs=specs, outputs=()))
    assert read(to_json(made), ShapeReport).cases[0].inputs == specs


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("outcome", "maybe", r"\$.cases\[0\].outcome"),
        ("kind", "colour", r"\$.cases\[0\].kind"),
        ("mode", "sideways", r"\$.cases\[0\].mode"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(place: str, value: str, message: str):
    made = json.loads(to_json(broken()))
    made["cases"][0][place] = value
    with pytest.raises(ReportError, match=message):
        read(json.dumps(made), ShapeReport)


def test_unknown_fields_are_passed_over():
    made = json.loads(to_json(broken()))
    made["later"] = made["cases"][0]["later"] = made["targets"][0]["later"] = 1
    assert read(json.dumps(made), ShapeReport) == broken()


def test_another_kind_of_report_is_refused():
    from render.summaries import backbone

    with pytest.raises(ReportError, match="of kind 'summary', not 'check-shapes'"):
        read(to_json(backbone()), ShapeReport)


def test_bytes_that_are_no_text_can_be_written():
    made = report(replace(case(), target="net\udcff.py:Net"))
    assert read(to_json(made).encode().decode(), ShapeReport) == made
