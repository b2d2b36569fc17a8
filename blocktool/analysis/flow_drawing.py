"""The nodes, groups and edges of a trace at one depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction

from blocktool.analysis.counts import Count
from blocktool.analysis.flow_costs import Costs
from blocktool.analysis.flow_fold import (
    Folder,
    Group,
    Leaf,
    Part,
    grouped,
    leaves,
    without_wrappers,
)
from blocktool.analysis.flow_pieces import Piece, RawShape, joined, live
from blocktool.analysis.flow_trace import Calls, Walker
from blocktool.analysis.flow_words import essential, operation_name
from blocktool.analysis.summary import ancestors
from blocktool.results.diagram import DiagramEdge, DiagramGroup, DiagramNode, Shape
from blocktool.results.symbolic import Size
from blocktool.results.trace import OpTrace

_NAMED = 3
"""So many modules a note names."""


class Drawing:
    """The pieces and groups of a trace at one depth."""

    def __init__(
        self,
        trace: OpTrace,
        calls: Calls,
        costs: Costs,
        depth: int,
        expand: bool,
        names: Sequence[str] = (),
    ) -> None:
        self.depth = depth
        self._trace = trace
        self._calls = calls
        self._costs = costs
        walker = Walker(calls, depth, names)
        reached = live(walker.pieces)
        self._unread = [p for p in walker.pieces if p.kind == "module" and p.index not in reached]
        self._shown = {
            self._path(p) for p in walker.pieces if p.kind == "module" and p.index in reached
        }
        self.pieces = joined({p.index: p for p in walker.pieces if p.index in reached})
        self._uses = _uses(trace)
        self._types = {module.path: module for module in trace.modules}
        self.root = grouped(self.pieces, trace.calls)
        if not expand:
            Folder(self.pieces, self._likeness).fold(self.root)
            without_wrappers(self.root)
        self._ids = {
            leaf.piece.index: f"n{number}" for number, leaf in enumerate(leaves(self.root), 1)
        }
        self._group_ids = {
            group.call: f"g{number}" for number, (group, _) in enumerate(_opened(self.root), 1)
        }

    def _likeness(self, piece: Piece) -> Hashable:
        module = self._types.get(self._path(piece)) if piece.kind == "module" else None
        return (
            piece.kind,
            (module.type, module.detail) if module else tuple(op.op for op in piece.ops),
            piece.shapes,
            piece.dtype,
            tuple(tuple(shapes) for shapes in piece.reads.values()),
            piece.state,
            self._costs.of(piece),
        )

    def _path(self, piece: Piece) -> str:
        return self._trace.calls[piece.call].path if piece.call >= 0 else ""

    def nodes(self) -> Iterator[DiagramNode]:
        """In the order of the run."""
        inside = _places(self.root)
        for leaf in leaves(self.root):
            group = inside[leaf.piece.index]
            yield self._node(leaf, group)

    def _node(self, leaf: Leaf, group: Group) -> DiagramNode:
        piece = leaf.piece
        use, uses = self._uses.get(piece.call, (1, 1)) if piece.kind == "module" else (1, 1)
        return DiagramNode(
            id=self._ids[piece.index],
            kind=piece.kind,
            path=leaf.path,
            name=self._name(leaf, group),
            type=self._type(piece),
            detail=self._detail(piece),
            shapes=tuple(map(_shape, piece.shapes)),
            dtype=piece.dtype,
            cost=self._costs.of(piece),
            group=self._group_ids.get(group.call),
            count=leaf.count,
            use=use,
            uses=uses,
        )

    def _name(self, leaf: Leaf, group: Group) -> str:
        if leaf.piece.kind in ("input", "output"):
            return leaf.piece.name or leaf.piece.kind
        return "" if leaf.piece.kind == "operation" else _relative(leaf, group)

    def _type(self, piece: Piece) -> str:
        if piece.kind == "operation":
            return " · ".join(operation_name(op.op) for op in piece.ops)
        module = self._types.get(self._path(piece)) if piece.kind == "module" else None
        return module.type if module else ""

    def _detail(self, piece: Piece) -> str:
        if piece.kind == "operation":
            named = " and ".join(f"a {word}" for word in sorted(piece.state, reverse=True))
            return f"with {named}" if named else ""
        module = self._types.get(self._path(piece)) if piece.kind == "module" else None
        return essential(module.detail) if module else ""

    def groups(self) -> Iterator[DiagramGroup]:
        """Outer ones first."""
        for group, above in _opened(self.root):
            module = self._types.get(group.path)
            yield DiagramGroup(
                id=self._group_ids[group.call],
                path=group.path,
                name=_relative(group, above),
                type=module.type if module else "",
                group=self._group_ids.get(above.call),
                count=group.count,
            )

    def edges(self, nodes: tuple[DiagramNode, ...]) -> Iterator[DiagramEdge]:
        """Sorted by their ends; ``nodes`` are those of this drawing."""
        by_id = {node.id: node for node in nodes}
        order = {leaf.piece.index: number for number, leaf in enumerate(leaves(self.root))}
        reach: dict[int, int] = {}
        below: dict[int, list[int]] = {index: [] for index in order}
        for piece in self.pieces.values():
            for maker in piece.reads:
                below[maker].append(piece.index)
        for index in sorted(order, key=lambda each: -order[each]):
            reach[index] = 1 << order[index]
            for reader in below[index]:
                reach[index] |= reach[reader]
        for index in order:
            for reader in sorted(below[index], key=lambda each: order[each]):
                others = [reach[other] for other in below[index] if other != reader]
                shapes = tuple(map(_shape, self.pieces[reader].reads[index]))
                obvious = set(shapes) == set(by_id[self._ids[index]].shapes)
                yield DiagramEdge(
                    source=self._ids[index],
                    target=self._ids[reader],
                    shapes=() if obvious else shapes,
                    skip=any(mask >> order[reader] & 1 for mask in others),
                )

    def notes(self, same: Mapping[str, str]) -> Iterator[str]:
        """What is not drawn; ``same`` has for a module of several paths the first of them."""
        unread = Counter(self._path(piece) or "(itself)" for piece in self._unread)
        shown = {path for path in unread if path in self._shown}
        if whole := [path for path in unread if path not in shown]:
            yield _left_out(whole, "whose result nobody reads", "whose results nobody reads")
        if shown:
            yield _unread_calls({path: unread[path] for path in unread if path in shown})
        called = {
            same.get(above, above) for call in self._trace.calls for above in ancestors(call.path)
        }
        modules = [module.path for module in self._trace.modules]
        never = [path for path in modules if same.get(path, path) not in called]
        # Of a tree that is never called its root says it.
        known = set(never)
        never = [path for path in never if path.rpartition(".")[0] not in known]
        if never:
            yield _left_out(never, "that is never called", "that are never called")


def _left_out(paths: list[str], one: str, several: str) -> str:
    what = f"1 module {one}" if len(paths) == 1 else f"{len(paths)} modules {several}"
    return f"not drawn: {what}: {_listed(paths)}"


def _unread_calls(calls: dict[str, int]) -> str:
    """Of modules of which other calls are drawn."""
    number = sum(calls.values())
    if number == 1:
        return f"not drawn: 1 call of {_listed(list(calls))}, whose result nobody reads"
    return f"not drawn: {number} calls of {_listed(list(calls))}, whose results nobody reads"


def _listed(paths: list[str]) -> str:
    return ", ".join(paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


def _uses(trace: OpTrace) -> dict[int, tuple[int, int]]:
    """Of each forward call, which one of its module it is, and of how many."""
    found: dict[int, int] = {}
    counts: Counter[str] = Counter()
    for call in trace.calls:
        if call.phase == "forward":
            counts[call.path] += 1
            found[call.index] = counts[call.path]
    return {index: (use, counts[trace.calls[index].path]) for index, use in found.items()}


def _opened(group: Group, above: Group | None = None) -> Iterator[tuple[Group, Group]]:
    """The groups below the root, outer ones first, with the group around each."""
    for part in group.parts:
        if isinstance(part, Group):
            yield part, group
            yield from _opened(part)


def _places(group: Group) -> dict[int, Group]:
    """The group right around each piece."""
    found: dict[int, Group] = {}
    for part in group.parts:
        if isinstance(part, Leaf):
            found[part.piece.index] = group
        else:
            found.update(_places(part))
    return found


def _relative(part: Part, above: Group) -> str:
    name = part.path.removeprefix(f"{above.path}.") if above.path else part.path
    return f"{name}-{part.last}" if part.last else name


def _shape(shape: RawShape) -> Shape:
    return tuple(map(_size, shape))


def _size(value: object) -> Size:
    if isinstance(value, Count):
        return value.text()
    assert isinstance(value, (int, Fraction))
    return int(value)
