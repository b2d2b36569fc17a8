"""Small charts in characters: a curve in one line, and bars one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from blocktool.render.styled import Glyphs, Line, bar, pad, width_of


def sparkline(values: Sequence[float], cells: int, glyphs: Glyphs) -> str:
    """The values in their order, from the lowest to the highest level that there is.

    At most ``cells`` wide: where there are more values, a cell is the median of a run of them.
    Values that are all equal lie at the lowest level.
    """
    if not values or cells < 1:
        return ""
    count = min(cells, len(values))
    edges = [len(values) * index // count for index in range(count + 1)]
    heights = [median(values[a:b]) for a, b in pairwise(edges)]
    low, high = min(heights), max(heights)
    return "".join(_level(height, low, high, glyphs.levels) for height in heights)


def timeline(
    points: Sequence[tuple[float, int]], cells: int, glyphs: Glyphs
) -> tuple[str, int | None]:
    """A quantity over time, from the lowest to the highest; and which cell has the peak.

    ``points`` are (time, value), each of which holds until the next; a cell shows the largest
    value of its stretch of time. The highest level is that of the peak alone, where it is first
    reached, so that it is seen without colour too.
    """
    if len(points) < 2 or cells < 2:
        return "", None
    start, end = points[0][0], points[-1][0]
    if end <= start:
        return "", None
    heights: list[int] = []
    for cell in range(cells):
        until = start + (end - start) * (cell + 1) / cells
        since = start + (end - start) * cell / cells
        inside = [value for time, value in points if since <= time < until]
        if cell == cells - 1:
            inside.append(points[-1][1])
        before = [value for time, value in points if time <= since]
        heights.append(max(before[-1:] + inside))
    low, high = min(heights), max(heights)
    peak = heights.index(high)
    shown = [_level(height, low, high, glyphs.levels[:-1]) for height in heights]
    if high > low:
        shown[peak] = glyphs.levels[-1]
    return "".join(shown), peak


def bars(
    rows: Sequence[tuple[str, float, str]],
    width: int,
    glyphs: Glyphs,
    *,
    right: bool = False,
    styles: Sequence[str] = (),
) -> list[Line]:
    """A line to each (label, length, figure): the label, a bar, the figure behind it.

    The longest bar takes what ``width`` leaves, at most 48 columns. Labels stand to the left, or
    to the ``right`` where they are figures; ``styles`` are those of the bars.
    """
    labels = max(width_of(label) for label, _, _ in rows)
    figures = max(width_of(figure) for _, _, figure in rows)
    longest = max(length for _, length, _ in rows)
    cells = max(4, min(48, width - labels - figures - 5))
    lines: list[Line] = []
    for index, (label, length, figure) in enumerate(rows):
        drawn = bar(length / longest if longest else 0.0, cells, glyphs)
        style = styles[index] if styles else "green"
        lines.append(
            [
                (f"  {pad(label, labels, right=right)}  ", ""),
                (pad(drawn, cells), style),
                (f" {pad(figure, figures, right=True)}", "bold"),
            ]
        )
    return lines


def _level(value: float, low: float, high: float, levels: str) -> str:
    if high <= low:
        return levels[0]
    return levels[round((value - low) / (high - low) * (len(levels) - 1))]
