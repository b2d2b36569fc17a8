"""A diagram as an SVG picture that stands alone: no script, no font, nothing from elsewhere.

Colours follow the reader's scheme, light or dark. Where a program knows no such thing, and in
print, it is light.
"""

from __future__ import annotations

from collections.abc import Iterator

from blocktool.analysis.layout import Box, Frame, Layout, Line, Place, Point, layout
from blocktool.render import diagram_text as words
from blocktool.render.diagram_colors import STYLE
from blocktool.render.diagram_view import DiagramView, diagram_view
from blocktool.render.styled import clean
from blocktool.render.svg_text import text_width, xml
from blocktool.render.view import View
from blocktool.results.diagram import Diagram, DiagramNode, Shape

TITLE, DETAIL, GROUP, LABEL = 13.0, 11.5, 12.0, 11.0
"""Sizes of type, in pixels."""
_TITLE_LINE, _DETAIL_LINE = 17.0, 15.0
_ACROSS, _ALONG = 12.0, 8.0
"""Between a box's border and its text."""
_MARGIN = 16.0
_HEADING = 44.0
_LEAST = 56.0


def render(diagram: Diagram, view: View) -> str:
    """The picture, with a newline at its end."""
    return svg(diagram, diagram_view(view))


def svg(diagram: Diagram, view: DiagramView) -> str:
    """As ``render``."""
    found = arranged(diagram, view)
    head = _heading(diagram, view)
    wide = max(text_width(line, size, bold=bold) for line, size, bold in head)
    width = max(found.width, wide) + 2 * _MARGIN
    height = found.height + _HEADING + 2 * _MARGIN
    name, described = xml(words.heading(diagram)), xml(words.description(diagram, view))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{name}: {described}">',
        f"<title>{name}</title>",
        f"<desc>{described}</desc>",
        f"<style>{STYLE}</style>",
        *_markers(),
        f'<rect class="page" width="{_n(width)}" height="{_n(height)}"/>',
    ]
    y = _MARGIN
    for text, size, bold in head:
        y += size + 4
        lines.append(_text(text, "h l" if bold else "d l", _MARGIN, y))
    left = _MARGIN + (width - 2 * _MARGIN - found.width) / 2
    lines.append(f'<g transform="translate({_n(left)} {_n(_HEADING + _MARGIN)})">')
    lines += [
        *_groups(diagram, found, view),
        *_edges(diagram, found, view),
        *_nodes(diagram, found, view),
    ]
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"


def arranged(diagram: Diagram, view: DiagramView) -> Layout:
    """Where everything lies."""
    boxes = []
    for node in diagram.nodes:
        title, details = words.title(node, view.unicode), words.details(node, view)
        wide = [text_width(title, TITLE, bold=True)]
        wide += [text_width(line, DETAIL) for line in details]
        height = _TITLE_LINE + _DETAIL_LINE * len(details) + 2 * _ALONG
        boxes.append(Box(node.id, max(max(wide) + 2 * _ACROSS, _LEAST), height, node.group))
    frames = [
        Frame(
            group.id,
            group.group,
            text_width(words.group_title(group, view.unicode), GROUP),
            GROUP + 6,
        )
        for group in diagram.groups
    ]
    lines = []
    for edge in diagram.edges:
        text = _label(edge.shapes, view)
        sides = (text_width(text, LABEL) + 8, LABEL + 6) if text else (0.0, 0.0)
        lines.append(Line(edge.source, edge.target, *sides))
    return layout(boxes, frames, lines, downwards=view.direction == "TD")


def _label(shapes: tuple[Shape, ...], view: DiagramView) -> str:
    return clean(words.shapes_text(shapes), unicode=view.unicode) if shapes else ""


def _heading(diagram: Diagram, view: DiagramView) -> list[tuple[str, float, bool]]:
    kind = f" ({diagram.root_type})" if diagram.root_type != diagram.target else ""
    total = words.cost_text(diagram.total, view.cost)
    if diagram.symbols and total:
        total += f" at {words.sizes_text(diagram)}"
    head = [(f"{words.shortened(diagram.target)}{kind}", 14.0, True), (total, DETAIL, False)]
    return [(clean(text, unicode=view.unicode), size, bold) for text, size, bold in head if text]


def _markers() -> Iterator[str]:
    yield "<defs>"
    for name in ("tip", "skip"):
        yield (
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path class="{name}" d="M0 0.5L8 4L0 7.5z"/></marker>'
        )
    yield "</defs>"


def _groups(diagram: Diagram, found: Layout, view: DiagramView) -> Iterator[str]:
    for group in diagram.groups:
        place = found.frames[group.id]
        title = xml(words.group_title(group, view.unicode))
        yield f"<g><title>{xml(group.path)}: {title}</title>{_rect(place, 'group', 8)}"
        yield _text(
            words.group_title(group, view.unicode), "g l", place.x + 14, place.y + GROUP + 8
        )
        yield "</g>"


def _edges(diagram: Diagram, found: Layout, view: DiagramView) -> Iterator[str]:
    skips = {(edge.source, edge.target) for edge in diagram.edges if edge.skip}
    for route in found.routes:
        name = "skip" if set(route.lines) <= skips else "tip"
        arrow = f' marker-end="url(#{name})"' if route.arrow else ""
        way = _path(route.points, downwards=view.direction == "TD")
        yield f'<path class="e {name}-line" d="{way}"{arrow}/>'
    for edge in diagram.edges:
        place = found.labels.get((edge.source, edge.target))
        if place is not None:
            x, y = place.x + place.width / 2, place.y + place.height / 2 + LABEL * 0.35
            yield _rect(place, "under", 3)
            yield _text(_label(edge.shapes, view), "k", x, y)


def _path(points: tuple[Point, Point, Point, Point], *, downwards: bool) -> str:
    """Straight, a curve, straight."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    if downwards:
        middle = (by + cy) / 2
        curve = f"C{_n(bx)} {_n(middle)} {_n(cx)} {_n(middle)} {_n(cx)} {_n(cy)}"
        straight = abs(ax - dx) < 0.05
    else:
        middle = (bx + cx) / 2
        curve = f"C{_n(middle)} {_n(by)} {_n(middle)} {_n(cy)} {_n(cx)} {_n(cy)}"
        straight = abs(ay - dy) < 0.05
    start = f"M{_n(ax)} {_n(ay)}"
    end = f"L{_n(dx)} {_n(dy)}"
    return start + end if straight else f"{start}L{_n(bx)} {_n(by)}{curve}{end}"


def _nodes(diagram: Diagram, found: Layout, view: DiagramView) -> Iterator[str]:
    shades = words.shades(diagram, view)
    for node in diagram.nodes:
        place = found.boxes[node.id]
        title, details = words.title(node, view.unicode), words.details(node, view)
        yield f"<g><title>{xml(_told(node, title, details))}</title>"
        yield _rect(place, _class(node, shades[node.id]), 16 if node.kind != "module" else 5)
        x, y = place.x + place.width / 2, place.y + _ALONG + TITLE
        yield _text(title, "t", x, y)
        for line in details:
            y += _DETAIL_LINE
            yield _text(line, "d", x, y)
        yield "</g>"


def _told(node: DiagramNode, title: str, details: list[str]) -> str:
    """All that is known of a node, for who points at it."""
    where = f"in {node.path}" if node.kind == "operation" and node.path else node.path
    return "\n".join(part for part in (where, title, *details) if part)


def _class(node: DiagramNode, shade: int) -> str:
    if node.kind in ("input", "output"):
        return "end"
    return "op" if node.kind == "operation" and not shade else f"s{shade}"


def _text(text: str, name: str, x: float, y: float) -> str:
    return f'<text class="{name}" x="{_n(x)}" y="{_n(y)}">{xml(text)}</text>'


def _rect(place: Place, name: str, radius: int) -> str:
    return (
        f'<rect class="{name}" x="{_n(place.x)}" y="{_n(place.y)}" width="{_n(place.width)}" '
        f'height="{_n(place.height)}" rx="{radius}"/>'
    )


def _n(number: float) -> str:
    """A length, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0") if abs(number) >= 0.05 else "0"
