"""The first column of a tree: names with the guides that show what belongs to what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from blocktool.render.columns import Cell
from blocktool.render.styled import Glyphs, clean


class Node(Protocol):
    """A row of a tree: one module, or ``count`` equal ones."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def children(self) -> Sequence[Self]: ...  # noqa: D102


NodeT = TypeVar("NodeT", bound=Node)


def guided(
    tree: NodeT,
    glyphs: Glyphs,
    *,
    unicode: bool,
    style: Callable[[NodeT], str] = lambda node: "",
) -> list[Cell]:
    """A cell for each node, parents first: ``├─ conv1-2 ×8``. A count that is that of the node
    above goes without saying."""
    cells: list[Cell] = []

    def descend(node: NodeT, lead: str, below: str, above: int = 1) -> None:
        name = clean(node.name, unicode=unicode)
        if node.count > above:
            name = f"{name} {glyphs.times}{node.count}"
        cells.append(Cell(name, style(node), lead))
        for child in node.children:
            last = child is node.children[-1]
            descend(
                child,
                below + (glyphs.last if last else glyphs.branch),
                below + (glyphs.gap if last else glyphs.bar),
                node.count,
            )

    descend(tree, "", "")
    return cells
