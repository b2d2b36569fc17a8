from __future__ import annotations

import random
from statistics import median

from blocktool.render.charts import bars, sparkline, timeline
from blocktool.render.styled import ASCII, UNICODE


def test_a_curve_goes_from_the_lowest_level_to_the_highest():
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8], 20, UNICODE) == "▁▂▃▄▅▆▇█"
    assert sparkline([8.0, 1.0], 20, ASCII) == "@."
    assert sparkline([5, 5, 5], 20, UNICODE) == "▁▁▁"
    assert sparkline([], 20, UNICODE) == ""


def test_a_curve_of_many_values_shows_medians_in_order():
    drawn = random.Random(3)
    values = [drawn.gauss(100 + index // 250, 0.1) for index in range(1_000)]
    shown = sparkline(values, 40, UNICODE)
    assert len(shown) == 40
    levels = [UNICODE.levels.index(char) for char in shown]
    # Four steps of ten cells each, by the medians of 25 values.
    means = [sum(levels[i : i + 10]) / 10 for i in range(0, 40, 10)]
    assert means == sorted(means)
    assert means[-1] - means[0] > 5
    spike = [1.0] * 999 + [50.0]
    assert sparkline(spike, 10, UNICODE) == "▁" * 10
    assert median(spike[-100:]) == 1.0


def test_the_peak_of_a_timeline_alone_is_at_the_highest_level():
    points = [(0.0, 10), (1.0, 90), (1.01, 10), (5.0, 80), (10.0, 10)]
    shown, peak = timeline(points, 20, UNICODE)
    assert len(shown) == 20
    # The peak lasts 0.01 ms of 10, and is not lost; cells are half a ms wide.
    assert peak == 2
    assert shown[2] == "█"
    assert shown.count("█") == 1
    assert set(shown[10:]) == {"▆"}  # 70 of 80 above the lowest
    assert shown[3:10] == "▁" * 7


def test_nothing_is_drawn_of_nothing():
    assert timeline([], 20, UNICODE) == ("", None)
    assert timeline([(0.0, 5)], 20, UNICODE) == ("", None)
    assert timeline([(0.0, 5), (0.0, 9)], 20, UNICODE) == ("", None)
    assert timeline([(0.0, 5), (2.0, 5)], 4, UNICODE) == ("▁▁▁▁", 0)


def test_bars_are_as_long_as_their_figures():
    rows = [("a", 50.0, "50"), ("longer", 100.0, "100"), ("c", 0.0, "0")]
    texts = ["".join(text for text, _ in line) for line in bars(rows, 70, UNICODE)]
    assert [text.count("█") for text in texts] == [24, 48, 0]
    assert [text.split()[0] for text in texts] == ["a", "longer", "c"]
    assert len({len(text) for text in texts}) == 1
    assert all(len(text) <= 40 for text in map("".join, _texts(bars(rows, 40, ASCII))))


def _texts(lines: list) -> list[list[str]]:
    return [[text for text, _ in line] for line in lines]
