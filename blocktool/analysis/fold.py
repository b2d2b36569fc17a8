"""The module tree behind a summary's rows, and the folding of repeated siblings.

A backbone repeats itself: twelve equal transformer blocks say nothing that one of them and a
count do not. Everything here is a pure function from rows to a tree or from a tree to a tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from blocktool.results.summary import ModuleRow

_FIGURES = (
    "params",
    "trainable_params",
    "param_bytes",
    "macs",
    "flops",
    "elementwise_flops",
    "activation_bytes",
    "read_bytes",
    "written_bytes",
)
OWN = "(itself)"
"""The name of the node for what a module computes outside its children."""
# Everything of a row but the name it goes by.
_LIKENESS = tuple(field.name for field in fields(ModuleRow) if field.name not in ("path", "depth"))
_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """A row of the tree: one module, or ``count`` equal ones.

    The figures of ``row`` are those of all ``count`` modules together, so that every column
    adds up to the parent's figure; its shapes are those of one. ``name`` is the last part of the
    path; of a folded node it spans the run (``"1-5"``).
    """

    row: ModuleRow
    name: str
    count: int = 1
    children: tuple[ModuleNode, ...] = ()
    called: bool = False
    """Whether this module or one below it ran, also where those below are not shown."""


def module_tree(rows: tuple[ModuleRow, ...]) -> ModuleNode:
    """The rows as a tree by path; the first row is the root.

    A row whose parent is missing hangs from its nearest ancestor that is there. Siblings keep
    the order of the rows. Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("a summary has at least the row of the module itself")
    root, known = rows[0].path, {row.path for row in rows}
    below: dict[str, list[ModuleRow]] = {}
    for row in rows[1:]:
        parent = row.path.rpartition(".")[0]
        while parent and parent not in known:
            parent = parent.rpartition(".")[0]
        below.setdefault(parent if parent in known else root, []).append(row)

    def grow(row: ModuleRow) -> ModuleNode:
        prefix = f"{row.path}." if row.path else ""
        children = []
        for child_row in below.get(row.path, ()):
            child = grow(child_row)
            children.append(replace(child, name=child_row.path.removeprefix(prefix)))
        children.extend(_own_work(row, children))
        called = row.calls > 0 or any(child.called for child in children)
        return ModuleNode(row, row.path.rpartition(".")[2], 1, tuple(children), called)

    return grow(rows[0])


def _own_work(row: ModuleRow, children: list[ModuleNode]) -> Iterator[ModuleNode]:
    """A node for the contractions that a module with children runs itself: an attention between
    its projections, a functional convolution. Otherwise the children would not add up."""
    own = {
        name: getattr(row, name) - sum(getattr(child.row, name) for child in children)
        for name in _FIGURES
    }
    if not children or own["macs"] <= 0:
        return
    path = f"{row.path}.{OWN}" if row.path else OWN
    figures = {name: max(value, 0) for name, value in own.items()}
    yield ModuleNode(
        replace(row, path=path, type="own operations", depth=row.depth + 1, detail="", **figures),
        OWN,
        called=row.calls > 0,
    )


def fold(node: ModuleNode) -> ModuleNode:
    """Fold consecutive equal siblings, at every level, into one node with a count.

    Equal means the whole subtree: types, calls, shapes, figures and detail. Only siblings whose
    names differ by a running number fold (``0``, ``1``, ``2`` or ``conv1``, ``conv2``): a number
    says repetition, a name says a role. Where siblings share parameters, so that their sum would
    exceed the parent's, they stay apart.
    """
    children = tuple(fold(child) for child in node.children)
    if sum(child.row.params for child in children) > node.row.params:
        return replace(node, children=children)
    runs: list[list[ModuleNode]] = []
    for child in children:
        if runs and _follows(runs[-1][-1], child):
            runs[-1].append(child)
        else:
            runs.append([child])
    return replace(node, children=tuple(_merge(run) for run in runs))


def limit_depth(node: ModuleNode, depth: int) -> ModuleNode:
    """The tree without what lies more than ``depth`` levels below ``node``."""
    if depth <= 0:
        return replace(node, children=())
    return replace(node, children=tuple(limit_depth(child, depth - 1) for child in node.children))


def sort_siblings(node: ModuleNode, key: Callable[[ModuleNode], float]) -> ModuleNode:
    """The tree with the siblings in falling order of ``key``; equals keep their order."""
    children = (sort_siblings(child, key) for child in node.children)
    return replace(node, children=tuple(sorted(children, key=key, reverse=True)))


def walk(node: ModuleNode) -> Iterator[ModuleNode]:
    """The node and everything below it, parents first."""
    yield node
    for child in node.children:
        yield from walk(child)


def height(node: ModuleNode) -> int:
    """How many levels lie below ``node``."""
    return max((1 + height(child) for child in node.children), default=0)


def _follows(first: ModuleNode, second: ModuleNode) -> bool:
    one, two = _NUMBERED.match(first.name), _NUMBERED.match(second.name)
    if one is None or two is None or one[1] != two[1] or int(one[2]) + 1 != int(two[2]):
        return False
    return _alike(first, second)


def _alike(first: ModuleNode, second: ModuleNode) -> bool:
    """Equal but for the name; below the siblings themselves, the names count too."""
    if first.count != second.count or len(first.children) != len(second.children):
        return False
    if any(getattr(first.row, name) != getattr(second.row, name) for name in _LIKENESS):
        return False
    return all(
        one.name == two.name and _alike(one, two)
        for one, two in zip(first.children, second.children, strict=True)
    )


def _merge(run: list[ModuleNode]) -> ModuleNode:
    if len(run) == 1:
        return run[0]
    last = _NUMBERED.match(run[-1].name)
    assert last is not None  # _follows let it in
    return replace(_times(run[0], len(run)), name=f"{run[0].name}-{last[2]}")


def _times(node: ModuleNode, count: int) -> ModuleNode:
    figures = {name: getattr(node.row, name) * count for name in _FIGURES}
    return replace(
        node,
        row=replace(node.row, **figures),
        count=node.count * count,
        children=tuple(_times(child, count) for child in node.children),
    )
