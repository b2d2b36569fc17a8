"""Which module of one version is which of another: two trees of modules, laid side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from blocktool.analysis import configured
from blocktool.analysis.module_tree import Node

_SAME = 10.0
_SAME_MOVED_ON = 9.5
_SAME_RENAMED = 8.0
_KEPT = 6.0
_REPLACED = 4.0
_CHANGED_RENAMED = 3.0
"""How well two siblings fit: built alike and called alike; built alike, and both called by a
number, which says little; built alike; called alike and of one class; called alike; of one class
and mostly built alike."""
_ALIKE_ENOUGH = 0.5


@dataclass
class Alignment:
    """``pairs`` has both sides of every module that was found again, in the new order; ``removed``
    and ``added`` the topmost modules of what was not."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    removed: list[Node] = field(default_factory=list)
    added: list[Node] = field(default_factory=list)


def align(old: Node, new: Node) -> Alignment:
    """Find the modules of ``old`` again in ``new``.

    Top down, the children of two modules that belong together are laid side by side in order
    (the longest common subsequence, weighted by how well two fit), then out of order, and what is
    left is looked for anywhere. A model that was wrapped, or unwrapped, is found first.
    """
    found = Alignment()
    inner = _wrapped(old, new)
    outer = None if inner else _wrapped(new, old)
    if inner is not None:
        found.added = [new]
        _descend(old, inner, found)
    elif outer is not None:
        found.removed = [old]
        _descend(outer, new, found)
    else:
        _descend(old, new, found)
    _look_elsewhere(found)
    order = {id(node): index for index, node in enumerate(new.walk())}
    found.pairs.sort(key=lambda pair: order[id(pair[1])])
    return found


def _wrapped(inner: Node, outer: Node) -> Node | None:
    """The module in ``outer`` that is all of ``inner``."""
    if inner.likeness == outer.likeness or inner.size == 1:
        return None
    same = [n for n in outer.walk() if n.likeness == inner.likeness and n.parent is not None]
    return same[0] if len(same) == 1 else None


def _descend(old: Node, new: Node, found: Alignment) -> None:
    found.pairs.append((old, new))
    together, gone, come = _siblings(old.children, new.children)
    if old.row.type != new.row.type and not together:
        return  # another module altogether: what it consists of goes without saying
    found.removed += gone
    found.added += come
    for pair in together:
        _descend(*pair, found)


def _siblings(
    old: list[Node], new: list[Node]
) -> tuple[list[tuple[Node, Node]], list[Node], list[Node]]:
    """Which belong together, and what is left on both sides."""
    together = _in_order(old, new)
    taken_old, taken_new = {id(o) for o, _ in together}, {id(n) for _, n in together}
    left_old = [node for node in old if id(node) not in taken_old]
    left_new = [node for node in new if id(node) not in taken_new]
    for least in (_SAME, _SAME_RENAMED, _KEPT, _REPLACED):
        for before in list(left_old):
            for after in left_new:
                if fit(before, after) >= least:
                    together.append((before, after))
                    left_old.remove(before)
                    left_new.remove(after)
                    break
    return together, left_old, left_new


def _in_order(old: list[Node], new: list[Node]) -> list[tuple[Node, Node]]:
    """The pairs, in the order of both, whose fits add up to the most."""
    start = 0
    while start < min(len(old), len(new)) and fit(old[start], new[start]) == _SAME:
        start += 1
    head = list(zip(old[:start], new[:start], strict=True))
    old, new = old[start:], new[start:]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    fits = [[fit(before, after) for after in new] for before in old]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            both = best[i + 1][j + 1] + fits[i][j] if fits[i][j] else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], both)
    i = j = 0
    pairs = []
    while i < len(old) and j < len(new):
        if fits[i][j] and best[i][j] == best[i + 1][j + 1] + fits[i][j]:
            pairs.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return head + pairs


def fit(old: Node, new: Node) -> float:
    """How well two siblings fit; 0: not at all."""
    named = old.name == new.name
    if old.likeness == new.likeness:
        if named:
            return _SAME
        return _SAME_MOVED_ON if old.name.isdigit() and new.name.isdigit() else _SAME_RENAMED
    if named:
        return _KEPT if old.row.type == new.row.type else _REPLACED
    if old.row.type == new.row.type and _alike(old, new):
        return _CHANGED_RENAMED
    return 0.0


def _alike(old: Node, new: Node) -> bool:
    if not old.children or not new.children:
        kind = old.row.type
        shared = configured.likeness(
            configured.settings(kind, old.row.detail), configured.settings(kind, new.row.detail)
        )
        return shared >= _ALIKE_ENOUGH
    before = Counter(child.likeness for child in old.children)
    after = Counter(child.likeness for child in new.children)
    return (before & after).total() >= _ALIKE_ENOUGH * max(before.total(), after.total())


def _look_elsewhere(found: Alignment) -> None:
    """Pair what went in one place with what came in another, where both are built alike.

    A module without parameters and children is too common for that to mean anything.
    """
    come: dict[int, list[Node]] = defaultdict(list)
    for top in found.added:
        for node in top.walk():
            if node.row.params or node.size > 1:
                come[node.likeness].append(node)
    taken = {id(after) for _, after in found.pairs}
    again = set()
    # The largest first, so that a part is not taken from a whole that moved as one.
    for node in sorted((n for top in found.removed for n in top.walk()), key=lambda n: -n.size):
        if id(node) in again:
            continue
        for other in come.get(node.likeness, ()):
            if not any(id(each) in taken for each in other.walk()):
                for pair in zip(node.walk(), other.walk(), strict=True):
                    found.pairs.append(pair)
                    again.add(id(pair[0]))
                    taken.add(id(pair[1]))
                break
    found.removed = [top for top in found.removed if id(top) not in again]
    found.added = [top for top in found.added if id(top) not in taken]
