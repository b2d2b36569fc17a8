"""What every layout must keep to, on graphs at random: nothing overlaps, no line runs through a
box, every line arrives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from blocktool.analysis.layout import Box, Frame, Layout, Line, Place, Route, layout

TITLE = (90.0, 18.0)


def graph(seed: int) -> tuple[list[Box], list[Frame], list[Line]]:
    """Boxes in nested frames, each a stretch of the order, and lines from earlier to later."""
    dice = random.Random(seed)
    boxes: list[Box] = []
    frames: list[Frame] = []

    def fill(frame: str | None, depth: int) -> None:
        for _ in range(dice.randint(1, 4)):
            if depth < 3 and dice.random() < 0.35:
                inner = f"g{len(frames)}"
                frames.append(Frame(inner, frame, *TITLE))
                fill(inner, depth + 1)
            else:
                size = dice.uniform(40, 220), dice.uniform(20, 90)
                boxes.append(Box(f"n{len(boxes)}", *size, frame))

    while len(boxes) < 5:
        fill(None, 0)
    lines = {}
    for number, box in enumerate(boxes[1:], 1):
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            near = dice.random() < 0.6
            source = boxes[number - 1 if near else dice.randrange(number)].id
            label = (70.0, 16.0) if dice.random() < 0.2 else (0.0, 0.0)
            lines[source, box.id] = Line(source, box.id, *label)
    return boxes, frames, list(lines.values())


def overlap(a: Place, b: Place, slack: float = 0.01) -> bool:
    return (
        a.x + slack < b.x + b.width
        and b.x + slack < a.x + a.width
        and a.y + slack < b.y + b.height
        and b.y + slack < a.y + a.height
    )


def inside(inner: Place, outer: Place) -> bool:
    slack = 0.01
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.x + inner.width <= outer.x + outer.width + slack
        and inner.y + inner.height <= outer.y + outer.height + slack
    )


def points_on(route: Route, *, down: bool) -> Iterator[tuple[float, float]]:
    """Points along a route, drawn as it is: straight, a curve with level ends, straight."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = route.points
    for step in range(9):
        t = step / 8
        yield ax + (bx - ax) * t, ay + (by - ay) * t
        yield cx + (dx - cx) * t, cy + (dy - cy) * t
        middle = ((by + cy) / 2,) * 2 if down else ((bx + cx) / 2,) * 2
        first = (bx, middle[0]) if down else (middle[0], by)
        second = (cx, middle[0]) if down else (middle[0], cy)
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        four = ((bx, by), first, second, (cx, cy))
        yield (
            sum(w * p[0] for w, p in zip(weights, four, strict=True)),
            sum(w * p[1] for w, p in zip(weights, four, strict=True)),
        )


def title_place(frame: Frame, place: Place) -> Place:
    return Place(place.x + 14, place.y + 8, frame.title_width, frame.title_height - 6)


def connected(found: Layout, line: Line) -> bool:
    """Whether the pieces of a line lead from its source to its target without a gap."""
    pieces = [route for route in found.routes if line.key in route.lines]
    source, target = found.boxes[line.source], found.boxes[line.target]
    ends = {piece.points[0] for piece in pieces}, {piece.points[3] for piece in pieces}
    label = found.labels.get(line.key)

    def on_border(point: tuple[float, float], place: Place) -> bool:
        x, y = point
        return inside(Place(x, y, 0, 0), place)

    begins = [p for p in ends[0] if on_border(p, source)]
    arrives = [p for p in ends[1] if on_border(p, target)]
    loose = [
        p
        for p in ends[1]
        if p not in arrives
        and not (label and on_border(p, label))
        and not any(abs(p[0] - q[0]) < 0.01 and abs(p[1] - q[1]) < 0.01 for q in ends[0])
    ]
    return bool(begins and arrives and not loose)


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed: int, down: bool) -> None:
    boxes, frames, lines = graph(seed)
    found = layout(boxes, frames, lines, downwards=down)
    assert set(found.boxes) == {box.id for box in boxes}
    whole = Place(0, 0, found.width, found.height)
    around = {**{b.id: b.frame for b in boxes}, **{f.id: f.frame for f in frames}}
    places = {**found.boxes, **found.frames}
    for id_, place in places.items():
        frame = around[id_]
        assert inside(place, found.frames[frame] if frame else whole), id_
    for box in boxes:
        place = found.boxes[box.id]
        assert (place.width, place.height) == pytest.approx((box.width, box.height))
    # Siblings do not overlap, nor do labels and titles.
    for one, other in combinations(places, 2):
        if around[one] == around[other]:
            assert not overlap(places[one], places[other]), (one, other)
    titles = {frame.id: title_place(frame, found.frames[frame.id]) for frame in frames}
    texts = [*found.labels.values(), *titles.values(), *found.boxes.values()]
    for one_, other_ in combinations(texts, 2):
        assert not overlap(one_, other_)
    for route in found.routes:
        for x, y in points_on(route, down=down):
            for id_, place in found.boxes.items():
                shrunk = Place(place.x + 1, place.y + 1, place.width - 2, place.height - 2)
                assert not overlap(Place(x, y, 0.1, 0.1), shrunk), (route.lines, id_)
            for id_, place in titles.items():
                assert not overlap(Place(x, y, 0.1, 0.1), place), (route.lines, id_)
    for line in lines:
        assert connected(found, line), line.key
        assert (line.key in found.labels) == bool(line.label_width)


def test_a_chain_is_straight_and_a_skip_stands_beside_it() -> None:
    boxes = [Box(f"n{i}", 60.0 + 30 * i, 30.0) for i in range(5)]
    lines = [Line(f"n{i}", f"n{i + 1}") for i in range(4)] + [Line("n0", "n4")]
    found = layout(boxes, [], lines)
    middles = {round(p.x + p.width / 2, 3) for p in found.boxes.values()}
    assert len(middles) == 1
    (beside,) = (
        {r.points[0][0] for r in found.routes if r.lines == (("n0", "n4"),)}
        - middles
        - {found.boxes["n0"].x + found.boxes["n0"].width / 2 + 13.0}
    )
    assert beside > max(p.x + p.width for name, p in found.boxes.items() if name in "n1n2n3")


def test_branches_stand_beside_each_other_and_their_ends_in_the_middle() -> None:
    boxes = [Box(name, 80.0, 30.0) for name in "abcde"]
    lines = [Line("a", each) for each in "bcd"] + [Line(each, "e") for each in "bcd"]
    found = layout(boxes, [], lines)
    assert len({found.boxes[each].y for each in "bcd"}) == 1
    assert found.boxes["a"].x == pytest.approx(found.boxes["c"].x, abs=0.2)
    assert found.boxes["e"].x == pytest.approx(found.boxes["c"].x, abs=0.2)


def test_lines_to_several_share_their_way() -> None:
    boxes = [Box(f"n{i}", 80.0, 30.0) for i in range(6)]
    lines = [Line(f"n{i}", f"n{i + 1}") for i in range(5)]
    lines += [Line("n0", "n4"), Line("n0", "n5")]
    shared = [route for route in layout(boxes, [], lines).routes if len(route.lines) == 2]
    assert len(shared) == 3  # beside n1, n2 and n3


def test_nothing_at_all() -> None:
    assert layout([], [], []).boxes == {}
