"""Modules as a tree, and as a table that opens and closes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from blocktool.render.html.pieces import Cell, Column, TreeRow, TreeTable

MOST_ROWS = 2_500
"""Modules on a page; what does not fit is left out, so that a page stays below 6 MB."""
_SCREEN = 30  # rows that a table shows at first


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


def cut(root: Node, most: int) -> tuple[Node, str]:
    """The node with as many levels as fit ``most`` rows, and of a first level that does not fit
    either its first modules; and in brackets what was left out, "" for nothing."""
    depth, levels = fitting_depth(root, most), height(root)
    kept = _down_to_depth(root, depth)
    room = max(most - 1, 1)
    if depth == 1 and len(root.children) > room:
        told = f" ({room:,} of {len(root.children):,} modules; -f csv has all)"
        return replace(kept, children=kept.children[:room]), told
    return kept, f" ({depth} of {levels} levels; -f csv has all)" if depth < levels else ""


def _down_to_depth(node: Node, depth: int) -> Node:
    inner = node.children if depth > 0 else ()
    return replace(node, children=tuple(_down_to_depth(child, depth - 1) for child in inner))


def tree_table(
    root: Node, columns: Sequence[Column], caption: str, *, most: int | None = None
) -> TreeTable:
    """All modules that fit into ``most`` rows, opened as far as fits a screen."""
    root, left_out = cut(root, MOST_ROWS if most is None else most)
    opened = fitting_depth(root, _SCREEN)
    rows: list[TreeRow] = []

    def add(node: Node, level: int) -> None:
        parent = bool(node.children)
        rows.append(
            TreeRow(level, parent, level < opened, node.path, (Cell(titled(node)), *node.cells))
        )
        for child in node.children:
            add(child, level + 1)

    add(root, 0)
    return TreeTable(caption + left_out, (Column("Module"), *columns), tuple(rows))


def titled(node: Node) -> str:
    """Its name, and how many it stands for."""
    return f"{node.name} ×{node.count}" if node.count > 1 else node.name
