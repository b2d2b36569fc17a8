"""Modules as an icicle that can be narrowed, and as a table that opens and closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocktool.render import units
from blocktool.render.html.marks import COLORS, label
from blocktool.render.html.pieces import Cell, Chart, Column, TreeRow, TreeTable, Variant

MOST_ROWS = 2_500
"""Modules on a page; deeper levels than fit are left out, so that a page stays below 6 MB."""
_SCREEN = 30  # rows that a table shows at first
_STARTS = 250  # parts that a list offers
_CHART_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A module, or ``count`` alike in a row. ``values`` are its figures with its children's."""

    name: str
    path: str
    type: str
    count: int
    values: Mapping[str, float]
    cells: tuple[Cell, ...]
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure by which modules are drawn: its key, its name on a switch, and how it is written."""

    key: str
    name: str
    show: Callable[[float], str]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    yield node
    for child in node.children:
        yield from walk(child)


def height(node: Node) -> int:
    """How many levels lie below the node."""
    return max((1 + height(child) for child in node.children), default=0)


def fitting_depth(node: Node, most: int) -> int:
    """How many levels below the node can be shown in ``most`` rows, at least one."""
    depth, levels = 1, height(node)
    while depth < levels and sum(1 for _ in _down_to(node, depth + 1)) <= most:
        depth += 1
    return depth


def _down_to(node: Node, depth: int) -> Iterator[Node]:
    yield node
    if depth > 0:
        for child in node.children:
            yield from _down_to(child, depth - 1)


def tree_table(root: Node, columns: Sequence[Column], caption: str) -> TreeTable:
    """All modules that fit a page, opened as far as fits a screen."""
    depth, opened = fitting_depth(root, MOST_ROWS), fitting_depth(root, _SCREEN)
    rows: list[TreeRow] = []

    def add(node: Node, level: int) -> None:
        parent = bool(node.children) and level < depth
        name = Cell(f"{node.name} ×{node.count}" if node.count > 1 else node.name)
        rows.append(TreeRow(level, parent, level < opened, node.path, (name, *node.cells)))
        for child in node.children if parent else ():
            add(child, level + 1)

    add(root, 0)
    if depth < height(root):
        caption += f" ({depth} of {height(root)} levels; -f csv has all)"
    return TreeTable(caption, (Column("Module"), *columns), tuple(rows))


def icicle(
    name: str,
    title: str,
    root: Node,
    metrics: Sequence[Metric],
    data: TreeTable,
    *,
    levels: int | None = None,
) -> Chart | None:
    """The modules below the root by the metrics of which there are any; None where there are none.

    ``levels`` is how many are drawn at first.
    """
    shown = [metric for metric in metrics if root.values.get(metric.key, 0) > 0]
    if not shown:
        return None
    depth = fitting_depth(root, MOST_ROWS)
    numbered: list[tuple[Node, int | None, int]] = []  # node, its parent's number, its level

    def number(node: Node, parent: int | None, level: int) -> None:
        place = len(numbered)
        numbered.append((node, parent, level))
        for child in node.children if level < depth else ():
            number(child, place, level + 1)

    number(root, None, 0)
    colors = _colors_of_types(root, shown)
    leaf = [not node.children or level == depth for node, _, level in numbered]
    fills = [
        colors.get(node.type, COLORS[-1]) if is_leaf else "var(--box)"
        for (node, _, _), is_leaf in zip(numbered, leaf, strict=True)
    ]
    base: dict[str, Any] = {
        "type": "icicle", "branchvalues": "remainder", "sort": False,
        "ids": [str(place) for place in range(len(numbered))],
        "labels": [label(_titled(node)) for node, _, _ in numbered],
        "parents": ["" if parent is None else str(parent) for _, parent, _ in numbered],
        "marker": {"colors": fills, "line": {"color": "var(--paper)", "width": 1}},
        "textfont": {"color": ["var(--on)" if is_leaf else "var(--ink)" for is_leaf in leaf]},
        "texttemplate": "%{label} %{customdata[1]}", "textposition": "middle left",
        "hovertemplate": "<b>%{label}</b> %{customdata[1]}<br>%{customdata[0]}<extra></extra>",
        "tiling": {"orientation": "h"}, "pathbar": {"visible": False}, "leaf": {"opacity": 1},
        "hoverlabel": {"align": "left"},
    }  # fmt: skip
    most = min(depth, height(root)) + 1
    base["maxdepth"] = min(most, _CHART_LEVELS if levels is None else max(levels, 1) + 1)
    layout = {
        "margin": {"l": 2, "r": 2, "t": 4, "b": 4},
        "uniformtext": {"minsize": 10, "mode": "hide"},
    }
    rows = [(node, is_leaf) for (node, _, _), is_leaf in zip(numbered, leaf, strict=True)]
    starts = [
        (str(place), f"{' ' * level}{_titled(node)}")
        for place, ((node, _, level), is_leaf) in enumerate(zip(numbered, leaf, strict=True))
        if not is_leaf
    ]
    return Chart(
        id=name,
        title=title,
        told="",
        figure={"data": [base], "layout": layout},
        data=data,
        height=520,
        choose="Figure",
        variants=tuple(_variant(root, metric, rows) for metric in shown),
        legend=(("var(--box)", "holds modules"), *((c, t) for t, c in colors.items())),
        starts=tuple(starts[:_STARTS]),
        levels=(base["maxdepth"], most),
    )


def _variant(root: Node, metric: Metric, rows: Sequence[tuple[Node, bool]]) -> Variant:
    whole = root.values[metric.key]
    values, remarks = [], []
    for node, is_leaf in rows:
        value = node.values.get(metric.key, 0)
        inner = 0.0 if is_leaf else sum(c.values.get(metric.key, 0) for c in node.children)
        values.append(max(value - inner, 0))
        where = f"{node.path}<br>" if node.path and node.path != node.name else ""
        text = label(f"{node.type}, {metric.show(value)}")
        remarks.append([f"{label(where[:-4])}<br>{text}" if where else text,
                        units.percent(value / whole)])  # fmt: skip
    figure = {"data": [{"values": values, "customdata": remarks}]}
    return Variant(metric.name, _told(root, metric, [node for node, leaf in rows if leaf]), figure)


def _told(root: Node, metric: Metric, leaves: Sequence[Node]) -> str:
    """The whole, which parts of it are largest, and which types of modules it goes into."""
    whole = root.values[metric.key]
    parts = sorted(root.children, key=lambda node: -node.values.get(metric.key, 0))[:3]
    largest = ", ".join(
        f"{_titled(node)} {units.percent(node.values.get(metric.key, 0) / whole)}"
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


def _titled(node: Node) -> str:
    return f"{node.name} ×{node.count}" if node.count > 1 else node.name


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
