"""Live bytes over time, thinned out for a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, int]
"""ms since the start, and the bytes that are live from then on."""

MOST_POINTS = 200


def thinned(
    points: Sequence[Point], keep: Iterable[int] = (), most: int = MOST_POINTS
) -> list[Point]:
    """At most ``most`` of ``points``, which are in order of time.

    The first, the last, the highest and those with an index in ``keep`` stay; of the others the
    lowest and the highest in each of equally long intervals. ``keep`` and three must be fewer than
    ``most``.
    """
    if len(points) <= most:
        return list(points)
    highest = max(range(len(points)), key=lambda i: points[i][1])
    chosen = {0, len(points) - 1, highest, *keep}
    intervals = (most - len(chosen)) // 2
    first, last = points[0][0], points[-1][0]
    width = (last - first) / intervals if intervals and last > first else 1.0
    extremes: dict[int, tuple[int, int]] = {}
    for i, (ms, size) in enumerate(points):
        interval = min(int((ms - first) / width), intervals - 1)
        low, high = extremes.setdefault(interval, (i, i))
        if size < points[low][1]:
            low = i
        if size > points[high][1]:
            high = i
        extremes[interval] = low, high
    if intervals:
        chosen.update(i for pair in extremes.values() for i in pair)
    return [points[i] for i in sorted(chosen)]
