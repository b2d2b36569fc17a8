from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from render.summaries import backbone, troubled

from blocktool.errors import ReportError
from blocktool.render.json import SCHEMA_VERSION, read_summary, render, to_json
from blocktool.render.view import View


@pytest.mark.parametrize("make", [backbone, troubled])
def test_what_is_written_is_what_is_read(make: Callable[[], Any]):
    assert read_summary(to_json(make())) == make()


def test_the_contract():
    text = render(backbone(), View(depth=0, width=10))
    report = json.loads(text)
    assert list(report)[:3] == ["schema_version", "kind", "target"]
    assert (report["schema_version"], report["kind"]) == ("1", "summary")
    assert report["inputs"] == [{"name": None, "shape": [1, 3, 32, 32], "dtype": "float32"}]
    wanted = {
        "params", "trainable_params", "param_bytes", "buffer_bytes", "macs", "flops",
        "elementwise_flops", "activation_bytes", "read_bytes", "written_bytes", "peak_live_bytes",
    }  # fmt: skip
    assert wanted <= set(report["totals"])
    wanted = {
        "path", "type", "calls", "depth", "input_shapes", "output_shapes", "params", "macs",
        "flops", "elementwise_flops", "activation_bytes", "read_bytes", "written_bytes",
    }  # fmt: skip
    assert len(report["modules"]) == len(backbone().modules)
    assert all(wanted <= set(module) for module in report["modules"])
    assert report["modules"][2]["input_shapes"] == [[1, 8, 16, 16]]
    order = [name for name in report if name in ("totals", "modules", "ops", "uncovered_ops")]
    assert order == ["totals", "modules", "ops", "uncovered_ops"]
    assert {"op", "calls", "macs", "flops"} <= set(report["ops"][0])
    uncovered = json.loads(to_json(troubled()))["uncovered_ops"]
    assert uncovered[0] == {"op": "vision.warp", "calls": 2, "module": "[red]"}


def test_one_module_to_a_line():
    lines = to_json(backbone()).splitlines()
    assert sum('"path":' in line for line in lines) == len(backbone().modules)


def test_unknown_fields_are_passed_over():
    report = json.loads(to_json(backbone()))
    report["added_later"] = report["totals"]["added_later"] = 1
    assert read_summary(json.dumps(report)) == backbone()


def _changed(**changes: Any) -> str:
    return json.dumps({**json.loads(to_json(backbone())), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "old.json is not JSON"),
        (to_json(backbone())[:500], "old.json is not JSON"),
        ("[]", "not a blocktool report"),
        ('{"a": 1}', "not a blocktool report"),
        (_changed(kind="profile"), "of kind 'profile', not 'summary'"),
        (_changed(schema_version="2"), "schema version 2; this blocktool reads version 1"),
        (_changed(totals={"params": "many"}), r"damaged: .*\$.totals"),
        (_changed(modules=[{"path": 3}]), r"damaged: .*\$.modules\[0\].path"),
        (_changed(mode="sideways"), r"damaged: .*\$.mode"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(text: str, message: str):
    with pytest.raises(ReportError, match=message) as caught:
        read_summary(text, name="old.json")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_only_results_are_reports():
    with pytest.raises(TypeError, match="View is not a kind of report"):
        to_json(View())
    assert SCHEMA_VERSION == "1"
