from __future__ import annotations

import re
from dataclasses import replace

import pytest
from render.diagrams import MAKERS, hostile, residual, symbolic

from blocktool.render import diagram_text as words
from blocktool.render.diagram_markdown import render as render_markdown
from blocktool.render.diagram_mermaid import MOST_EDGES, render, too_large
from blocktool.render.diagram_view import COST_KEYS, DiagramView
from blocktool.render.styled import clean
from blocktool.render.view import View
from blocktool.results.diagram import Diagram, DiagramEdge

# The part of Mermaid's grammar that we write. In a label stand plain characters, references to
# others, and breaks; anything else in there might be syntax.
_LABEL = r'"(?P<label>(?:[\w \-.,+()/×·→÷…=]|#\d+;|<br>)*)"'
_CLASS = r":::(?P<class>\w+)"
LINES = [
    ("settings", r'%%\{init: \{"flowchart": \{"wrappingWidth": 400\}\}\}%%'),
    ("start", r"flowchart (TD|LR)"),
    ("title", r"acc(Title|Descr): [^#;%{}\n]+"),
    ("node", rf"(?P<id>n\d+)\(\[{_LABEL}\]\){_CLASS}"),
    ("node", rf"(?P<id>n\d+)\[{_LABEL}\]{_CLASS}"),
    ("node", rf"(?P<id>n\d+)\({_LABEL}\){_CLASS}"),
    ("group", rf"subgraph (?P<id>g\d+)\[{_LABEL}\]"),
    ("end", r"end"),
    ("edge", rf"(?P<from>n\d+) -->(?:\|{_LABEL}\|)? (?P<to>n\d+)"),
    ("skips", r"linkStyle (?P<numbers>\d+(?:,\d+)*) stroke:#\w{6},stroke-width:[\d.]+px"),
    ("classes", r"classDef (?P<class>\w+) fill:(?:#\w{6}|none),stroke:#\w{6},[a-z\-]+:[#\w ]+"),
    ("grouped", r"class (?P<ids>g\d+(?:,g\d+)*) (?P<class>\w+)"),
]


class Chart:
    """A flowchart, read strictly."""

    def __init__(self, text: str) -> None:
        self.labels: dict[str, str] = {}
        self.edges: list[tuple[str, str]] = []
        self.skips: list[int] = []
        self.groups: dict[str, list[str]] = {}
        self.classes: dict[str, str] = {}
        defined: set[str] = set()
        opened: list[str] = []
        assert text.endswith("\n")
        for line in text.splitlines():
            kind, match = self.read(line.strip())
            found = match.groupdict()
            if kind == "node":
                assert found["id"] not in self.labels
                self.labels[found["id"]] = self.decoded(found["label"])
                self.classes[found["id"]] = found["class"]
                self.groups.setdefault(opened[-1] if opened else "", []).append(found["id"])
            elif kind == "group":
                opened.append(found["id"])
                self.labels[found["id"]] = self.decoded(found["label"])
            elif kind == "end":
                opened.pop()
            elif kind == "edge":
                self.edges.append((found["from"], found["to"]))
            elif kind == "skips":
                self.skips = [int(number) for number in found["numbers"].split(",")]
            elif kind == "classes":
                defined.add(found["class"])
            elif kind == "grouped":
                self.classes.update(dict.fromkeys(found["ids"].split(","), found["class"]))
        assert not opened
        assert {end for edge in self.edges for end in edge} <= self.labels.keys()
        assert set(self.classes.values()) == defined
        assert all(number < len(self.edges) for number in self.skips)

    @staticmethod
    def read(line: str) -> tuple[str, re.Match[str]]:
        for kind, pattern in LINES:
            if match := re.fullmatch(pattern, line):
                return kind, match
        raise AssertionError(f"no syntax of ours: {line!r}")

    @staticmethod
    def decoded(label: str) -> str:
        plain = re.sub(r"#(\d+);", lambda m: chr(int(m[1])), label)
        return plain.replace("\u200b", "")


@pytest.mark.parametrize("cost", COST_KEYS)
@pytest.mark.parametrize("name", MAKERS)
def test_the_syntax_holds_and_everything_is_there(name: str, cost: str) -> None:
    diagram = MAKERS[name]()
    view = DiagramView(cost=cost)  # type: ignore[arg-type]
    chart = Chart(render(diagram, view))
    assert chart.edges == [(edge.source, edge.target) for edge in diagram.edges]
    assert chart.skips == [n for n, edge in enumerate(diagram.edges) if edge.skip]
    for node in diagram.nodes:
        lines = [words.title(node), *words.details(node, view)]
        assert chart.labels[node.id] == "<br>".join(lines)
        assert node.id in chart.groups[node.group or ""]
    for group in diagram.groups:
        assert chart.labels[group.id] == words.group_title(group)


def test_the_checker_sees_what_is_wrong() -> None:
    text = render(residual(), View())
    for before, after in [
        ("n2 --> n3", "n2 --> n9"),
        ('"conv · Conv2d', '"conv "· Conv2d'),
        ("x<br>", "x<script>"),
        ("    end\n", ""),
        ("classDef end_", "classDef other"),
        ("linkStyle 1", "linkStyle 17"),
        ("add<br>", "`add`<br>"),
    ]:
        assert before in text
        with pytest.raises((AssertionError, IndexError)):
            Chart(text.replace(before, after, 1))


def test_labels() -> None:
    labels = Chart(render(residual(), View())).labels
    assert labels["n2"] == "conv · Conv2d<br>3×3, stride 2<br>1×8×4×4<br>584 params, 9.22 K MACs"
    assert labels["n3"] == "act · ReLU<br>use 1 of 2<br>1×8×4×4"
    assert labels["n5"].startswith("blocks.1-4 · Block ×4<br>1×8×4×4, 1×8 bfloat16<br>")
    assert labels["n5"].endswith("1.17 K params, 18.4 K MACs each")
    assert labels["g1"] == "blocks.0 · Block"


def test_costs_and_shades() -> None:
    diagram = residual()
    shades = words.shades(diagram, DiagramView(cost="macs"))
    # 9216 of 82944 MACs; four blocks have the rest.
    assert (shades["n2"], shades["n5"], shades["n4"]) == (2, 4, 0)
    assert set(words.shades(diagram, DiagramView(cost="none")).values()) == {0}
    moved = Chart(render(diagram, DiagramView(cost="bytes"))).labels
    assert moved["n4"] == "add<br>1×8×4×4<br>1.50 KiB moved"
    assert "MACs" not in render(diagram, DiagramView(cost="activations"))
    assert "params" not in render(diagram, DiagramView(cost="none"))


def test_symbols() -> None:
    text = render(symbolic(), View())
    assert Chart(text).labels["n2"].split("<br>")[1] == "(B, 3, (H + 1)//2, (W + 1)//2)"
    assert "at B = 2, H = 8, W = 8" in text


def test_direction_and_ascii() -> None:
    assert "\nflowchart LR\n" in render(residual(), DiagramView(direction="LR"))
    plain = render(residual(), DiagramView(unicode=False))
    assert plain.isascii()
    assert "conv, Conv2d<br>3x3, stride 2<br>1x8x4x4" in plain
    assert render(hostile(), DiagramView(unicode=False)).isascii()


def large(nodes: int) -> Diagram:
    one = residual()
    every = tuple(replace(one.nodes[2], id=f"n{n}", group=None) for n in range(1, nodes + 1))
    edges = tuple(DiagramEdge(f"n{n}", f"n{n + 1}") for n in range(1, nodes))
    return replace(one, nodes=every, edges=edges, groups=())


def test_what_github_does_not_draw_is_known() -> None:
    small = large(MOST_EDGES + 1)
    assert too_large(small, render(small, View())) is None
    edges = large(MOST_EDGES + 2)
    assert too_large(edges, "") == "501 edges; GitHub draws no more than 500"
    assert "characters" in str(too_large(small, "x" * 50_001))


def test_markdown_has_the_chart_and_the_notes() -> None:
    text = render_markdown(residual(), View())
    assert text.startswith("**Data flow of net.py:Net (Net)**: 3 modules and 1 operation at depth")
    chart = text.partition("```mermaid\n")[2].partition("```")[0]
    assert Chart(chart).edges
    assert text.endswith("- not drawn: 1 module that is never called: aux\n")
    assert "<script>" not in render_markdown(hostile(), View())


def test_names_lose_control_characters_only() -> None:
    labels = Chart(render(hostile(), View())).labels
    for node in hostile().nodes[1:]:
        assert labels[node.id].startswith(clean(node.name))
