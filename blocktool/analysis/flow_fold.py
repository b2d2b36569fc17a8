"""Groups of a diagram, and the folding of equal modules that follow each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from blocktool.analysis.flow_pieces import Piece, consumers, rename
from blocktool.results.trace import ModuleCall

_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass(slots=True)
class Group:
    """A call that is drawn opened: ``parts`` are what lies in it, in the order of the run."""

    call: int
    path: str
    parts: list[Part] = field(default_factory=list)
    count: int = 1
    last: str = ""
    """Of a folded run, the number of its last module."""


@dataclass(slots=True)
class Leaf:
    """A piece in a group; ``count`` equal modules in a row."""

    piece: Piece
    path: str
    count: int = 1
    last: str = ""


Part = Group | Leaf
Likeness = Callable[[Piece], Hashable]
"""Everything that makes two pieces equal but for their names and their place."""


def grouped(pieces: dict[int, Piece], calls: tuple[ModuleCall, ...]) -> Group:
    """The pieces in the groups that their owners are; a group of one module is that module."""
    root = Group(-1, "")
    groups: dict[int, Group] = {-1: root}

    def group_of(call: int) -> Group:
        found = groups.get(call)
        if found is None:
            above = group_of(calls[call].parent)
            found = groups[call] = Group(call, calls[call].path)
            above.parts.append(found)
        return found

    for piece in pieces.values():
        path = calls[piece.call].path if piece.call >= 0 else ""
        group_of(piece.owner).parts.append(Leaf(piece, path))
    return without_wrappers(root)


def without_wrappers(group: Group) -> Group:
    """Groups around one module, or one run of equal ones, give place to what is in them."""
    parts: list[Part] = []
    for part in group.parts:
        if isinstance(part, Leaf):
            parts.append(part)
            continue
        part = without_wrappers(part)
        only = part.parts[0] if len(part.parts) == 1 and part.count == 1 else None
        is_operation = isinstance(only, Leaf) and only.piece.kind == "operation"
        # The root is no group of its own beside inputs and outputs.
        parts += part.parts if part.call == 0 else [part if only is None or is_operation else only]
    group.parts = parts
    return group


def leaves(part: Part) -> Iterator[Leaf]:
    """The pieces in a part, in the order of the run."""
    if isinstance(part, Leaf):
        yield part
    else:
        for each in part.parts:
            yield from leaves(each)


def _groups(part: Part) -> Iterator[Group]:
    if isinstance(part, Group):
        yield part
        for each in part.parts:
            yield from _groups(each)


class Folder:
    """Folds runs of equal modules, of which each hands on to the next, in ``pieces``."""

    def __init__(self, pieces: dict[int, Piece], likeness: Likeness) -> None:
        self._pieces = pieces
        self._likeness = likeness
        self._readers: dict[int, list[int]] = {}

    def fold(self, group: Group) -> None:
        """Fold inside ``group``, from the innermost groups outwards."""
        for part in group.parts:
            if isinstance(part, Group):
                self.fold(part)
        self._readers = consumers(self._pieces)
        parts: list[Part] = []
        runs: list[list[Part]] = []
        for part in group.parts:
            if runs and self._follows(runs[-1], part):
                runs[-1].append(part)
            else:
                runs.append([part])
        for run in runs:
            parts.append(self._merged(run) if len(run) > 1 else run[0])
        group.parts = parts

    def _follows(self, run: list[Part], part: Part) -> bool:
        before = run[-1]
        if not _numbered(before.path, part.path) or before.count != part.count:
            return False
        if self._shape_of(before) != self._shape_of(part):
            return False
        inside, within = _indices(before), _indices(part)
        for index in inside:
            if not set(self._readers[index]) <= inside | within:
                return False
        sources = self._sources(part) - inside
        return sources <= self._sources(run[0])

    def _sources(self, part: Part) -> set[int]:
        """What is read from outside."""
        inside = _indices(part)
        return {m for index in inside for m in self._pieces[index].reads} - inside

    def _shape_of(self, part: Part) -> Hashable:
        """Equal for parts that are drawn alike: what is in them, how it hangs together, where
        they read from outside and where they are read."""
        found = list(leaves(part))
        place = {leaf.piece.index: position for position, leaf in enumerate(found)}
        prefix = len(part.path)
        rows = []
        for leaf in found:
            readers = self._readers[leaf.piece.index]
            rows.append(
                (
                    leaf.path[prefix:] if leaf is not part else "",
                    leaf.count,
                    leaf.last,
                    self._likeness(leaf.piece),
                    tuple(sorted(place[m] for m in leaf.piece.reads if m in place)),
                    len(leaf.piece.reads),
                    any(reader not in place for reader in readers),
                )
            )
        inner = [(g.path[prefix:], g.count, g.last) for g in _groups(part) if g is not part]
        return tuple(rows), tuple(inner)

    def _merged(self, run: list[Part]) -> Part:
        first, last = run[0], run[-1]
        first.count = len(run)
        match = _NUMBERED.match(last.path)
        first.last = match[2] if match else ""
        into = {
            gone.piece.index: kept.piece.index
            for part in run[1:]
            for gone, kept in zip(leaves(part), leaves(first), strict=True)
        }
        for index in into:
            del self._pieces[index]
        rename(self._pieces, lambda index: into.get(index, index))
        self._readers = consumers(self._pieces)
        return first


def _numbered(first: str, second: str) -> bool:
    """Whether two paths differ by a running number at their ends."""
    one, two = _NUMBERED.match(first), _NUMBERED.match(second)
    return bool(one and two and one[1] == two[1] and int(one[2]) + 1 == int(two[2]))


def _indices(part: Part) -> set[int]:
    return {leaf.piece.index for leaf in leaves(part)}
