"""The nodes of a diagram in the making, and who reads whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from blocktool.results.diagram import NodeKind
from blocktool.results.trace import OpRecord

RawShape = tuple[object, ...]
"""Of a trace: numbers, or counts where it has symbols."""


@dataclass(slots=True)
class Piece:
    """A node in the making. ``owner`` is the call in which it lies (-1: outside the root).

    ``reads`` has the pieces that it reads, each with the shapes in which it reads them.
    """

    index: int
    kind: NodeKind
    owner: int
    call: int = -1
    ops: list[OpRecord] = field(default_factory=list)
    shapes: tuple[RawShape, ...] = ()
    dtype: str = ""
    name: str = ""
    reads: dict[int, dict[RawShape, None]] = field(default_factory=dict)
    state: frozenset[str] = frozenset()
    """What an operation reads besides: "parameter", "buffer"."""


def live(pieces: list[Piece]) -> set[int]:
    """The pieces from which a way leads to an output, and the inputs; all where there is no
    output."""
    wanted = [piece.index for piece in pieces if piece.kind == "output"]
    if not wanted:
        return {piece.index for piece in pieces}
    found = {piece.index for piece in pieces if piece.kind in ("input", "output")}
    while wanted:
        for maker in pieces[wanted.pop()].reads:
            if maker not in found:
                found.add(maker)
                wanted.append(maker)
    return found


def consumers(pieces: Mapping[int, Piece]) -> dict[int, list[int]]:
    """Who reads each piece."""
    found: dict[int, list[int]] = {index: [] for index in pieces}
    for piece in pieces.values():
        for maker in piece.reads:
            found[maker].append(piece.index)
    return found


def joined(pieces: dict[int, Piece]) -> dict[int, Piece]:
    """Operations that only hand on to one another are one piece: the first takes in the rest, up
    to the next contraction."""
    readers = consumers(pieces)
    into: dict[int, int] = {}
    for piece in list(pieces.values()):
        if piece.kind != "operation" or len(piece.reads) != 1 or piece.ops[0].macs:
            continue
        (maker,) = piece.reads
        before = pieces[into.get(maker, maker)]
        if (
            before.kind == "operation"
            and before.owner == piece.owner
            and readers[maker] == [piece.index]
        ):
            before.ops += piece.ops
            before.shapes, before.dtype = piece.shapes, piece.dtype
            before.state |= piece.state
            into[piece.index] = before.index
            del pieces[piece.index]
    rename(pieces, lambda index: into.get(index, index))
    return pieces


def rename(pieces: dict[int, Piece], name: Callable[[int], int]) -> None:
    """Let every piece read what ``name`` says instead."""
    for piece in pieces.values():
        reads: dict[int, dict[RawShape, None]] = {}
        for maker, shapes in piece.reads.items():
            reads.setdefault(name(maker), {}).update(shapes)
        piece.reads = reads
