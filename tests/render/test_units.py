from __future__ import annotations

import pytest

from blocktool.render import units


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.000 K"),
        (25_557_032, "25.557 M"),
        (4_089_184_256, "4.089 G"),
        (999_999, "999.999 K"),
        (999_999_600, "1.000 G"),
        (21_800_000_000_000, "21.800 T"),
        (10**23, "100000.000 E"),
    ],
)
def test_counts(number: int, text: str):
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.00 KiB"), (102_228_128, "97.49 MiB"),
     (1_048_575, "1.00 MiB"), (2**40, "1.00 TiB")],
)  # fmt: skip
def test_sizes(nbytes: int, text: str):
    assert units.size(nbytes) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [(0.0, "0%"), (0.0001, "<0.1%"), (0.0286, "2.9%"), (0.9996, "100%"), (1.0, "100%")],
)
def test_percents(part: float, text: str):
    assert units.percent(part) == text


def test_ratios_and_shapes():
    assert [units.ratio(value) for value in (0.0, 0.1254, 19.27, 1280.4)] == [
        "0", "0.125", "19.3", "1280"
    ]  # fmt: skip
    assert units.shape((1, 3, 224, 224)) == "1x3x224x224"
    assert units.shape(()) == "scalar"
