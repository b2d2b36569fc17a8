from __future__ import annotations

from dataclasses import replace
from typing import Any

from render.shape_reports import case, report

from blocktool import check_shapes
from blocktool.analysis.compare import compare
from blocktool.analysis.compare_shapes import compare_shapes
from blocktool.results.comparison import Comparison
from blocktool.results.shapes import Failed, Passed, Proof, ShapeReport, Skipped
from blocktool.results.specs import TensorSpec

WRONG = Failed("shape", "the output is one row short", expected="1x16x33x33", actual="1x16x32x33")


def proof(**changes: Any) -> Proof:
    made = Proof(
        target="net.py:Net",
        arguments={},
        inputs=("B, 3, H, W",),
        output="B, 16, H, W",
        constraints=(),
        verdict="proved",
        reason=None,
    )
    return replace(made, **changes)


def compared(old: ShapeReport, new: ShapeReport) -> Comparison:
    return compare(old, new).comparison


def totals(comparison: Comparison) -> dict[str, tuple[Any, Any]]:
    return {each.metric: (each.old, each.new) for each in comparison.totals}


def test_nothing_changed():
    same = report(case(), case(WRONG, 1, 16, 7, 7), proofs=(proof(),))
    assert not compared(same, same).changed


def test_a_report_of_the_program_compared_with_itself():
    """It has cases of one key: the same sizes without data, and on a device."""
    made = check_shapes("conv", mode="eval", dtype="float32", jobs=1)
    keys = [(each.arguments, each.inputs, each.dtype, each.mode) for each in made.cases]
    assert any(keys.count(each) > 1 for each in keys)
    assert not compared(made, made).changed


def test_cases_and_proofs_of_one_key_are_numbered():
    same = report(case(), case(), case(), proofs=(proof(), proof()))
    assert not compared(same, same).changed
    other = report(case(), case(WRONG), proofs=(proof(), proof(verdict="refuted", reason="H = 7")))
    assert [(each.case, each.old, each.new) for each in compared(same, other).cases] == [
        ("1x16x33x33 · eval (2)", "passed", "failed"),
        ("proof of B, 3, H, W (2)", "proved", "refuted"),
        ("1x16x33x33 · eval (3)", "passed", None),
    ]
    gone = compared(same, replace(other, proofs=(proof(),)))
    assert [each.case for each in gone.cases if each.new is None] == [
        "1x16x33x33 · eval (3)",
        "proof of B, 3, H, W (2)",
    ]


def test_how_long_it_took_and_how_to_reproduce_are_no_changes():
    old = report(case(), seconds=1.0)
    new = report(case(seconds=9.0, reproduce="blocktool check-shapes other"), seconds=2.0)
    assert not compared(old, new).changed


def test_a_case_that_fails_now_comes_first():
    old = report(case(), case(WRONG, 1, 16, 7, 7), case(None, 1, 16, 8, 8))
    new = report(case(WRONG), case(None, 1, 16, 7, 7), case(None, 1, 16, 9, 9))
    found = compared(old, new)
    assert [(each.case, each.old, each.new) for each in found.cases] == [
        ("1x16x33x33 · eval", "passed", "failed"),
        ("1x16x7x7 · eval", "failed", "passed"),
        ("1x16x9x9 · eval", None, "passed"),
        ("1x16x8x8 · eval", "passed", None),
    ]
    assert found.cases[0].reason == WRONG.message
    assert [each.text for each in found.statements] == [
        "1 case fails now: net.py:Net (the output is one row short)",
        "1 case no longer fails: net.py:Net",
        "1 case is new: net.py:Net",
        "1 case is gone: net.py:Net",
    ]
    assert totals(found)["failed"] == (1, 1)
    assert totals(found)["cases"] == (3, 3)


def test_what_tells_cases_apart():
    """Dtype, mode, memory format and arguments are each part of which case it is."""
    others = (
        {"dtype": "bfloat16"},
        {"mode": "train"},
        {"memory_format": "channels-last"},
        {"arguments": {"stride": 2}},
        {"target": "other.py:Net"},
    )
    for changes in others:
        found = compared(report(case()), report(case(), case(WRONG, **changes)))
        ((change),) = found.cases
        assert (change.old, change.new) == (None, "failed")
    labels = [
        compared(report(case()), report(case(WRONG, **each))).cases[0].case for each in others
    ]
    assert labels[:4] == [
        "1x16x33x33 · bfloat16 · eval",
        "1x16x33x33 · train",
        "1x16x33x33 · eval · channels-last",
        "1x16x33x33 · eval · stride=2",
    ]


def test_a_failure_for_another_reason_is_a_change():
    other = replace(WRONG, message="RuntimeError: boom", kind="error")
    (change,) = compared(report(case(WRONG)), report(case(other))).cases
    assert (change.old, change.new, change.reason) == ("failed", "failed", "RuntimeError: boom")


def test_skipped_is_neither_good_nor_bad():
    found = compared(report(case()), report(case(Skipped("too small"))))
    assert totals(found)["skipped"] == (0, 1)
    assert [(each.old, each.new) for each in found.cases] == [("passed", "skipped")]


def test_proofs():
    other = proof(output="B, 16, H//2, W")
    narrower = proof(constraints=("H % 2 == 0",))
    refuted = proof(verdict="refuted", reason="at H = 7")
    old = report(case(), proofs=(proof(),))
    reasons = [
        compared(old, report(case(), proofs=(each,))).cases[0].reason
        for each in (other, narrower, refuted)
    ]
    assert reasons == [
        "output B, 16, H, W -> B, 16, H//2, W",
        "runs at all sizes -> H % 2 == 0",
        "at H = 7",
    ]
    found = compared(old, report(case(), proofs=(refuted,)))
    assert found.statements[0].kind == "proofs"
    assert totals(found)["refuted"] == (0, 1)


def test_a_contract_that_changed():
    old, new = report(case()), report(case())
    target = replace(new.targets[0], contract="B, 8, H, W")
    (statement,) = compare_shapes(old, replace(new, targets=(target,))).statements
    assert statement.text == "net.py:Net is held to B, 16, H, W -> B, 8, H, W"


def test_many_cases_are_one_statement():
    shapes = [(1, 16, size, size) for size in range(8, 40)]
    old = report(*(case(None, *shape) for shape in shapes))
    new = report(*(case(WRONG, *shape) for shape in shapes))
    (statement,) = compared(old, new).statements
    assert statement.text == "32 cases fail now: net.py:Net (the output is one row short)"


def test_inputs_of_other_dtypes_are_named_once():
    ids = case(Passed(), 2, 8, inputs=(TensorSpec((2, 8), "int64"),), dtype="int64")
    (change,) = compared(report(ids), report(replace(ids, outcome=WRONG))).cases
    assert change.case == "2x8:int64 · eval"
