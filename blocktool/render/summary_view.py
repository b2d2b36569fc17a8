"""The tree of a summary as a view asks for it; shared by the formats that people read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from blocktool.analysis.fold import (
    ModuleNode,
    fold,
    height,
    limit_depth,
    module_tree,
    sort_siblings,
    walk,
)
from blocktool.render.view import SortKey, View
from blocktool.results.summary import ModuleRow, OpRow, Summary

SCREEN = 32
"""Rows of modules that a summary shows of its own accord: with the totals, about a screen."""

_FIGURE: dict[SortKey, Callable[[ModuleRow | OpRow], int]] = {
    "macs": lambda row: row.macs,
    "elementwise": lambda row: row.elementwise_flops,
    "activations": lambda row: row.activation_bytes,
    "read": lambda row: row.read_bytes,
    "written": lambda row: row.written_bytes,
    "bytes": lambda row: row.read_bytes + row.written_bytes,
    "calls": lambda row: row.calls,
}


def shown_tree(summary: Summary, view: View) -> tuple[ModuleNode, int]:
    """The tree to show, and the height of the whole one.

    Without a depth in the view, as many levels as fit on a screen, but at least one.
    """
    tree = module_tree(summary.modules)
    if not view.expand:
        tree = fold(tree)
    levels = height(tree)
    tree = limit_depth(tree, _fitting_depth(tree) if view.depth is None else view.depth)
    if view.sort is not None:
        tree = _sorted(tree, view.sort)
    return tree, levels


def shown_ops(summary: Summary, view: View) -> list[OpRow]:
    """The operations, the most expensive first, or as the view sorts them."""
    rows = sorted(summary.ops, key=lambda row: row.op)
    if view.sort in _FIGURE:
        return sorted(rows, key=_FIGURE[view.sort], reverse=True)
    if view.sort == "name":
        return rows
    moved = _FIGURE["bytes"]
    return sorted(rows, key=lambda row: (row.macs, row.elementwise_flops, moved(row)), reverse=True)


def _fitting_depth(tree: ModuleNode) -> int:
    depth, levels = 1, height(tree)
    while depth < levels and sum(1 for _ in walk(limit_depth(tree, depth + 1))) <= SCREEN:
        depth += 1
    return depth


def _sorted(tree: ModuleNode, key: SortKey) -> ModuleNode:
    if key == "name":
        by_name = sorted((_sorted(child, key) for child in tree.children), key=lambda n: n.name)
        return replace(tree, children=tuple(by_name))
    if key == "params":
        return sort_siblings(tree, lambda node: node.row.params)
    figure = _FIGURE[key]
    return sort_siblings(tree, lambda node: figure(node.row))
