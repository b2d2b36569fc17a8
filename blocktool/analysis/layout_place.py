"""How far to the side everything in a layout lies.

Vertices that belong below one another (a line on its way, a box and the only one that follows)
are one *block* and share a place, as in Brandes and Köpf (2001). The blocks are pushed together
to the left, and then drawn towards what they are connected with as far as their neighbours let
them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from math import inf

from blocktool.analysis.layout_layers import Layers, Segment, Vertex

_BESIDE, _LINES = 26.0, 16.0
"""The least distance of a box from its neighbour, and of two lines."""
_ROUNDS = 60


def placed(layers: Layers) -> None:
    """Set ``x`` of every vertex."""
    blocks = _Blocks(layers)
    if not blocks.consistent:
        blocks = _Blocks(layers, straight=False)
    blocks.push_left()
    for round_ in range(_ROUNDS):
        if not blocks.draw(leftwards=round_ % 2 == 1):
            break
    for layer in layers.layers:
        for vertex in layer:
            vertex.x = blocks.x_of(vertex)
    _place_title(layers)


def _place_title(layers: Layers) -> None:
    """To the left of the boxes, or right beside the lines that come from above."""
    left = min((v.x - v.width / 2 for each in layers.layers for v in each if v.is_box), default=0.0)
    for title, *others in layers.layers[1:2] if layers.titled else ():
        title.x = left + title.width / 2
        if others:
            title.x = min(title.x, others[0].x - _distance(title, others[0]))


def _distance(left: Vertex, right: Vertex) -> float:
    lines = left.is_line and right.is_line
    return left.width / 2 + right.width / 2 + (_LINES if lines else _BESIDE)


class _Blocks:
    """Blocks by number, and what holds them apart and together."""

    def __init__(self, layers: Layers, *, straight: bool = True) -> None:
        self._layers = layers
        self._block: dict[int, int] = {}
        self._offset: dict[int, float] = {}
        aligned = self._aligned() if straight else {}
        number = 0
        for layer in layers.layers:
            for vertex in layer:
                segment = aligned.get(id(vertex))
                if segment is None:
                    self._block[id(vertex)], self._offset[id(vertex)] = number, 0.0
                    number += 1
                else:
                    above = segment.upper
                    self._block[id(vertex)] = self._block[id(above)]
                    self._offset[id(vertex)] = self._offset[id(above)] + _straight(segment)
        self._x = [0.0] * number
        self._left: list[dict[int, float]] = [{} for _ in range(number)]
        self._right: list[dict[int, float]] = [{} for _ in range(number)]
        self._pulls: list[list[tuple[int, float, float]]] = [[] for _ in range(number)]
        self._hold()
        self._order = self._sorted()

    @property
    def consistent(self) -> bool:
        """Whether no block is to be both left and right of another."""
        return len(self._order) == len(self._x)

    def x_of(self, vertex: Vertex) -> float:
        """The middle of a vertex."""
        return self._x[self._block[id(vertex)]] + self._offset[id(vertex)]

    def _aligned(self) -> dict[int, Segment]:
        """Of each vertex the segment from above that is to be straight."""
        below, above = Counter[int](), Counter[int]()
        solid_below, solid_above = Counter[int](), Counter[int]()
        for s in self._layers.segments:
            below[id(s.upper)] += 1
            above[id(s.lower)] += 1
            solid_below[id(s.upper)] += not s.lower.is_line
            solid_above[id(s.lower)] += not s.upper.is_line
        place = {id(v): n for layer in self._layers.layers for n, v in enumerate(layer)}

        def rank(s: Segment) -> int | None:
            if s.upper.is_line and s.lower.is_line:
                return 0
            if not (s.upper.is_line or s.lower.is_line):
                if solid_below[id(s.upper)] == 1 and solid_above[id(s.lower)] == 1:
                    return 1
            elif below[id(s.upper)] == 1 and above[id(s.lower)] == 1:
                return 2
            return None

        found: dict[int, Segment] = {}
        taken: set[int] = set()
        accepted: dict[int, list[tuple[int, int]]] = defaultdict(list)
        ranked = [
            (r, n, s) for n, s in enumerate(self._layers.segments) if (r := rank(s)) is not None
        ]
        for _, _, s in sorted(ranked, key=lambda each: each[:2]):
            ends = place[id(s.upper)], place[id(s.lower)]
            if id(s.upper) in taken or id(s.lower) in found:
                continue
            if any((ends[0] - a) * (ends[1] - b) < 0 for a, b in accepted[s.lower.rank]):
                continue
            accepted[s.lower.rank].append(ends)
            taken.add(id(s.upper))
            found[id(s.lower)] = s
        return found

    def _hold(self) -> None:
        for layer in self._layers.layers:
            for left, right in pairwise(layer):
                a, b = self._block[id(left)], self._block[id(right)]
                apart = _distance(left, right) + self._offset[id(left)] - self._offset[id(right)]
                self._left[b][a] = max(self._left[b].get(a, apart), apart)
                self._right[a][b] = self._left[b][a]
        for s in self._layers.segments:
            a, b = self._block[id(s.upper)], self._block[id(s.lower)]
            if a == b:
                continue
            weight = 1.0 if s.upper.is_line or s.lower.is_line else 8.0
            net = s.net
            start = self._offset[id(s.upper)] + s.upper.port(("out", net))
            end = self._offset[id(s.lower)] + s.lower.port(("in", net))
            self._pulls[a].append((b, end - start, weight))
            self._pulls[b].append((a, start - end, weight))

    def _sorted(self) -> list[int]:
        """The blocks from left to right."""
        waiting = [len(each) for each in self._left]
        ready = [number for number, count in enumerate(waiting) if not count]
        found: list[int] = []
        while ready:
            block = ready.pop()
            found.append(block)
            for other in self._right[block]:
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)
        return found

    def push_left(self) -> None:
        """As far to the left as what is on the left lets each."""
        for block in self._order:
            self._x[block] = max(
                (self._x[other] + apart for other, apart in self._left[block].items()), default=0.0
            )

    def draw(self, *, leftwards: bool) -> bool:
        """One round; whether anything has moved."""
        moved = False
        for block in self._order if leftwards else reversed(self._order):
            pulls = self._pulls[block]
            # A box follows boxes; only where there are none, the lines.
            heavy = [pull for pull in pulls if pull[2] > 1.0] or pulls
            if not heavy:
                continue
            total = sum(weight for _, _, weight in heavy)
            wish = sum(w * (self._x[other] + aside) for other, aside, w in heavy) / total
            least = max((self._x[o] + a for o, a in self._left[block].items()), default=-inf)
            most = min((self._x[o] - a for o, a in self._right[block].items()), default=inf)
            now = max(min(wish, most), least)
            moved |= abs(now - self._x[block]) > 0.1
            self._x[block] = now
        return moved


def _straight(segment: Segment) -> float:
    """How far the lower vertex is from the upper where the segment is straight."""
    net = segment.net
    return segment.upper.port(("out", net)) - segment.lower.port(("in", net))
