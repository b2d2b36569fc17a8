"""The rows of a summary as a tree, with what each module does itself, and a name-free likeness."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import prod

from blocktool.results.summary import ModuleRow, SharedTensor

FIGURES = (
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
"""What a row counts, with its children's."""


@dataclass(eq=False, slots=True)
class Node:
    """One module. ``own`` are its figures without those of its children.

    ``likeness`` is equal for subtrees that are built alike, whatever their modules are called, and
    whatever runs through; ``structure`` for those of the same classes, however they are set.
    """

    row: ModuleRow
    name: str
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    own: Mapping[str, int] = field(default_factory=dict)
    likeness: int = 0
    structure: int = 0
    size: int = 1

    @property
    def path(self) -> str:
        """Where it is registered, "" for the root."""
        return self.row.path

    def walk(self) -> Iterator[Node]:
        """It and everything below, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def tree(rows: Sequence[ModuleRow], shared: Sequence[SharedTensor] = ()) -> Node:
    """The root of the modules of a summary; rows stand in registration order, the root first.

    ``shared`` are its shared parameters, which count once in a row and once in each of its parts.
    """
    root = Node(rows[0], "", None)
    nodes = {"": root}
    for row in rows[1:]:
        above = row.path.rpartition(".")[0]
        while above and above not in nodes:
            above = above.rpartition(".")[0]
        parent = nodes.get(above, root)
        name = row.path.removeprefix(f"{above}.") if above else row.path
        node = nodes[row.path] = Node(row, name, parent)
        parent.children.append(node)
    twice: dict[int, dict[str, int]] = {}
    for tensor in shared:
        _count_overlaps(tensor, nodes, twice)
    _settle(root, twice)
    return root


def _count_overlaps(
    tensor: SharedTensor, nodes: Mapping[str, Node], twice: dict[int, dict[str, int]]
) -> None:
    """Note, for each module, how often its parts count a shared tensor beyond once."""
    parts: dict[int, set[int]] = {}
    for path in tensor.modules:
        below: Node | None = None
        node = nodes.get(path)
        while node is not None:
            parts.setdefault(id(node), set()).add(id(below))
            below, node = node, node.parent
    for of, holders in parts.items():
        found = twice.setdefault(of, {})
        for name, size in _sizes(tensor).items():
            found[name] = found.get(name, 0) + (len(holders) - 1) * size


def borrowed(shared: Sequence[SharedTensor], paths: AbstractSet[str]) -> dict[str, int]:
    """The figures of parameters that the modules at ``paths`` share with others, or each other:
    what they count beyond what is theirs alone."""
    found: dict[str, int] = {}
    for tensor in shared:
        inside = sum(path in paths for path in tensor.modules)
        beyond = inside if inside < len(tensor.modules) else inside - 1
        for name, size in _sizes(tensor).items():
            found[name] = found.get(name, 0) + beyond * size
    return found


def _sizes(tensor: SharedTensor) -> dict[str, int]:
    """What a parameter counts in a row. Shared ones are hardly ever frozen alone."""
    width = re.search(r"\d+", tensor.dtype)
    numel = prod(tensor.shape)
    nbytes = numel * (int(width[0]) // 8 if width else 1)
    return {"params": numel, "trainable_params": numel, "param_bytes": nbytes}


def _settle(node: Node, twice: Mapping[int, Mapping[str, int]]) -> None:
    for child in node.children:
        _settle(child, twice)
    row, overlap = node.row, twice.get(id(node), {})
    node.size = 1 + sum(child.size for child in node.children)
    node.own = {
        name: max(
            0,
            getattr(row, name)
            - sum(getattr(child.row, name) for child in node.children)
            + overlap.get(name, 0),
        )
        for name in FIGURES
    }
    node.structure = hash((row.type, tuple(child.structure for child in node.children)))
    below = tuple(child.likeness for child in node.children)
    node.likeness = hash((row.type, row.detail, node.own["params"], below))
