"""Which cases of two profiles are the same question, and what they are called."""

from __future__ import annotations

from dataclasses import replace

import pytest
from render.profile_pieces import case

from blocktool.analysis.matched_cases import labels, matched
from blocktool.measure.request import CaseSpec
from blocktool.results.specs import TensorSpec


def test_cases_are_found_again_in_any_order() -> None:
    one, eight = case(0, 1), case(1, 8)
    assert matched([one, eight], [eight, one]) == [(one, one), (eight, eight)]


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 4, "inputs": (TensorSpec((4, 3, 224, 224)),)},
        {"inputs": (TensorSpec((8, 3, 256, 256)),)},
        {"inputs": (TensorSpec((8, 3, 224, 224), "bfloat16"),)},
        {"dtype": "bfloat16"},
        {"mode": "training"},
        {"variant": "fused"},
        {"amp": True},
    ],
)
def test_another_question_is_another_case(changes: dict[str, object]) -> None:
    old, new = case(), case(**changes)  # type: ignore[arg-type]
    assert matched([old], [new]) == [(old, None), (None, new)]


def test_a_renamed_input_is_no_other_question() -> None:
    old = case()
    new = replace(old, index=3, inputs=(replace(old.inputs[0], name="image"),))
    assert matched([old], [new]) == [(old, new)]


def test_what_is_asked_twice_is_matched_once_each() -> None:
    first, second = case(0), case(1)
    assert matched([first, second], [second]) == [(first, second), (second, None)]


def test_labels_have_all_that_rules_select_by() -> None:
    made = [
        case(batch=8),
        case(batch=None, inputs=(), mode="training"),
        case(batch=1, dtype="bfloat16", amp=True, variant="fused+compile"),
    ]
    assert labels(made) == [
        "batch 8 · float32 · inference · eager",
        "no batch · float32 · training · eager",
        "batch 1 · bfloat16 · amp · inference · fused+compile",
    ]


def test_sizes_are_told_where_they_tell_cases_apart() -> None:
    made = [case(), case(inputs=(TensorSpec((8, 3, 256, 320)), TensorSpec((77, 2)))), case(batch=1)]
    assert labels(made) == [
        "batch 8 · 3x224x224 · float32 · inference · eager",
        "batch 8 · 3x256x320, 77x2 · float32 · inference · eager",
        "batch 1 · float32 · inference · eager",
    ]


def test_cases_that_are_to_be_run_match_as_well() -> None:
    spec = CaseSpec(0, 8, (TensorSpec((8, 3, 224, 224)),), "float32", "inference")
    assert matched([spec], [replace(spec, index=1)]) == [(spec, replace(spec, index=1))]
    assert labels([spec]) == ["batch 8 · float32 · inference · eager"]
