"""Lays out one frame after the other, the inner ones first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from blocktool.analysis.layout_layers import Layers, Net, Vertex
from blocktool.analysis.layout_lines import bands_of, ends_of
from blocktool.analysis.layout_order import ordered
from blocktool.analysis.layout_place import placed
from blocktool.analysis.layout_types import Box, EdgeKey, Frame, Layout, Line, Place, Route

_PAD = 14.0


@dataclass(slots=True)
class _Inside:
    """A frame that is laid out: its size, and what lies where in it."""

    width: float = 0.0
    height: float = 0.0
    vertices: dict[str, Place] = field(default_factory=dict)
    labels: dict[EdgeKey, Place] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    ports: dict[tuple[str, str], float] = field(default_factory=dict)
    """How far from its left a port is, by ``("in" or "out", source)``."""


class Arrangement:
    """Boxes, frames and lines on their way to their places; :meth:`whole` gives those."""

    def __init__(
        self,
        boxes: Sequence[Box],
        frames: Sequence[Frame],
        lines: Sequence[Line],
        downwards: bool,
    ) -> None:
        self._down = downwards
        self._boxes = {box.id: box for box in boxes}
        self._frames = {frame.id: frame for frame in frames}
        self._order = {box.id: number for number, box in enumerate(boxes)}
        self._around = {
            **{box.id: box.frame for box in boxes},
            **{frame.id: frame.frame for frame in frames},
        }
        self._inside: dict[str | None, _Inside] = {}
        self._nets: dict[str | None, dict[str, Net]] = {}
        for line in lines:
            self._spread(line)

    def whole(self) -> Layout:
        """Every place, seen from the upper left corner."""
        for frame in reversed(self._frames):  # inner ones first
            self._inside[frame] = self._level(frame)
        root = self._inside[None] = self._level(None)
        made: dict[str, dict[str, Place]] = {"boxes": {}, "frames": {}}
        labels: dict[EdgeKey, Place] = {}
        routes: list[Route] = []

        def unfold(inside: _Inside, x: float, y: float) -> None:
            for id_, place in inside.vertices.items():
                moved = Place(place.x + x, place.y + y, place.width, place.height)
                made["frames" if id_ in self._frames else "boxes"][id_] = moved
                if id_ in self._frames:
                    unfold(self._inside[id_], moved.x, moved.y)
            for key, place in inside.labels.items():
                labels[key] = Place(place.x + x, place.y + y, place.width, place.height)
            for route in inside.routes:
                a, b, c, d = ((px + x, py + y) for px, py in route.points)
                routes.append(Route((a, b, c, d), route.lines, route.arrow))

        unfold(root, 0.0, 0.0)
        found = Layout(
            root.width, root.height, made["boxes"], made["frames"], labels, tuple(routes)
        )
        return found if self._down else _turned(found)

    def _spread(self, line: Line) -> None:
        """Note a line in every frame that it runs through."""
        above, below = list(self._way(line.source)), list(self._way(line.target))
        shared = next(frame for frame in above if frame in below)
        child = line.source
        for frame in above[: above.index(shared)]:
            self._net(frame, line.source, child).add(("out", line.source), line.key)
            assert frame is not None
            child = frame
        inner = [line.target, *(f for f in below[: below.index(shared)] if f is not None)]
        self._net(shared, line.source, child).add(
            ("", inner[-1]), line.key, self._label(line, inner)
        )
        for position in range(len(inner) - 1, 0, -1):
            net = self._net(inner[position], line.source, None)
            net.add(("", inner[position - 1]), line.key, self._label(line, inner[:position]))

    def _label(self, line: Line, inner: list[str]) -> tuple[float, float] | None:
        """The label's size, in the frame of the target itself."""
        if len(inner) > 1 or not line.label_width:
            return None
        sides = (line.label_width, line.label_height)
        return sides if self._down else sides[::-1]

    def _net(self, frame: str | None, source: str, child: str | None) -> Net:
        start = ("in", source) if child is None else ("", child)
        return self._nets.setdefault(frame, {}).setdefault(source, Net(source, start))

    def _way(self, id_: str) -> Iterator[str | None]:
        """The frames around a box, from the innermost; None is the last."""
        frame = self._around[id_]
        while frame is not None:
            yield frame
            frame = self._around[frame]
        yield None

    def _vertices(self, frame: str | None) -> list[Vertex]:
        """What lies right in a frame, in the order of the boxes."""
        first: dict[str, int] = {}
        for box in self._boxes.values():
            id_: str | None = box.id
            while id_ is not None and self._around[id_] != frame:
                id_ = self._around[id_]
            if id_ is not None:
                first.setdefault(id_, self._order[box.id])
        found = []
        for id_ in sorted(first, key=lambda each: first[each]):
            inside = self._inside.get(id_)
            if inside is not None:
                ports = {key: x - inside.width / 2 for key, x in inside.ports.items()}
                found.append(Vertex(("", id_), inside.width, inside.height, ports))
            else:
                box = self._boxes[id_]
                sides = (box.width, box.height) if self._down else (box.height, box.width)
                found.append(Vertex(("", id_), *sides))
        return found

    def _level(self, frame: str | None) -> _Inside:
        nets = self._nets.get(frame, {})
        title = self._frames[frame] if frame is not None else None
        sides = (title.title_width, title.title_height) if title and self._down else None
        layers = Layers(self._vertices(frame), nets, framed=title is not None, title=sides)
        ordered(layers)
        placed(layers)
        return self._drawn(layers, title)

    def _drawn(self, layers: Layers, title: Frame | None) -> _Inside:
        """The frame from (0, 0) on, with its padding at the sides; above and below are the layers
        of the ports."""
        every = [v for layer in layers.layers for v in layer]
        left = min((v.x - v.width / 2 for v in every), default=0.0)
        right = max((v.x + v.width / 2 for v in every), default=0.0)
        bands = bands_of(layers)
        inside = _Inside(right - left, bands[-1][1] if bands else 0.0)
        before = 0.0
        if title is not None:
            before = _PAD
            inside.width += 2 * _PAD
            if not self._down:  # what is a side now will be the top, where the title is
                before += title.title_height
                inside.width += title.title_height
                inside.height = max(inside.height, title.title_width + 2 * _PAD)
        for rank, layer in enumerate(layers.layers):
            for v in layer:
                v.x += before - left
                v.y = (bands[rank][0] + bands[rank][1]) / 2
                if v.key[0] == "out":
                    v.y = inside.height
        self._note(layers, bands, inside)
        return inside

    def _note(self, layers: Layers, bands: list[tuple[float, float]], inside: _Inside) -> None:
        for layer in layers.layers:
            for v in layer:
                kind, name = v.key
                place = Place(v.x - v.width / 2, v.y - v.height / 2, v.width, v.height)
                if kind == "":
                    inside.vertices[name] = place
                elif kind in ("in", "out"):
                    inside.ports[kind, name] = v.x
                elif v.label is not None:
                    inside.labels[v.label] = place
        ends = ends_of(layers.segments)
        for number, segment in enumerate(layers.segments):
            u, v = segment.upper, segment.lower
            start = u.x + ends.get((number, 0), u.port(("out", segment.net)))
            end = v.x + ends.get((number, 1), v.port(("in", segment.net)))
            points = (
                (start, u.y + u.height / 2),
                (start, bands[u.rank][1]),
                (end, bands[v.rank][0]),
                (end, v.y - v.height / 2),
            )
            arrow = v.is_box and v.key[1] in self._boxes
            inside.routes.append(Route(points, tuple(segment.lines), arrow))


def _turned(found: Layout) -> Layout:
    """The same, to the right in place of downwards."""

    def turn(places: Mapping[str, Place]) -> dict[str, Place]:
        return {key: Place(p.y, p.x, p.height, p.width) for key, p in places.items()}

    return Layout(
        found.height,
        found.width,
        turn(found.boxes),
        turn(found.frames),
        {key: Place(p.y, p.x, p.height, p.width) for key, p in found.labels.items()},
        tuple(
            Route(tuple((y, x) for x, y in route.points), route.lines, route.arrow)  # type: ignore[arg-type]
            for route in found.routes
        ),
    )
