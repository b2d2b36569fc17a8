from __future__ import annotations

import pytest

from blocktool.analysis.expressions import parse
from blocktool.check.pattern import Pattern, pattern_of
from blocktool.check.plan import Sweep, planned
from blocktool.check.sizes import parse_batches, parse_extents, sizes_of
from blocktool.errors import UsageError
from blocktool.targets.inputs import parse_inputs


def pattern(*inputs: str) -> Pattern:
    return pattern_of(parse_inputs(inputs))


MAP = "1x3x224x224"


def test_usual_sizes_are_of_every_kind() -> None:
    sizes = [(s["H"], s["W"]) for s in sizes_of(pattern(MAP), None, None)]
    assert (224, 224) in sizes
    assert any(h == w for h, w in sizes)
    assert any(h > w for h, w in sizes)
    assert any(h < w for h, w in sizes)
    for power in (2, 4, 8, 16, 32):
        assert any(h % power == 0 and h % (2 * power) for h, _ in sizes), power
    assert {1, 2, 3} <= {h for h, _ in sizes}
    assert any(h in (31, 37, 41, 43) for h, _ in sizes)  # prime
    assert {s["B"] for s in sizes_of(pattern(MAP), None, None)} == {1, 2, 3}


@pytest.mark.parametrize("other", ["C", "N_context"])
def test_batch_and_further_symbols_do_not_always_change_together(other: str) -> None:
    """Otherwise a relation could not tell them apart."""
    free = Pattern(pattern(MAP).inputs, {"B": 1, "H": 32, "W": 32, "C": 16}, {}, tuple("BCHW"))
    seen = sizes_of(free if other == "C" else pattern("1x9x8", "context=1x64x8"), None, None)
    for batch in (1, 2, 3):
        assert len({sizes[other] for sizes in seen if sizes["B"] == batch}) > 1


def test_sizes_that_were_asked_for() -> None:
    extents = parse_extents(["32, 33,64x48"])
    assert extents == ((32,), (33,), (64, 48))
    sizes = sizes_of(pattern(MAP), (1, 8), extents)
    assert [(s["B"], s["H"], s["W"]) for s in sizes] == [
        *((1, 32, 32), (8, 32, 32), (1, 33, 33), (8, 33, 33), (1, 64, 48), (8, 64, 48)),
    ]
    tokens = sizes_of(pattern("1x196x384"), (1,), parse_extents(["49"]))
    assert tokens == [{"B": 1, "N": 49}]
    video = sizes_of(pattern("1x3x8x32x32"), (1,), parse_extents(["16", "4x16x12"]))
    assert [(s["T"], s["H"], s["W"]) for s in video] == [(8, 16, 16), (4, 16, 12)]


@pytest.mark.parametrize("text", ["3a", "", "0", "1x2x3x4", "-1", "1.5", "32,,33", "9999999"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_extents([text])


def test_a_size_of_more_dimensions_than_vary() -> None:
    with pytest.raises(UsageError, match="the input has 1"):
        sizes_of(pattern("1x196x384"), None, parse_extents(["14x14"]))


@pytest.mark.parametrize("text", ["0", "a", "", "1,,2", "-3"])
def test_what_is_no_batch(text: str) -> None:
    with pytest.raises(UsageError):
        parse_batches([text])


def test_every_mode_at_every_size_and_dtypes_at_few() -> None:
    cases = planned(pattern(MAP), Sweep(), None, {})
    sizes = len(sizes_of(pattern(MAP), None, None))
    plain = [case for case in cases if not case.channels_last]
    assert sum(case.dtype == "float32" for case in plain) == 2 * sizes
    assert 0 < sum(case.dtype == "bfloat16" for case in plain) < sizes
    last = [case for case in cases if case.channels_last]
    assert {(case.dtype, case.mode) for case in last} == {
        (dtype, mode) for dtype in ("float32", "bfloat16") for mode in ("eval", "train")
    }
    assert not [c for c in planned(pattern("1x9x8"), Sweep(), None, {}) if c.channels_last]
    assert {c.dtype for c in planned(pattern("1x9:int64"), Sweep(), None, {})} == {"float32"}


def test_dtypes_that_were_asked_for_are_tried_at_every_size() -> None:
    sweep = Sweep(dtypes=("float32", "float16"), modes=("eval",), channels_last=False)
    cases = planned(pattern(MAP), sweep, None, {})
    assert sum(case.dtype == "float16" for case in cases) * 2 == len(cases)


def test_only_sizes_for_which_it_is_meant() -> None:
    cases = planned(
        pattern(MAP), Sweep(), parse("H % stride == 0 and W % stride == 0"), {"stride": 32}
    )
    assert {(case.sizes["H"], case.sizes["W"]) for case in cases} == {
        *((32, 32), (64, 96), (224, 224)),
    }
    assert planned(pattern(MAP), Sweep(), parse("H > 100000"), {}) == []


def test_the_inputs_as_they_are() -> None:
    sweep = Sweep(as_given=True, dtypes=("float32",), modes=("train",), channels_last=False)
    (case,) = planned(pattern("2x3x17x19"), sweep, None, {})
    assert pattern("2x3x17x19").at(case.sizes) == parse_inputs(["2x3x17x19"])
