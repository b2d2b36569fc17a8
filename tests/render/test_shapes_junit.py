"""The XML is held to a schema, and to what a reader of XML makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from render.shape_reports import HOSTILE, broken, case, catalog, hostile, proved, report, varied

from blocktool.render.shapes_junit import render
from blocktool.render.view import View
from blocktool.results.shapes import Failed, ShapeReport

_SCHEMA = Path(__file__).parents[1] / "data" / "junit.xsd"
_MAKERS = [catalog, broken, proved, hostile, report]

Make = Callable[[], ShapeReport]


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(_SCHEMA))


def _root(make: Make) -> ElementTree.Element:
    return ElementTree.fromstring(render(make(), View()).encode())


@pytest.mark.parametrize("make", _MAKERS)
def test_it_is_valid(make: Make, schema: xmlschema.XMLSchema):
    schema.validate(render(make(), View()))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (' type="shape"', ""),
        (' tests="3"', ' tests="three"'),
        (' time="21.340"', ' time="21 s"'),
        ("testcase", "case"),
        ('classname="net.Net" name="1x16x33x33, eval"', 'classname="net.Net"'),
        ("<properties>", '<failure type="a" message="b"/><properties>'),
    ],
)
def test_the_schema_can_fail(good: str, bad: str, schema: xmlschema.XMLSchema):
    text = render(broken(), View())
    assert good in text
    assert not schema.is_valid(text.replace(good, bad))


@pytest.mark.parametrize("make", _MAKERS)
def test_the_counts_are_those_of_the_elements(make: Make):
    root = _root(make)
    for holder in (root, *root.findall("testsuite")):
        assert holder.get("tests") == str(len(list(holder.iter("testcase"))))
        assert holder.get("failures") == str(len(list(holder.iter("failure"))))
        assert holder.get("errors") == str(len(list(holder.iter("error"))))
    skipped = sum(int(suite.get("skipped", "")) for suite in root)
    assert skipped == len(list(root.iter("skipped")))


def test_a_suite_for_each_target_and_a_test_for_each_case():
    root = _root(broken)
    made = broken()
    assert [s.get("name") for s in root] == [t.target for t in made.targets]
    assert len(list(root.iter("testcase"))) == len(made.cases)
    (failure,) = root.iter("failure")
    assert failure.get("message") == "the output is B, 16, H + 2, W + 2, and not B, 16, H, W"
    assert failure.get("type") == "shape"
    assert "expected: 1x16x1x1\nactual: 1x16x3x3\n" in str(failure.text)
    (error,) = root.iter("error")
    assert 'File "net.py", line 12, in forward' in str(error.text)
    assert str(error.text).endswith(f"reproduce with: {made.cases[0].reproduce}")
    (skipped,) = root.iter("skipped")
    assert skipped.get("message") == "needs 224x224"
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (properties["torch"], properties["timm"]) == ("2.13.0", "1.0.31")
    assert root.get("time") == "21.340"
    assert root[0].get("time") == "0.004"


@pytest.mark.parametrize(
    ("target", "classname"),
    [
        ("net.py:Net", "net.Net"),
        ("models/deep/net.py:Net.inner", "models.deep.net.Net.inner"),
        ("../net.py:Net", "net.Net"),
        ("torch.nn:Conv2d", "torch.nn.Conv2d"),
        ("timm:resnet18", "timm.resnet18"),
        ("examples/resnet50.yaml", "examples.resnet50"),
        ("conv", "blocktool.conv"),
    ],
)
def test_tests_are_grouped_like_packages_and_classes(target: str, classname: str):
    root = _root(lambda: report(case(target=target)))
    assert [t.get("classname") for t in root.iter("testcase")] == [classname]


def test_every_test_has_a_name_of_its_own():
    made = [case(), case(), case(mode="train"), case(dtype="bfloat16"), case(device="cpu")]
    made.append(case(arguments={"stride": 2}))
    names = [t.get("name") for t in _root(lambda: report(*made)).iter("testcase")]
    assert names == [
        "1x16x33x33, eval",
        "1x16x33x33, eval (2)",
        "1x16x33x33, train",
        "1x16x33x33, eval, bfloat16",
        "1x16x33x33, eval, on cpu",
        "1x16x33x33, eval, stride=2",
    ]


def test_claims_are_tests_as_well():
    root = _root(proved)
    verdicts = Counter(f.get("type") for f in root.iter("failure"))
    assert verdicts == {"refuted": 1, "not proved": 1}
    texts = [str(f.text) for f in root.iter("failure")]
    assert any("blocktool contradicts itself" in text for text in texts)
    assert sum(str(t.get("name")).startswith("proof") for t in root.iter("testcase")) == 5


def test_claims_tell_all_outputs():
    root = _root(varied)
    (known,) = root.iter("system-out")
    assert "-> B, C, H, W for every B, C, H, W; but B, 2, H, W where" in str(known.text)
    (left,) = root.iter("failure")
    assert "B, C, 2, 3 where H is from 4 to 5; but B, C, 3, 3 where" in str(left.text)


def test_what_xml_cannot_hold_is_removed_and_all_else_is_kept():
    bad = "".join(map(chr, range(0x20))) + "\x7f\x85\ud800\ufffe\uffff\U0001f4a5<&>\"']]>"
    failed = Failed("batch", bad, actual=bad)
    root = _root(lambda: report(case(failed, target=bad)))
    kept = "\t\n\r\x7f\x85\U0001f4a5<&>\"']]>"
    (failure,) = root.iter("failure")
    assert failure.get("message") == kept
    assert root[0].get("name") == kept
    assert kept.replace("\r", "\n") in str(failure.text)
    assert HOSTILE.replace("\x1b", "") in {s.get("name") for s in _root(hostile)}
