"""The rows of a summary as a tree, with what each module does itself, and a name-free likeness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from blocktool.results.summary import ModuleRow

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
    """One module. ``own`` are its figures without those of its children; ``likeness`` is equal for
    subtrees that are built alike, whatever their modules are called, and whatever runs through."""

    row: ModuleRow
    name: str
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    own: Mapping[str, int] = field(default_factory=dict)
    likeness: int = 0
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


def tree(rows: Sequence[ModuleRow]) -> Node:
    """The root of the modules of a summary; rows stand in registration order, the root first."""
    root = Node(rows[0], "", None)
    nodes = {"": root}
    for row in rows[1:]:
        above, _, name = row.path.rpartition(".")
        parent = nodes.get(above, root)
        node = nodes[row.path] = Node(row, name if above in nodes else row.path, parent)
        parent.children.append(node)
    _settle(root)
    return root


def _settle(node: Node) -> None:
    for child in node.children:
        _settle(child)
    node.size = 1 + sum(child.size for child in node.children)
    node.own = {
        # Tied parameters count once in the parent, and once in each child.
        name: max(
            0, getattr(node.row, name) - sum(getattr(child.row, name) for child in node.children)
        )
        for name in FIGURES
    }
    node.likeness = hash(
        (
            node.row.type,
            node.row.detail,
            node.own["params"],
            tuple(child.likeness for child in node.children),
        )
    )
