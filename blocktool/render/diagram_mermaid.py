"""A diagram as a Mermaid flowchart, which GitHub and others draw where it stands in Markdown.

See https://mermaid.js.org/syntax/flowchart.html. Labels are quoted, and what might be syntax or
markup in them is written as a character reference (``#35;``). Classes set fill, line and text
together, so that a node is readable on light pages and dark ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from blocktool.render import diagram_text as words
from blocktool.render.diagram_colors import (
    FILLS,
    INPUT,
    INPUT_LINE,
    LINE,
    OPERATION,
    OPERATION_LINE,
    SKIP,
    TEXT,
)
from blocktool.render.diagram_view import DiagramView, diagram_view
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.diagram import Diagram, DiagramNode

MOST_CHARACTERS, MOST_EDGES = 50_000, 500
"""What GitHub draws; larger diagrams are an error message there."""

_PLAIN = re.compile(r"[^\w \-.,+()/×·→÷…=]", re.UNICODE)
_LIST = re.compile(r"^(\s*)(\d+\.|[-+])(?= )")
_SHAPES = {
    "input": ('(["', '"])'),
    "output": ('(["', '"])'),
    "module": ('["', '"]'),
    "operation": ('("', '")'),
}
_CLASSES = (
    ("end_", f"fill:{INPUT},stroke:{INPUT_LINE},color:{TEXT}"),
    ("operation_", f"fill:{OPERATION},stroke:{OPERATION_LINE},color:{TEXT}"),
    *(
        (f"shade{level}", f"fill:{fill},stroke:{LINE},color:{TEXT}")
        for level, fill in enumerate(FILLS)
    ),
    ("group_", f"fill:none,stroke:{LINE},stroke-dasharray:4 3"),
)
_SETTINGS = '%%{init: {"flowchart": {"wrappingWidth": 400}}}%%'
"""Lines are broken where we break them."""
_SKIP_STYLE = f"stroke:{SKIP},stroke-width:2.5px"


def render(diagram: Diagram, view: View) -> str:
    """The text of the flowchart, with a newline at its end."""
    return "\n".join(_lines(diagram, diagram_view(view))) + "\n"


def too_large(diagram: Diagram, text: str) -> str | None:
    """Why GitHub would not draw ``text``; None where it does."""
    if len(text) > MOST_CHARACTERS:
        return f"{len(text):,} characters; GitHub draws no more than {MOST_CHARACTERS:,}"
    if len(diagram.edges) > MOST_EDGES:
        return f"{len(diagram.edges)} edges; GitHub draws no more than {MOST_EDGES}"
    return None


def _lines(diagram: Diagram, view: DiagramView) -> Iterator[str]:
    shades = words.shades(diagram, view)
    yield _SETTINGS
    yield f"flowchart {view.direction}"
    yield f"    accTitle: {_one_line(words.heading(diagram), view)}"
    yield f"    accDescr: {_one_line(words.description(diagram, view), view)}"
    yield from _inside(diagram, None, shades, view, "    ")
    for edge in diagram.edges:
        shown = words.shapes_text(edge.shapes) if edge.shapes else ""
        label = f'|"{_escaped(clean(shown, unicode=view.unicode))}"|' if shown else ""
        yield f"    {edge.source} -->{label} {edge.target}"
    skips = [str(number) for number, edge in enumerate(diagram.edges) if edge.skip]
    if skips:
        yield f"    linkStyle {','.join(skips)} {_SKIP_STYLE}"
    used = {_class(node, shades) for node in diagram.nodes}
    for name, style in _CLASSES:
        if name in used or (name == "group_" and diagram.groups):
            yield f"    classDef {name} {style}"
    if diagram.groups:
        yield f"    class {','.join(group.id for group in diagram.groups)} group_"


def _inside(
    diagram: Diagram, group: str | None, shades: dict[str, int], view: DiagramView, indent: str
) -> Iterator[str]:
    """The nodes of a group, and its groups with theirs, in the order of the run."""
    for part in words.parts_of(diagram, group):
        if isinstance(part, DiagramNode):
            before, after = _SHAPES[part.kind]
            label = "<br>".join(map(_escaped, _label(part, view)))
            yield f"{indent}{part.id}{before}{label}{after}:::{_class(part, shades)}"
        else:
            label = _escaped(words.group_title(part, view.unicode))
            yield f'{indent}subgraph {part.id}["{label}"]'
            yield from _inside(diagram, part.id, shades, view, f"{indent}    ")
            yield f"{indent}end"


def _label(node: DiagramNode, view: DiagramView) -> list[str]:
    return [words.title(node, view.unicode), *words.details(node, view)]


def _class(node: DiagramNode, shades: dict[str, int]) -> str:
    if node.kind in ("input", "output"):
        return "end_"
    if node.kind == "operation" and not shades[node.id]:
        return "operation_"
    return f"shade{shades[node.id]}"


def _escaped(text: str) -> str:
    """Text in which nothing is syntax of Mermaid, HTML or Markdown."""
    text = _PLAIN.sub(_reference, text)
    text = text.replace("#92;n", "#92;#8203;n")  # a backslash and an n would break the line
    # A line that begins as a list would be taken for one.
    text = _LIST.sub(lambda m: m[1] + m[2][:-1] + _reference(m[2][-1]), text)
    # Nor may text be emphasised: one underscore inside a word never is.
    return re.sub(r"(?<!\w)_|_(?!\w)|_(?=_)|(?<=_)_", _reference, text)


def _reference(match: re.Match[str] | str) -> str:
    return f"#{ord(match if isinstance(match, str) else match[0])};"


def _one_line(text: str, view: DiagramView) -> str:
    """Text for a title, which knows no references and ends at a semicolon."""
    return re.sub(r"[#%{}<>`]", " ", clean(text, unicode=view.unicode).replace(";", ","))
