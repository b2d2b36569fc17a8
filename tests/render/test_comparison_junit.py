"""The XML is held to a schema, and to what a reader of XML makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from render.comparisons import MAKERS, budgets, checked, profiled, same, widened

from blocktool.render.comparison_junit import render
from blocktool.render.view import View
from blocktool.results.comparison import Comparison, RuleOutcome

_SCHEMA = Path(__file__).parents[1] / "data" / "junit.xsd"
_MAKERS = [*MAKERS.values(), same]

Make = Callable[[], Comparison]


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(_SCHEMA))


def _root(made: Comparison) -> ElementTree.Element:
    return ElementTree.fromstring(render(made, View()).encode())


@pytest.mark.parametrize("make", _MAKERS)
def test_it_is_valid(make: Make, schema: xmlschema.XMLSchema):
    schema.validate(render(make(), View()))


@pytest.mark.parametrize(
    ("good", "bad"),
    [(' type="gate"', ""), (' tests="4"', ' tests="four"'), ("testcase", "case")],
)
def test_the_schema_can_fail(good: str, bad: str, schema: xmlschema.XMLSchema):
    text = render(widened(), View())
    assert good in text
    assert not schema.is_valid(text.replace(good, bad))


@pytest.mark.parametrize("make", _MAKERS)
def test_the_counts_are_those_of_the_elements(make: Make):
    root = _root(make())
    (suite,) = root
    for holder in (root, suite):
        assert holder.get("tests") == str(len(list(holder.iter("testcase"))))
        assert holder.get("failures") == str(len(list(holder.iter("failure"))))
        assert holder.get("errors") == "0"
    assert suite.get("skipped") == str(len(list(root.iter("skipped"))))


@pytest.mark.parametrize("make", [widened, profiled, budgets, same])
def test_a_test_for_each_rule(make: Make):
    made = make()
    tests = list(_root(made).iter("testcase"))
    assert [test.get("name") for test in tests] == [rule.rule for rule in made.rules]
    for test, rule in zip(tests, made.rules, strict=True):
        tags = [child.tag for child in test]
        assert ("failure" in tags) == (rule.outcome == "failed")
        assert ("skipped" in tags) == (rule.outcome == "skipped")
        assert test.get("classname") == {
            "torchvision:resnet18": "torchvision.resnet18",
            "timm:vit_tiny_patch16_224": "timm.vit_tiny_patch16_224",
            "net.py:Net": "net.Net",
        }.get(made.new.target)


def test_all_findings_of_a_rule_are_one_failure():
    twice = replace(widened().findings[0], module="layer1", message="macs of layer1 rose")
    made = replace(widened(), findings=(*widened().findings, twice))
    failure = next(_root(made).iter("failure"))
    assert failure.get("message") == made.findings[0].message
    assert str(failure.text).splitlines() == [made.findings[0].message, "macs of layer1 rose"]


def test_a_finding_without_its_rule_and_a_rule_without_its_finding_fail():
    made = replace(same(), rules=(RuleOutcome("macs:0", "failed", 1),))
    assert [f.get("message") for f in _root(made).iter("failure")] == ["the rule is broken"]
    made = replace(same(), rules=(), findings=widened().findings)
    assert len(list(_root(made).iter("failure"))) == 2


def test_without_rules_one_test_tells_what_changed():
    (test,) = _root(checked()).iter("testcase")
    assert test.get("name") == "compared"
    (output,) = test
    assert output.tag == "system-out"
    assert str(output.text).splitlines() == [
        "2 cases fail that passed",
        "fails now: net.py:Net proof: cat of a list",
        "fails now: net.py:Net 1x16x33x33, eval: wrong shape: expected 1x16x33x33, and "
        "1x16x34x34 came out",
        "Failed: 0 -> 2, increased",
        "Passed: 40 -> 39, 2.5% less",
    ]
    (test,) = _root(replace(same(), rules=())).iter("testcase")
    assert test.findtext("system-out") == "No change"


def test_where_the_reports_were_made_is_in_the_properties():
    properties = {p.get("name"): p.get("value") for p in _root(profiled()).iter("property")}
    assert properties["torch"] == "2.13.0"
    assert properties["threads"] == "2 -> 16"
    assert properties["reports"] == "net.py:Net: old.json -> new.json"
