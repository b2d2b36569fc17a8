"""The order within layers, so that few lines cross."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict

from blocktool.analysis.layout_layers import Layers, Segment, Vertex

_SWEEPS = 24
_PATIENCE = 6
"""Sweeps without an improvement after which the search ends."""


def ordered(layers: Layers) -> None:
    """Sort every layer by the middle of its neighbours, up and down again and again, and keep the
    best that was seen. A title stays at the left."""
    upper: dict[int, list[tuple[Vertex, float]]] = defaultdict(list)
    lower: dict[int, list[tuple[Vertex, float]]] = defaultdict(list)
    between: dict[int, list[Segment]] = defaultdict(list)
    for segment in layers.segments:
        u, v = segment.upper, segment.lower
        upper[id(v)].append((u, _aside(u, ("out", segment.net))))
        lower[id(u)].append((v, _aside(v, ("in", segment.net))))
        between[v.rank].append(segment)
    place: dict[int, float] = {}

    def settle(layer: list[Vertex]) -> None:
        layer.sort(key=lambda v: v.key[0] != "title")
        place.update((id(v), float(number)) for number, v in enumerate(layer))

    for layer in layers.layers:
        settle(layer)
    best = [list(layer) for layer in layers.layers]
    least = _crossings(between, place)
    since = 0
    for sweep in range(_SWEEPS):
        if not least or since > _PATIENCE:
            break
        down = sweep % 2 == 0
        near = upper if down else lower
        for layer in layers.layers if down else reversed(layers.layers):
            layer.sort(key=lambda v: _middle(near[id(v)], place, place[id(v)]))
            settle(layer)
        now = _crossings(between, place)
        since += 1
        if now < least:
            least, since = now, 0
            best = [list(layer) for layer in layers.layers]
    for layer, kept in zip(layers.layers, best, strict=True):
        layer[:] = kept


def _aside(vertex: Vertex, port: tuple[str, str]) -> float:
    """Where on a frame a line meets it, as a part of the distance to the next vertex."""
    return 0.9 * vertex.port(port) / vertex.width if vertex.width else 0.0


def _middle(near: list[tuple[Vertex, float]], place: dict[int, float], own: float) -> float:
    if not near:
        return own
    return sum(place[id(v)] + aside for v, aside in near) / len(near)


def _crossings(between: dict[int, list[Segment]], place: dict[int, float]) -> int:
    total = 0
    for segments in between.values():
        ends = sorted(
            (
                place[id(s.upper)] + _aside(s.upper, ("out", s.net)),
                place[id(s.lower)] + _aside(s.lower, ("in", s.net)),
            )
            for s in segments
        )
        seen: list[float] = []
        for _, end in ends:
            total += len(seen) - bisect_left(seen, end + 1e-9)
            insort(seen, end)
    return total
