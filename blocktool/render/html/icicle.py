"""Modules as an icicle that can be narrowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocktool.render import units
from blocktool.render.html.marks import COLORS, label
from blocktool.render.html.pieces import Chart, TreeTable, Variant
from blocktool.render.html.tree import MOST_ROWS, Node, cut, height, titled, walk

_STARTS = 250  # parts that a list offers
_CHART_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure by which modules are drawn: its key, its name on a switch, and how it is written."""

    key: str
    name: str
    show: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Part:
    """A node of an icicle: the place of the one that it lies in, and its level."""

    node: Node
    parent: int | None
    level: int

    @property
    def is_leaf(self) -> bool:
        return not self.node.children


def _parts(root: Node) -> list[_Part]:
    """Parents first."""
    found: list[_Part] = []

    def add(node: Node, parent: int | None, level: int) -> None:
        place = len(found)
        found.append(_Part(node, parent, level))
        for child in node.children:
            add(child, place, level + 1)

    add(root, None, 0)
    return found


def icicle(
    name: str,
    title: str,
    root: Node,
    metrics: Sequence[Metric],
    data: TreeTable,
    *,
    levels: int | None = None,
    most: int | None = None,
) -> Chart | None:
    """The modules below the root by the metrics of which there are any; None where there are none.

    ``levels`` is how many are drawn at first, ``most`` how many modules at most.
    """
    shown = [metric for metric in metrics if root.values.get(metric.key, 0) > 0]
    if not shown:
        return None
    root, _ = cut(root, MOST_ROWS if most is None else most)
    parts = _parts(root)
    colors = _colors_of_types(root, shown)
    trace = _trace(parts, colors)
    deepest = height(root) + 1
    trace["maxdepth"] = min(deepest, _CHART_LEVELS if levels is None else max(levels, 1) + 1)
    layout = {
        "margin": {"l": 2, "r": 2, "t": 4, "b": 4},
        "uniformtext": {"minsize": 10, "mode": "hide"},
    }
    starts = [
        (str(place), f"{' ' * part.level}{titled(part.node)}")
        for place, part in enumerate(parts)
        if not part.is_leaf
    ]
    return Chart(
        id=name,
        title=title,
        told="",
        figure={"data": [trace], "layout": layout},
        data=data,
        height=520,
        choose="Figure",
        variants=tuple(_variant(root, metric, parts) for metric in shown),
        legend=(("var(--box)", "holds modules"), *((c, t) for t, c in colors.items())),
        starts=tuple(starts[:_STARTS]),
        levels=(trace["maxdepth"], deepest),
    )


def _trace(parts: Sequence[_Part], colors: Mapping[str, str]) -> dict[str, Any]:
    """The icicle as plotly takes it, without figures."""
    fills = [
        colors.get(part.node.type, COLORS[-1]) if part.is_leaf else "var(--box)" for part in parts
    ]
    return {
        "type": "icicle", "branchvalues": "remainder", "sort": False,
        "ids": [str(place) for place in range(len(parts))],
        "labels": [label(titled(part.node)) for part in parts],
        "parents": ["" if part.parent is None else str(part.parent) for part in parts],
        "marker": {"colors": fills, "line": {"color": "var(--paper)", "width": 1}},
        "textfont": {"color": ["var(--on)" if part.is_leaf else "var(--ink)" for part in parts]},
        "texttemplate": "%{label} %{customdata[1]}", "textposition": "middle left",
        "hovertemplate": "<b>%{label}</b> %{customdata[1]}<br>%{customdata[0]}<extra></extra>",
        "tiling": {"orientation": "h"}, "pathbar": {"visible": False}, "leaf": {"opacity": 1},
        "hoverlabel": {"align": "left"},
    }  # fmt: skip


def _variant(root: Node, metric: Metric, parts: Sequence[_Part]) -> Variant:
    whole = root.values[metric.key]
    values, remarks = [], []
    for node in (part.node for part in parts):
        value = node.values.get(metric.key, 0)
        inner = sum(child.values.get(metric.key, 0) for child in node.children)
        values.append(max(value - inner, 0))
        where = f"{node.path}<br>" if node.path and node.path != node.name else ""
        text = label(f"{node.type}, {metric.show(value)}")
        remarks.append([f"{label(where[:-4])}<br>{text}" if where else text,
                        units.percent(value / whole)])  # fmt: skip
    figure = {"data": [{"values": values, "customdata": remarks}]}
    return Variant(
        metric.name, _told(root, metric, [part.node for part in parts if part.is_leaf]), figure
    )


def _told(root: Node, metric: Metric, leaves: Sequence[Node]) -> str:
    """The whole, which parts of it are largest, and which types of modules it goes into."""
    whole = root.values[metric.key]
    parts = sorted(root.children, key=lambda node: -node.values.get(metric.key, 0))[:3]
    largest = ", ".join(
        f"{titled(node)} {units.percent(node.values.get(metric.key, 0) / whole)}"
        for node in parts
        if node.values.get(metric.key, 0) > 0
    )
    by_type: dict[str, float] = {}
    for node in leaves:
        by_type[node.type] = by_type.get(node.type, 0) + node.values.get(metric.key, 0)
    types = ", ".join(
        f"{name} {units.percent(value / whole)}"
        for name, value in sorted(by_type.items(), key=lambda item: -item[1])[:3]
        if value > 0
    )
    told = f"{metric.name}: {metric.show(whole)} in all."
    if largest:
        told += f" The largest parts are {largest}."
    return f"{told} By type: {types}." if types and root.children else told


def _colors_of_types(root: Node, metrics: Sequence[Metric]) -> dict[str, str]:
    """A colour for each of the types of leaves that matter most in any metric; the rest share the
    last one."""
    weight: dict[str, float] = {}
    for metric in metrics:
        by_type: dict[str, float] = {}
        for node in walk(root):
            if not node.children:
                value = node.values.get(metric.key, 0) / root.values[metric.key]
                by_type[node.type] = by_type.get(node.type, 0) + value
        for name, share in by_type.items():
            weight[name] = max(weight.get(name, 0), share)
    ordered = sorted((name for name in weight if weight[name] > 0), key=lambda n: -weight[n])
    few = len(COLORS) - 1
    colors = dict(zip(ordered[:few], COLORS, strict=False))
    return colors if len(ordered) <= few else {**colors, "other types": COLORS[-1]}
