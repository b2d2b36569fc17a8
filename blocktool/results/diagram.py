"""The data flow of a module as a graph: the answer of ``blocktool diagram``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.symbolic import Size

NodeKind = Literal["input", "output", "module", "operation"]
Shape = tuple[Size, ...]
"""Numbers; in a diagram with symbols, expressions where a size depends on them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a node costs in one forward: MACs, parameters of its whole subtree, bytes."""

    params: int = 0
    macs: int = 0
    activation_bytes: int = 0
    """Of the storages that are allocated for results."""
    moved_bytes: int = 0
    """Read and written."""


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """One call of a module, one operation (or several in a row), an input or an output.

    ``cost`` is that of one where the node stands for ``count`` equal ones.
    """

    id: str
    """``"n1"``, ...: numbered in the order of the run."""
    kind: NodeKind
    path: str
    """Of the module that is called; of an operation, of the module that runs it."""
    name: str
    """The path inside the group; for a run of equal modules it spans them (``"1-5"``)."""
    type: str
    """The module's class; of operations their names in a row (``"add · relu"``)."""
    detail: str
    """What matters of the module's arguments: ``"3×3, stride 2"``."""
    shapes: tuple[Shape, ...]
    """Of its outputs."""
    dtype: str
    """Of its first output; "" without any."""
    cost: Cost
    group: str | None = None
    """The group that it lies in; None: the module itself."""
    count: int = 1
    use: int = 1
    """Which call of this module it is."""
    uses: int = 1
    """How often the module is called."""


@dataclass(frozen=True, slots=True)
class DiagramGroup:
    """One call of a module that is drawn opened, or ``count`` equal ones of which one is drawn."""

    id: str
    path: str
    name: str
    type: str
    group: str | None = None
    """The group that it lies in; None: the module itself."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class DiagramEdge:
    """``target`` reads what ``source`` made."""

    source: str
    target: str
    shapes: tuple[Shape, ...] = ()
    """As it is read, where that is not the source's only output as it is."""
    skip: bool = False
    """Whether another way leads from ``source`` to ``target`` through other nodes."""


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes in the order of the run, and which reads whose result.

    Modules less than ``depth`` levels below the root are opened, of ``levels`` that there are.
    ``symbols`` are the sizes that are left open, with those at which costs are given.
    """

    target: str
    root_type: str
    mode: Literal["forward", "training"]
    traced_on: str
    attention: str
    environment: Environment
    depth: int
    levels: int
    symbols: dict[str, int]
    conditions: tuple[str, ...]
    """What must hold of the symbols."""
    total: Cost
    """Of the whole forward; with nodes that are left out, and each parameter once."""
    nodes: tuple[DiagramNode, ...]
    groups: tuple[DiagramGroup, ...]
    edges: tuple[DiagramEdge, ...]
    notes: tuple[str, ...] = ()
