"""What every picture of a diagram says of its nodes."""

from __future__ import annotations

from blocktool.render import units
from blocktool.render.diagram_view import CostKey, DiagramView
from blocktool.render.styled import clean
from blocktool.results.diagram import Cost, Diagram, DiagramGroup, DiagramNode, Shape

_LEVELS = (0.01, 0.05, 0.15, 0.30)
"""Shares of the whole from which on a node is a shade darker."""
SHADES = len(_LEVELS) + 1
_LONGEST = 48
_BETWEEN = " · "


def repeats(diagram: Diagram) -> dict[str, int]:
    """How many there are of each node, those of its groups included, by id."""
    times: dict[str | None, int] = {None: 1}
    for group in diagram.groups:  # outer ones come first
        times[group.id] = group.count * times[group.group]
    return {node.id: node.count * times[node.group] for node in diagram.nodes}


def parts_of(diagram: Diagram, group: str | None) -> list[DiagramNode | DiagramGroup]:
    """What lies right in a group (None: outside of all), in the order of the run."""
    above = {each.id: each.group for each in diagram.groups}
    inner = {each.id: each for each in diagram.groups if each.group == group}
    parts: dict[str, DiagramNode | DiagramGroup] = {}
    for node in diagram.nodes:
        if node.group == group:
            parts[node.id] = node
            continue
        around = node.group
        while around is not None and around not in inner:
            around = above[around]
        if around is not None:
            parts[around] = inner[around]
    return list(parts.values())


def figure(cost: Cost, key: CostKey) -> int:
    """The figure that nodes are shaded by."""
    return {
        "macs": cost.macs,
        "params": cost.params,
        "activations": cost.activation_bytes,
        "bytes": cost.moved_bytes,
        "none": 0,
    }[key]


def shades(diagram: Diagram, view: DiagramView) -> dict[str, int]:
    """Of each node a level from 0 to ``SHADES - 1``: its share of the whole, by id."""
    whole = figure(diagram.total, view.cost)
    times = repeats(diagram)
    found = {}
    for node in diagram.nodes:
        share = figure(node.cost, view.cost) * times[node.id] / whole if whole else 0.0
        found[node.id] = sum(share >= level for level in _LEVELS)
    return found


def title(node: DiagramNode, unicode: bool = True) -> str:
    """``layer1.0 · Bottleneck ×3``."""
    name = "" if node.kind == "operation" else node.name
    return _titled(name, node.type, node.count, unicode)


def group_title(group: DiagramGroup, unicode: bool = True) -> str:
    """As the title of a node."""
    return _titled(group.name, group.type, group.count, unicode)


def _titled(name: str, kind: str, count: int, unicode: bool) -> str:
    text = _BETWEEN.join(part for part in (shortened(name), shortened(kind)) if part)
    text = text if unicode else text.replace(_BETWEEN, ", ")
    return clean(f"{text} ×{count}" if count > 1 else text, unicode=unicode)


def shortened(text: str) -> str:
    """Text of at most some 48 characters; what is too long loses its middle."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[: half - 1]}…{text[-half:]}"


def details(node: DiagramNode, view: DiagramView) -> list[str]:
    """The lines below the title: arguments, the output's shape, the cost."""
    lines = [shortened(node.detail)] if node.detail else []
    if node.uses > 1:
        lines.append(f"use {node.use} of {node.uses}")
    if node.shapes:
        lines.append(
            shapes_text(node.shapes) + ("" if node.dtype == "float32" else f" {node.dtype}")
        )
    if cost := cost_text(node.cost, view.cost):
        lines.append(f"{cost} each" if node.count > 1 else cost)
    return [clean(line, unicode=view.unicode) for line in lines]


def cost_text(cost: Cost, key: CostKey) -> str:
    """``9.41 K params, 118 M MACs``; "" where there is nothing to tell."""
    if key in ("macs", "params"):
        figures = ((cost.params, "params"), (cost.macs, "MACs"))
        return ", ".join(f"{_short(units.count(n))} {what}" for n, what in figures if n)
    if key == "activations":
        return (
            f"{_short(units.size(cost.activation_bytes))} allocated"
            if cost.activation_bytes
            else ""
        )
    if key == "bytes":
        return f"{_short(units.size(cost.moved_bytes))} moved" if cost.moved_bytes else ""
    return ""


def _short(figure: str) -> str:
    """Three digits are enough for a picture: ``25.557 M`` as ``25.6 M``."""
    number, _, unit = figure.partition(" ")
    return f"{units.rate(float(number))} {unit}" if "." in number else figure


def shapes_text(shapes: tuple[Shape, ...]) -> str:
    """``1×64×56×56``, of several the first two; with symbols ``(B, 64, H//4, W//4)``."""
    shown = ", ".join(map(_shape, shapes[:2]))
    return f"{shown} + {len(shapes) - 2} more" if len(shapes) > 2 else shown


def _shape(shape: Shape) -> str:
    if all(isinstance(size, int) for size in shape):
        return "×".join(map(str, shape)) or "scalar"
    return f"({', '.join(map(str, shape))})"


def heading(diagram: Diagram) -> str:
    """What the picture shows, in a few words."""
    kind = f" ({diagram.root_type})" if diagram.root_type != diagram.target else ""
    return clean(f"Data flow of {diagram.target}{kind}")


def description(diagram: Diagram, view: DiagramView) -> str:
    """The picture in a sentence, for who does not see it."""
    counts = {
        kind: sum(node.kind == kind for node in diagram.nodes) for kind in ("module", "operation")
    }
    parts = [f"{number} {kind}{'s' * (number != 1)}" for kind, number in counts.items() if number]
    skips = sum(edge.skip for edge in diagram.edges)
    text = f"{' and '.join(parts) or 'nothing'} at depth {diagram.depth} of {diagram.levels}"
    if skips:
        text += f", {skips} skip connection{'s' * (skips != 1)}"
    total = cost_text(diagram.total, view.cost)
    text += f"; {total} in all" if total else ""
    if diagram.symbols and total:
        text += f" at {sizes_text(diagram)}"
    return clean(text)


def sizes_text(diagram: Diagram) -> str:
    """The sizes at which the costs of a diagram with symbols are given: ``B = 2, H = 224``."""
    return ", ".join(f"{name} = {size}" for name, size in diagram.symbols.items())
