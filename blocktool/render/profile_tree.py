"""The modules of a profile as the tree that a view asks for: folded, cut and ordered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from blocktool.render.view import TimeKey, View
from blocktool.results.profile import ModuleTime
from blocktool.results.roofline import Bound, Roofline

SCREEN = 32
"""Rows of modules that are shown without a depth being asked for."""

_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass(frozen=True, slots=True)
class TimeNode:
    """One module, or ``count`` alike in a row, with the figures of all of them together.

    ``own_ms`` is the time outside the children that are shown, ``share`` its share of the whole.
    ``limits`` is None where any of the modules has none.
    """

    name: str
    type: str
    count: int
    calls: int
    total_ms: float
    own_ms: float
    share: float
    macs: int
    moved_bytes: int
    backward_ms: float
    limits: Roofline | None
    children: tuple[TimeNode, ...] = ()

    @property
    def gflops(self) -> float:
        """1e9 FLOPs per second; 0 where no time was measured."""
        return 2 * self.macs / self.total_ms / 1e6 if self.total_ms else 0.0

    @property
    def gbps(self) -> float:
        """1e9 bytes per second; 0 where no time was measured."""
        return self.moved_bytes / self.total_ms / 1e6 if self.total_ms else 0.0

    @property
    def attained(self) -> float | None:
        """The share of what is attainable."""
        if self.limits is None or not self.total_ms:
            return None
        return self.limits.attainable_ms / self.total_ms


def shown_tree(rows: Sequence[ModuleTime], view: View) -> tuple[TimeNode, int]:
    """The tree to show, and the height of the whole; as many levels as fit a screen.

    Equal modules that follow each other (same type, calls, MACs and bytes, names that count up) are
    one row, unless the view expands them. Raises ValueError without rows.
    """
    tree = _grown(rows)
    if not view.expand:
        tree = _folded(tree)
    levels = height(tree)
    tree = _cut(tree, _fitting(tree, levels) if view.depth is None else view.depth)
    return (tree if view.sort_times is None else _sorted(tree, view.sort_times)), levels


def walk(node: TimeNode) -> Iterator[TimeNode]:
    """The node and all below it, parents first."""
    yield node
    for child in node.children:
        yield from walk(child)


def _grown(rows: Sequence[ModuleTime]) -> TimeNode:
    if not rows:
        raise ValueError("there are no modules")
    known = {row.path for row in rows}
    root = rows[0].path
    below: dict[str, list[ModuleTime]] = {}
    for row in rows[1:]:
        parent = row.path.rpartition(".")[0]
        while parent and parent not in known:
            parent = parent.rpartition(".")[0]
        below.setdefault(parent if parent in known else root, []).append(row)

    def grow(row: ModuleTime, name: str) -> TimeNode:
        prefix = f"{row.path}." if row.path else ""
        return TimeNode(
            name,
            row.type,
            1,
            row.calls,
            row.total_ms,
            row.own_ms,
            row.share,
            row.macs,
            row.moved_bytes,
            row.backward_ms,
            row.roofline,
            tuple(grow(each, each.path.removeprefix(prefix)) for each in below.get(row.path, ())),
        )

    return grow(rows[0], rows[0].path)


def _folded(node: TimeNode) -> TimeNode:
    runs: list[list[TimeNode]] = []
    for child in map(_folded, node.children):
        if runs and _follows(runs[-1][-1], child):
            runs[-1].append(child)
        else:
            runs.append([child])
    return replace(node, children=tuple(map(_merged, runs)))


def _follows(one: TimeNode, two: TimeNode) -> bool:
    first, second = _NUMBERED.match(one.name), _NUMBERED.match(two.name)
    if first is None or second is None or first[1] != second[1]:
        return False
    return int(first[2]) + 1 == int(second[2]) and _alike(one, two)


def _alike(one: TimeNode, two: TimeNode) -> bool:
    """The same work in modules of the same types; only the times may differ."""
    return _work(one) == _work(two) and all(
        a.name == b.name and _alike(a, b) for a, b in zip(one.children, two.children, strict=True)
    )


def _work(node: TimeNode) -> tuple[object, ...]:
    figures = (node.type, node.count, node.calls, node.macs, node.moved_bytes)
    return (*figures, len(node.children))


def _merged(run: Sequence[TimeNode]) -> TimeNode:
    first = run[0]
    if len(run) == 1:
        return first
    last = _NUMBERED.match(run[-1].name)
    children = [_merged(same) for same in zip(*(node.children for node in run), strict=True)]
    name = f"{first.name}-{last[2]}" if last and run[-1].name != first.name else first.name
    return TimeNode(
        name,
        first.type,
        sum(node.count for node in run),
        sum(node.calls for node in run),
        sum(node.total_ms for node in run),
        sum(node.own_ms for node in run),
        sum(node.share for node in run),
        sum(node.macs for node in run),
        sum(node.moved_bytes for node in run),
        sum(node.backward_ms for node in run),
        _summed([node.limits for node in run]),
        tuple(children),
    )


def _summed(limits: Sequence[Roofline | None]) -> Roofline | None:
    """The limits of modules that run one after the other."""
    known = [each for each in limits if each is not None]
    if len(known) != len(limits):
        return None
    parts: dict[Bound, float] = {
        "compute": sum(each.compute_ms for each in known),
        "memory": sum(each.memory_ms for each in known),
        "overhead": sum(each.overhead_ms for each in known),
    }
    return Roofline(
        compute_ms=parts["compute"],
        memory_ms=parts["memory"],
        overhead_ms=parts["overhead"],
        attainable_ms=sum(each.attainable_ms for each in known),
        predicted_ms=sum(each.predicted_ms for each in known),
        attained=None,
        bound=max(parts, key=lambda bound: parts[bound]),
    )


def _cut(node: TimeNode, depth: int) -> TimeNode:
    """The tree without what lies deeper; what it took is the own time of what holds it."""
    if depth > 0:
        return replace(node, children=tuple(_cut(child, depth - 1) for child in node.children))
    below = [inner for inner in walk(node) if inner is not node]
    return replace(
        node,
        own_ms=node.own_ms + sum(inner.own_ms for inner in below),
        share=node.share + sum(inner.share for inner in below),
        children=(),
    )


def height(node: TimeNode) -> int:
    """How many levels lie below ``node``."""
    return max((1 + height(child) for child in node.children), default=0)


def _fitting(node: TimeNode, levels: int) -> int:
    depth = 1
    while depth < levels and sum(1 for _ in walk(_cut(node, depth + 1))) <= SCREEN:
        depth += 1
    return depth


_FIGURES: dict[TimeKey, Callable[[TimeNode], float]] = {
    "time": lambda node: node.total_ms,
    "own": lambda node: node.own_ms,
    "calls": lambda node: node.calls,
    "macs": lambda node: node.macs,
    # The furthest below its limit first; what has no limit last.
    "attained": lambda node: -2.0 if node.attained is None else -min(node.attained, 1.0),
}


def _sorted(node: TimeNode, key: TimeKey) -> TimeNode:
    children = [_sorted(child, key) for child in node.children]
    if key == "name":
        children.sort(key=lambda child: child.name)
    else:
        children.sort(key=_FIGURES[key], reverse=True)
    return replace(node, children=tuple(children))
