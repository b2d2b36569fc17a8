from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from render import profiles
from render.profile_pieces import case, profile

from blocktool.render import profile_words as words
from blocktool.render.profile_keys import items_shape, keys_of, named, shared, whose
from blocktool.render.profile_notes import notes, protocol
from blocktool.results.profile import FailureKind, Machine, Notice, Profile, SkipKind
from blocktool.results.specs import TensorSpec


def test_every_outcome_has_its_words():
    assert set(words.KINDS) == {*get_args(FailureKind), *get_args(SkipKind)}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (profiles.single(), "1 case measured"),
        (profiles.batches(), "3 cases measured, 1 failed (out of memory at batch 512), 1 skipped"),
        (profiles.interrupted(), "interrupted: 1 case measured, 2 skipped"),
        (profiles.assumed(), "2 cases predicted for NVIDIA H100 SXM"),
        (profiles.largest(), "2 cases measured, largest batch 312"),
        (profile(), "0 cases measured"),
    ],
)
def test_the_conclusion(made: Profile, told: str):
    assert words.conclusion(made) == told


def test_the_conclusion_names_the_kinds_of_failure():
    failed = profiles.batches().cases[3]
    crash = replace(failed, kind="crash")
    made = profile(
        case(0, 1), replace(failed, index=1), replace(failed, index=2, batch=600), crash,
    )  # fmt: skip
    assert words.conclusion(made).startswith("1 case measured, 3 failed (out of memory at batch 51")
    assert "and 1 more; crash at batch 512" in words.conclusion(made)
    assert words.conclusion(profile(failed)) == "0 cases measured, 1 failed (out of memory)"


def test_cases_are_named_by_what_varies():
    a, b = case(0, 1), case(1, 8, dtype="bfloat16", variant="fused")
    keys = keys_of((a, b))
    assert [key.title for key in keys] == ["Batch", "Dtype", "Variant"]
    assert named(b, keys) == "batch 8, bfloat16, fused"
    assert keys_of((a,)) == ()
    assert [key.title for key in keys_of((a, replace(a, index=1)))] == ["Case"]
    wide = replace(a, index=1, inputs=(TensorSpec((1, 3, 512, 512)),))
    assert named(wide, keys_of((a, wide))) == "size 3x512x512"
    amp = replace(a, index=1, amp=True)
    assert named(amp, keys_of((a, amp))) == "float32 amp"


def test_what_all_cases_share():
    assert shared((case(0, 1), case(1, 8))) == ["3x224x224 an item", "float32", "inference"]
    assert shared((case(0, 1, variant="bf16"),)) == ["1x3x224x224", "float32", "inference", "bf16"]
    assert shared(()) == []
    text = (TensorSpec((2, 77), "int64"), TensorSpec((1, 4)), TensorSpec(()))
    assert items_shape(text, 2) == "77, 1x4, scalar"
    assert items_shape((), None) == "nothing"


def test_where_it_ran():
    assert words.place(profiles.single()) == [
        "AMD EPYC 7B13 (cpu)", "2 threads on 2 cores", "torch 2.13.0"
    ]  # fmt: skip
    assert words.place(profiles.small())[1] == "driver 550.54.15"
    assert words.place(profiles.assumed()) == ["torch 2.13.0"]
    plain = Machine("cpu", "cpu", None, 1, 1)
    assert words.place(profile(case(), machine=plain))[:2] == ["cpu", "1 thread on 1 core"]


def test_whose_a_warning_is():
    cases = tuple(case(i, 2**i) for i in range(6))
    assert whose((), cases) == ""
    assert whose(range(6), cases) == ""
    assert whose((0, 2), cases) == "batch 1; batch 4"
    assert whose((0, 1, 2, 3, 4), cases) == "5 of 6 cases"
    notice = Notice("noisy", "it spreads", "wait", (1,))
    assert words.warning(notice, cases) == "batch 2: it spreads"
    assert words.warning(notice, cases[1:2]) == "it spreads"


def test_a_note_that_cases_share_is_told_once():
    cases = [case(i, 2**i, notes=("cast",) if i else ("cast", "alone")) for i in range(3)]
    assert notes(profile(*cases, notes=("first",))) == ["first", "cast", "batch 1: alone"]


def test_how_it_was_measured():
    told = protocol(profiles.training())
    assert told is not None
    assert told.startswith("timed for at least 1 s a case, then to ±1% or for 10 s; each case in")
    assert "optimizer sgd" in told
    assert "sgd" not in str(protocol(profiles.single()))
    assert protocol(profiles.assumed()) is None
    made = profiles.single()
    cold = replace(made, protocol=replace(made.protocol, cold_cache=True, isolated=False))
    assert "all in one process; caches cleared before each sample" in str(protocol(cold))
