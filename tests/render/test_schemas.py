"""The published schemas: they are what the classes say, and hold for every report."""

from __future__ import annotations

import copy
import importlib.util
import json
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from render import comparisons, formula_reports, profiles, shape_reports, summaries
from render.written import WRITERS

from blocktool.render.json import KINDS, read_any, to_json

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "schemas"
OLD = sorted((ROOT / "tests" / "data" / "reports").glob("*.json"))

BY_HAND = {
    "backbone": summaries.backbone,
    "troubled": summaries.troubled,
    **{f"formulas-{name}": getattr(formula_reports, name) for name in ("backbone", "hostile")},
    **{
        f"shapes-{name}": getattr(shape_reports, name)
        for name in ("catalog", "broken", "proved", "varied", "hostile")
    },
    **{f"profile-{name}": make for name, make in profiles.MAKERS.items()},
    **{f"comparison-{name}": make for name, make in comparisons.MAKERS.items()},
}

# The fields that scripts hold on to, as they were promised before there was a schema.
CONTRACT: dict[str, dict[str, str]] = {
    "summary": {
        "": "schema_version kind target traced_on environment inputs outputs totals modules ops "
        "uncovered_ops",
        "Totals": "params trainable_params param_bytes buffer_bytes macs flops elementwise_flops "
        "activation_bytes read_bytes written_bytes peak_live_bytes",
        "ModuleRow": "path type calls depth input_shapes output_shapes params macs flops "
        "elementwise_flops activation_bytes read_bytes written_bytes",
        "OpRow": "op calls macs flops",
        "UncoveredOp": "op calls module",
        "TensorSpec": "name shape dtype",
    },
    "profile": {
        "": "schema_version kind cases ceilings",
        "ProfileCase": "batch inputs dtype mode variant outcome reason latency_ms throughput "
        "peak_bytes predicted_peak_bytes macs",
        "Latency": "p50 p5 p95 iqr samples",
    },
    "check-shapes": {
        "": "schema_version kind cases proofs",
        "Case": "target arguments inputs dtype mode outcome kind expected actual reproduce",
        "Proof": "target output constraints verdict reason",
    },
    "comparison": {
        "": "schema_version kind totals modules findings",
        "MetricChange": "metric old new change verdict",
    },
}


@cache
def schema(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / f"{kind}.schema.json").read_text("utf-8"))
    return made


def complaints(report: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(schema(report["kind"]))
    return [f"{each.json_path}: {each.message[:200]}" for each in validator.iter_errors(report)]


@cache
def by_program(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(WRITERS[name]())
    return made


@cache
def _generator() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("generate_schemas", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_what_the_classes_say(kind: str):
    written = (FOLDER / f"{kind}.schema.json").read_text("utf-8")
    assert written == _generator().text(kind), "python docs/schemas/generate.py writes them anew"


def test_there_is_one_for_each_kind_and_each_is_a_schema():
    assert {file.name for file in FOLDER.glob("*.json")} == {f"{k}.schema.json" for k in KINDS}
    for kind in KINDS:
        Draft202012Validator.check_schema(schema(kind))
        assert f"schemas/{kind}.schema.json" in (ROOT / "docs" / "json.md").read_text("utf-8")


@pytest.mark.parametrize("name", WRITERS)
def test_what_the_program_writes_is_valid_and_read_again(name: str):
    report = by_program(name)
    assert complaints(report) == []
    text = json.dumps(report)
    assert json.loads(to_json(read_any(text))) == report


def test_the_programs_reports_have_what_is_to_be_tested():
    cases = by_program("profile")["cases"]
    assert {case["variant"] for case in cases} == {"eager", "fused"}
    assert cases[0]["modules"]["rows"]
    assert by_program("check-shapes")["findings"]
    assert by_program("check-shapes")["proofs"]
    assert by_program("summary")["shared"]
    assert by_program("summary-training")["timeline"]
    assert by_program("comparison")["statements"]
    assert {report["kind"] for report in map(by_program, WRITERS)} == KINDS.keys()


@pytest.mark.parametrize("make", BY_HAND.values(), ids=BY_HAND)
def test_reports_in_every_state_are_valid(make: Any):
    assert complaints(json.loads(to_json(make()))) == []


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_reports_of_earlier_commits_are_valid(path: Path):
    assert complaints(json.loads(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("kind", CONTRACT)
def test_the_contract_is_required(kind: str):
    whole = schema(kind)
    for name, wanted in CONTRACT[kind].items():
        required = (whole["$defs"][name] if name else whole)["required"]
        assert set(wanted.split()) <= set(required), name


def _objects(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of the objects in a report, of a list's the first."""
    if isinstance(value, dict):
        yield where
        for key, item in value.items():
            yield from _objects(item, (*where, key))
    elif isinstance(value, list) and value:
        yield from _objects(value[0], (*where, 0))


def _at(report: Any, where: tuple[Any, ...]) -> Any:
    for key in where:
        report = report[key]
    return report


@pytest.mark.parametrize("name", ["summary", "list", "check-shapes"])
def test_a_report_without_a_field_is_not_valid_and_one_with_more_is(name: str):
    report = by_program(name)
    free = {"packages", "own_ops", "attributes", "arguments", "categories", "phases", "fixed"}
    for where in _objects(report):
        more = copy.deepcopy(report)
        _at(more, where)["added_later"] = 3 if where and where[-1] in free else {"any": [None]}
        if not (where and where[-1] in free):
            assert complaints(more) == [], where
            for key in _required(report["kind"], _at(report, where)):
                less = copy.deepcopy(report)
                del _at(less, where)[key]
                assert complaints(less), (where, key)


def _required(kind: str, value: dict[str, Any]) -> list[str]:
    """What the classes have from the beginning, of the one that has just these fields."""
    added = {name for names in _generator().ADDED.values() for name in names}
    return [key for key in value if key not in added]


def test_descriptions_are_those_of_the_documents():
    told = schema("summary")
    assert told["properties"]["ops"]["description"].startswith("per operation, dearest first")
    assert told["$defs"]["ModuleRow"]["properties"]["calls"]["description"].startswith("How often")
    assert "`macs` counts contractions" in told["$defs"]["Totals"]["description"]
    text = "".join((FOLDER / f"{kind}.schema.json").read_text("utf-8") for kind in KINDS)
    assert "Flat" not in text
    assert ":class:" not in text
    assert "``" not in text


def _of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that results have."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(max_size=5),
        bool: st.booleans(),
        object: st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers()),
        type(None): st.none(),
    }
    if hint in plain:
        return plain[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_of, inner))
    if origin is tuple and inner[1:] == (...,):
        return st.lists(_of(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_of, inner))
    if origin is dict:
        return st.dictionaries(_of(inner[0]), _of(inner[1]), max_size=2)
    assert is_dataclass(hint), hint
    hints = get_type_hints(hint)
    return st.builds(hint, **{each.name: _of(hints[each.name]) for each in fields(hint)})


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=5, deadline=None)
def test_any_result_is_valid(kind: str, data: st.DataObject):
    assert complaints(json.loads(to_json(data.draw(_of(KINDS[kind]))))) == []
