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


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.0, "0 s"),
        (0.0000123, "12.30 ns"),
        (0.0431, "43.10 µs"),
        (0.99999, "1.000 ms"),
        (12.3456, "12.35 ms"),
        (412.34, "412.3 ms"),
        (999.96, "1.000 s"),
        (75_250, "75.25 s"),
        (12_345_678, "12346 s"),
    ],
)
def test_durations_keep_four_digits(ms: float, text: str):
    assert units.duration(ms) == text


def test_a_range_has_one_unit():
    assert units.durations(0.95, 1.234) == "0.9500 – 1.234 ms"
    assert units.durations(404.36, 420.53, between="–") == "404.4–420.5 ms"
    assert units.durations(900, 1100) == "0.9000 – 1.100 s"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.00002, "2.0e-05"), (0.0612, "0.06120"), (9.9999, "10.00"), (61.24, "61.24"),
     (999.96, "1,000"), (23_201.4, "23,201"), (1_234_567, "1,234,567")],
)  # fmt: skip
def test_figures(number: float, text: str):
    assert units.figure(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.604, "0.604"),
        (6.0152, "6.02"),
        (99.96, "100"),
        (158.7, "159"),
        (6_243, "6,243"),
    ],
)
def test_rates_in_columns(number: float, text: str):
    assert units.rate(number) == text


def test_rates_with_units():
    assert units.gflops(158.68) == "158.7 GFLOP/s"
    assert units.gflops(989_400) == "989.4 TFLOP/s"
    assert units.gflops(0.0123) == "12.30 MFLOP/s"
    assert units.gbytes(14.2) == "14.20 GB/s"
    assert units.gbytes(3_350) == "3.350 TB/s"
    assert units.gbytes(0.05) == "50.00 MB/s"


def test_shares_and_errors():
    shares = [units.whole_percent(share) for share in (0.0, 0.001, 0.844, 1.12)]
    assert shares == ["0%", "<1%", "84%", "112%"]
    intervals = [units.precision(part) for part in (0.0, 0.00001, 0.0042, 0.031, 0.124, 2.0)]
    assert intervals == ["±0%", "±<0.01%", "±0.42%", "±3.1%", "±12%", "±200%"]
    errors = [units.error(value) for value in (0.0, 3.14e-6, 1.0, None, float("nan"))]
    assert errors == ["0", "3.1e-6", "1.0e0", "not finite", "not finite"]
    assert [units.seconds(value) for value in (0.25, 1.0, 41.68, 3_600.0)] == [
        "0.25 s", "1 s", "41.7 s", "3,600 s"
    ]  # fmt: skip
