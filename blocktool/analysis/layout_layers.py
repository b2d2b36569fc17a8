"""The layers of a layout: which box in which, and the places of lines that pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[str, str]
"""``("", id)`` of a box or frame, ``("in" | "out", source)`` of a port, other words of ours."""
LinesKey = tuple[str, str]


@dataclass(slots=True, eq=False)
class Vertex:
    """Something with a place in a layer; (x, y) is its middle."""

    key: Key
    width: float = 0.0
    height: float = 0.0
    ports: Mapping[Key, float] = field(default_factory=dict)
    """Of a frame: how far from its middle lines enter and leave it."""
    rank: int = 0
    x: float = 0.0
    y: float = 0.0
    label: LinesKey | None = None

    def port(self, key: Key) -> float:
        """How far from the middle a line enters or leaves."""
        return self.ports.get(key, 0.0)

    @property
    def is_box(self) -> bool:
        """Whether it is a box or a frame."""
        return self.key[0] == ""

    @property
    def is_line(self) -> bool:
        """Whether it is the place of a line that passes."""
        return self.key[0] == "line"


@dataclass(slots=True)
class Net:
    """All that one box's result is brought to, within a frame; ``start`` is where it comes from.

    ``ends`` has the lines that lead to each end, ``labels`` the sizes of labels.
    """

    source: str
    start: Key
    ends: dict[Key, dict[LinesKey, None]] = field(default_factory=dict)
    labels: dict[Key, tuple[LinesKey, tuple[float, float]]] = field(default_factory=dict)

    def add(self, end: Key, line: LinesKey, label: tuple[float, float] | None = None) -> None:
        """One line more."""
        self.ends.setdefault(end, {})[line] = None
        if label is not None:
            self.labels[end] = line, label


@dataclass(slots=True)
class Segment:
    """From a place in one layer to one in the next."""

    net: str
    upper: Vertex
    lower: Vertex
    lines: dict[LinesKey, None]


class Layers:
    """Vertices in layers, and segments between neighbouring ones.

    A frame has a layer of ports above and one below; a ``title`` (width, height) lies in a layer
    of its own, so that no line runs through it.
    """

    def __init__(
        self,
        boxes: list[Vertex],
        nets: Mapping[str, Net],
        *,
        framed: bool,
        title: tuple[float, float] | None,
    ) -> None:
        self.titled = title is not None
        self.segments: list[Segment] = []
        self._nets = nets
        self._found = {vertex.key: vertex for vertex in boxes}
        for net in nets.values():
            for key in (net.start, *net.ends):
                if key not in self._found:
                    self._found[key] = Vertex(key)
        last = self._rank(boxes, framed + self.titled)
        self.layers: list[list[Vertex]] = [[] for _ in range(last + 1 + framed)]
        if title is not None:
            self.layers[1].append(Vertex(("title", ""), *title, rank=1))
        for vertex in self._found.values():
            self.layers[vertex.rank].append(vertex)
        for net in nets.values():
            self._lead(net)

    def _rank(self, boxes: list[Vertex], first: int) -> int:
        """Every box below what it reads, from layer ``first`` on, ports above and below all; a box
        that reads nothing right above its first reader. Returns the last layer of boxes."""
        above: dict[Key, list[tuple[Key, int]]] = {}
        for net in self._nets.values():
            for end in net.ends:
                above.setdefault(end, []).append((net.start, 2 if end in net.labels else 1))
        for vertex in boxes:
            vertex.rank = max(
                (self._found[key].rank + length for key, length in above.get(vertex.key, ())),
                default=first,
            )
            vertex.rank = max(vertex.rank, first)
        for vertex in reversed(boxes):
            if vertex.key not in above:
                least = [
                    self._found[end].rank - (2 if end in net.labels else 1)
                    for net in self._nets.values()
                    if net.start == vertex.key
                    for end in net.ends
                    if end[0] == ""
                ]
                vertex.rank = max(min(least, default=first), vertex.rank)
        last = max((vertex.rank for vertex in boxes), default=first)
        for vertex in self._found.values():
            if vertex.key[0] == "out":
                vertex.rank = last + 1
        return last

    def _lead(self, net: Net) -> None:
        """The segments of a net, and places for it in the layers between."""
        start = self._found[net.start]
        at: dict[int, Vertex] = {start.rank: start}
        passing: dict[int, Segment] = {}
        for end, lines in sorted(net.ends.items(), key=lambda each: self._found[each[0]].rank):
            target = self._found[end]
            goal = target
            if end in net.labels:
                line, (width, height) = net.labels[end]
                goal = Vertex(
                    ("label", net.source), width, height, rank=target.rank - 1, label=line
                )
                self.layers[goal.rank].append(goal)
                self.segments.append(Segment(net.source, goal, target, dict(lines)))
            for rank in range(start.rank + 1, goal.rank):
                if rank not in at:
                    # Beside a title a line is still where the port is.
                    kind = "pass" if self.titled and rank == 1 else "line"
                    at[rank] = Vertex((kind, net.source), rank=rank)
                    self.layers[rank].append(at[rank])
                    passing[rank] = Segment(net.source, at[rank - 1], at[rank], {})
                    self.segments.append(passing[rank])
                passing[rank].lines.update(lines)
            above = at.get(goal.rank - 1, start)
            self.segments.append(Segment(net.source, above, goal, dict(lines)))
