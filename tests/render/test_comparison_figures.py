from __future__ import annotations

from typing import Any

import pytest
from render.comparison_pieces import change, measured

from blocktool.render import comparison_figures as figures


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("params", "Parameters"),
        ("peak_live_bytes", "Peak live bytes"),
        ("latency_ms.p50", "Latency, median"),
        ("phases_ms.backward.p50", "Time of backward"),
        ("phases.optimizer.macs", "MACs of optimizer"),
        ("operations.aten.add_", "Calls of aten.add_"),
        ("of_another_release", "of_another_release"),
        ("a.b.c.d", "a.b.c.d"),
    ],
)
def test_names(metric: str, told: str):
    assert figures.name(metric) == told


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [
        ("params", 25_557_032, "25.557 M"),
        ("params", 3.0, "3"),
        ("arithmetic_intensity", 31.25, "31.25"),
        ("peak_live_bytes", 61_239_296, "58.40 MiB"),
        ("phases.backward.read_bytes", 2048, "2.00 KiB"),
        ("latency_ms.p50", 12.345, "12.35 ms"),
        ("phases_ms.forward.p50", 0.5, "500.0 µs"),
        ("throughput", 812.0, "812.0/s"),
        ("param_dtype", "bfloat16", "bfloat16"),
        ("macs", None, "-"),
    ],
)
def test_figures_in_their_unit(metric: str, value: Any, told: str):
    assert figures.figure(metric, value) == told


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (change("params", 10**6, 2 * 10**6), ("1.000 M", "2.000 M")),
        (change("params", 25_557_032, 25_557_042), ("25,557,032", "25,557,042")),
        (change("read_bytes", 10_485_760, 10_485_761), ("10,485,760 B", "10,485,761 B")),
        (change("latency_ms.p50", 1.00001, 1.00002), ("1.00001 ms", "1.00002 ms")),
        (change("params", 25_557_032, 25_557_032), ("25.557 M", "25.557 M")),
        (change("params", None, 5), ("-", "5")),
    ],
)
def test_sides_that_differ_never_read_alike(made: Any, told: tuple[str, str]):
    assert figures.before_and_after(made) == told


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (0.123, "+12.3%"),
        (-0.004, "-0.4%"),
        (19.0, "+1,900%"),
        (0.00012, "+0.01%"),
        (4e-11, "+<0.001%"),
        (-1.0, "-100.0%"),
        (0.0, "0.0%"),
    ],
)
def test_changes_have_a_sign(part: float, told: str):
    assert figures.signed(part) == told


@pytest.mark.parametrize(
    ("made", "told", "tone"),
    [
        (change("macs", 100, 112.5), "12.5% more", "worse"),
        (change("macs", 100, 97), "3.0% less", "better"),
        (change("macs", 0, 97), "increased", "worse"),
        (change("macs", 100, 100), "the same", "neutral"),
        (change("passed", 4, 3), "25.0% less", "worse"),
        (change("arithmetic_intensity", 4, 5), "25.0% more", "neutral"),
        (change("param_dtype", "float32", "float16"), "changed", "neutral"),
        (
            measured("latency_ms.p50", 10, 11.23, 0.098, 0.149),
            "12.3% slower (9.8% – 14.9%)",
            "worse",
        ),
        (measured("latency_ms.p50", 10, 9, -0.12, -0.08), "10.0% faster (8.0% – 12.0%)", "better"),
        (measured("throughput", 10, 9, -0.12, -0.08), "10.0% lower (8.0% – 12.0%)", "worse"),
        (measured("throughput", 10, 12, None, None), "20.0% higher", "better"),
        (
            measured("latency_ms.p50", 10, 10.1, -0.01, 0.02, verdict="same"),
            "the same to within 2.5%",
            "neutral",
        ),
        (
            measured("latency_ms.p50", 10, 11, -0.02, 0.3, verdict="inconclusive"),
            "inconclusive (-2.0% to +30.0%)",
            "neutral",
        ),
        (
            measured("latency_ms.p50", 10, 11, None, None, verdict="not compared"),
            "not compared",
            "neutral",
        ),
    ],
)
def test_verdicts(made: Any, told: str, tone: str):
    assert figures.verdict(made, 0.025) == told
    assert figures.tone(made) == tone


def test_differences():
    assert figures.difference(change("params", 10, 46_874)) == "+46.864 K"
    assert figures.difference(change("read_bytes", 4096, None)) == "-4.00 KiB"
    assert figures.difference(change("params", None, 7)) == "+7"
    assert figures.difference(change("params", 7, 7)) == ""
    assert figures.difference(change("param_dtype", "a", "b")) == ""
    assert figures.change_text(change("failed", 0, 2)) == "+2"
    assert figures.change_text(change("failed", None, 2)) == ""
