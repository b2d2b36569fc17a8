"""Room for lines between layers, and where they begin and end at a box."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.analysis.layout_layers import Layers, Segment

_GAP, _MORE_GAP, _MOST_GAP = 26.0, 0.08, 64.0
"""Between layers: more of it where lines go far to the side."""
_TITLE_GAP = 10.0
"""Above and below a frame's title."""
_PORT = 13.0
"""Between the ends of lines at one box."""


def bands_of(layers: Layers) -> list[tuple[float, float]]:
    """Top and bottom of each layer."""
    far: dict[int, float] = {}
    for segment in layers.segments:
        net = segment.net
        u, v = segment.upper, segment.lower
        aside = abs(u.x + u.port(("out", net)) - v.x - v.port(("in", net)))
        far[v.rank] = max(far.get(v.rank, 0.0), aside)
    bands: list[tuple[float, float]] = []
    y = 0.0
    for rank, layer in enumerate(layers.layers):
        if rank:
            near = _TITLE_GAP if layers.titled and rank <= 2 else _GAP
            gap = min(near + _MORE_GAP * far.get(rank, 0.0), _MOST_GAP)
            y += _TITLE_GAP if layers.titled and rank == 1 else gap
        height = max((v.height for v in layer), default=0.0)
        bands.append((y, y + height))
        y += height
    return bands


def ends_of(segments: Sequence[Segment]) -> dict[tuple[int, int], float]:
    """How far from the middle of a box a line begins or ends, where several do; by the number of
    the segment and its end (0: upper)."""
    at: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for number, segment in enumerate(segments):
        u, v = segment.upper, segment.lower
        starts, ends = u.x + u.port(("out", segment.net)), v.x + v.port(("in", segment.net))
        for side, (here, there) in enumerate(((u, ends), (v, starts))):
            if here.is_box and not here.ports:
                at.setdefault((id(here), side), []).append((there - here.x, number))
    found: dict[tuple[int, int], float] = {}
    for (_, side), many in at.items():
        many.sort()
        # Who comes straight from above stays in the middle.
        middle = min(range(len(many)), key=lambda index: (abs(many[index][0]), index))
        straight = abs(many[middle][0]) <= 1.0
        shift = float(middle) if straight else (len(many) - 1) / 2
        segment = segments[many[0][1]]
        width = (segment.upper if side == 0 else segment.lower).width
        step = min(_PORT, (width - 16.0) / max(len(many), 1))
        for index, (_, number) in enumerate(many):
            found[number, side] = (index - shift) * step
    return found
