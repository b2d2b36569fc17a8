from __future__ import annotations

import pytest

from blocktool.check.pattern import pattern_of
from blocktool.results.specs import TensorSpec
from blocktool.targets.inputs import parse_inputs


def shapes(*inputs: str) -> list[tuple[int | str, ...]]:
    return [tensor.shape for tensor in pattern_of(parse_inputs(inputs)).inputs]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["1x3x224x192"], [("B", 3, "H", "W")]),
        (["1x196x384"], [("B", "N", 384)]),
        (["4x10"], [("B", 10)]),
        (["2x77:int64"], [("B", "N")]),
        (["1x3x8x32x32"], [("B", 3, "T", "H", "W")]),
        (["16"], [("N",)]),
        (["1x196x384", "context=1x64x384"], [("B", "N", 384), ("B", "N_context", 384)]),
        (["1x64x32x32", "skip=1x128x64x64"], [("B", 64, "H", "W"), ("B", 128, "2*H", "2*W")]),
        (["1x64x32x32", "1x256x16x16"], [("B", 64, "H", "W"), ("B", 256, "H/2", "W/2")]),
        (["1x10x64", "1x10x64", "mask=10x10:bool"], [("B", "N", 64), ("B", "N", 64), ("N", "N")]),
    ],
)
def test_what_dimensions_are_called(
    inputs: list[str], expected: list[tuple[int | str, ...]]
) -> None:
    assert shapes(*inputs) == expected


def test_inputs_at_other_sizes() -> None:
    pattern = pattern_of(parse_inputs(["1x64x32x32", "skip=1x128x16x64"]))
    assert pattern.base == {"B": 1, "H": 32, "W": 32}
    assert pattern.constants == {"C": 64, "C_skip": 128}
    assert pattern.at({"B": 3, "H": 8, "W": 5}) == (
        TensorSpec((3, 64, 8, 5)),
        TensorSpec((3, 128, 4, 10), "float32", "skip"),
    )
    assert pattern.at({"H": 7}) is None  # H/2 would be three and a half
    assert pattern.bindings({"H": 8}) == {"B": 1, "H": 8, "W": 32, "C": 64, "C_skip": 128}


def asked(*free: int) -> list[tuple[int | str, ...]]:
    """The pattern of a map of which these dimensions may be doubled."""
    own = (1, 16, 32, 32) if 3 in free or 1 in free else (1, 32, 32, 16)

    def runs(inputs: tuple[TensorSpec, ...]) -> bool:
        changed = [a for a, (x, y) in enumerate(zip(inputs[0].shape, own, strict=True)) if x != y]
        return set(changed) <= set(free)

    return [tensor.shape for tensor in pattern_of([TensorSpec(own)], runs).inputs]


def test_the_module_is_asked_where_there_are_several_readings() -> None:
    assert asked(2, 3) == [("B", 16, "H", "W")]
    assert asked(1, 2, 3) == [("B", "C", "H", "W")]  # it takes any number of channels
    assert asked(1, 2) == [("B", "H", "W", 32)]  # channels-last
    assert asked() == [("B", "H", "W", 16)] or asked() == [("B", 32, "H", "W")]
