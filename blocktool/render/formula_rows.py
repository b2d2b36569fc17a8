"""The module rows of a report of formulas, repeated siblings folded and cut to a depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from blocktool.results.formulas import FormulaRow, Formulas

_MOST_ROWS = 40
_LIKENESS = tuple(f.name for f in fields(FormulaRow) if f.name not in ("path", "depth"))
_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass
class FormulaNode:
    """A module with those below it; of ``count`` equal ones the first, whose figures are those of
    one. ``name`` then spans them: ``"1-5"``."""

    row: FormulaRow
    name: str
    level: int
    count: int = 1
    children: list[FormulaNode] = field(default_factory=list)


def shown_rows(
    formulas: Formulas, depth: int | None, *, expand: bool
) -> tuple[list[FormulaNode], int, int]:
    """The nodes to show, parents first; how many levels that is, and how many there are."""
    root = _tree(formulas.modules)
    if not expand:
        _fold(root)
    every = list(_walk(root))
    levels = max(node.level for node in every)
    if depth is None:
        depth = levels
        while depth > 1 and sum(node.level <= depth for node in every) > _MOST_ROWS:
            depth -= 1
    return [node for node in every if node.level <= depth], min(depth, levels), levels


def _tree(rows: tuple[FormulaRow, ...]) -> FormulaNode:
    root = FormulaNode(rows[0], rows[0].type, 0)
    nodes = {rows[0].path: root}
    for row in rows[1:]:
        above = row.path.rpartition(".")[0]
        while above and above not in nodes:
            above = above.rpartition(".")[0]
        parent = nodes.get(above, root)
        prefix = f"{parent.row.path}." if parent.row.path else ""
        node = nodes[row.path] = FormulaNode(row, row.path.removeprefix(prefix), parent.level + 1)
        parent.children.append(node)
    return root


def _walk(node: FormulaNode) -> Iterator[FormulaNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _fold(node: FormulaNode) -> None:
    """Consecutive equal siblings whose names differ by a running number become one."""
    kept: list[FormulaNode] = []
    last = ""
    for child in node.children:
        _fold(child)
        if kept and _follows(last, child.name) and _alike(kept[-1], child):
            kept[-1].count += 1
        else:
            kept.append(child)
        last = child.name
    for child in kept:
        if child.count > 1:
            number = _NUMBERED.match(child.name)
            assert number is not None  # _follows let it in
            child.name = f"{child.name}-{int(number[2]) + child.count - 1}"
    node.children = kept


def _follows(first: str, second: str) -> bool:
    one, two = _NUMBERED.match(first), _NUMBERED.match(second)
    return bool(one and two and one[1] == two[1] and int(one[2]) + 1 == int(two[2]))


def _alike(first: FormulaNode, second: FormulaNode, *, named: bool = False) -> bool:
    if named and first.name != second.name:
        return False
    if any(getattr(first.row, name) != getattr(second.row, name) for name in _LIKENESS):
        return False
    return len(first.children) == len(second.children) and all(
        _alike(one, two, named=True)
        for one, two in zip(first.children, second.children, strict=True)
    )
