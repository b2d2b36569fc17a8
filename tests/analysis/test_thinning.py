from __future__ import annotations

import random

from blocktool.analysis.thinning import MOST_POINTS, Point, thinned


def walk(count: int, seed: int = 0) -> list[Point]:
    draw = random.Random(seed)
    ms, size, points = 0.0, 10**6, list[Point]()
    for _ in range(count):
        ms += draw.expovariate(1.0)
        size += draw.randrange(-1000, 1001)
        points.append((ms, size))
    return points


def test_few_points_stay_as_they_are() -> None:
    points = walk(MOST_POINTS)
    assert thinned(points) == points
    assert thinned([]) == []


def test_the_ends_the_peak_and_what_is_to_be_kept_stay() -> None:
    for seed in range(20):
        points = walk(5000, seed)
        kept = thinned(points, keep=(17, 4000))
        assert len(kept) <= MOST_POINTS
        assert kept == sorted(set(kept))
        assert {points[0], points[17], points[4000], points[-1]} <= set(kept) <= set(points)
        assert max(size for _, size in kept) == max(size for _, size in points)


def test_a_short_spike_in_any_place_stays() -> None:
    for place in (1, 250, 2503, 4998):
        points = [(float(i), 100 + i % 2) for i in range(5000)]
        points[place] = (float(place), 5)
        points[3000] = (3000.0, 10**6)
        assert points[place] in thinned(points)


def test_all_at_one_moment() -> None:
    points = [(0.0, size) for size in (*range(1000), *range(1000, 0, -1))]
    kept = thinned(points)
    assert max(size for _, size in kept) == 1000
    assert len(kept) <= MOST_POINTS
