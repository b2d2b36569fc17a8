"""Which module of one version is which of another: two trees of modules, laid side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from blocktool.analysis import configured
from blocktool.analysis.module_tree import Node

_SAME = 10.0
_SAME_MOVED_ON = 9.9999
_SAME_RENAMED = 8.0
_KEPT = 6.0
_REPLACED = 4.0
_CHANGED_RENAMED = 3.0
_SAME_STRUCTURE = 2.0
_REPLACED_BY_NUMBER = 1.0
"""How well two siblings fit: built alike and called alike; built alike, and both called by a
number, which says little; built alike; called alike and of one class; called alike; of one class
and mostly built alike; made of the same classes; called by the same number."""
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")
_ALIKE_ENOUGH = 0.5


@dataclass
class Alignment:
    """``pairs`` has both sides of every module that was found again, in the new order; ``removed``
    and ``added`` the topmost modules of what was not. ``shell`` are modules that came, or went,
    around others that were there. ``old`` and ``new`` are the whole trees; what lies below a module
    that was replaced as a whole is in none of the lists."""

    old: Node
    new: Node
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    removed: list[Node] = field(default_factory=list)
    added: list[Node] = field(default_factory=list)
    shell: list[Node] = field(default_factory=list)


def align(old: Node, new: Node) -> Alignment:
    """Find the modules of ``old`` again in ``new``.

    Top down, the children of two modules that belong together are laid side by side in order
    (the longest common subsequence, weighted by how well two fit), then out of order, and what is
    left is looked for anywhere. A model that was wrapped, or unwrapped, is found first.
    """
    found = Alignment(old, new)
    inner = _wrapped(old, new)
    outer = None if inner else _wrapped(new, old)
    if inner is not None:
        _peel(inner, found.shell, found.added)
        _descend(old, inner, found)
    elif outer is not None:
        _peel(outer, found.shell, found.removed)
        _descend(outer, new, found)
    else:
        _descend(old, new, found)
    _look_elsewhere(found)
    order = {id(node): index for index, node in enumerate(new.walk())}
    found.pairs.sort(key=lambda pair: order[id(pair[1])])
    return found


def _wrapped(inner: Node, outer: Node) -> Node | None:
    """The module in ``outer`` that is ``inner``: all of it, or else of its class and mostly it."""
    if inner.likeness == outer.likeness or inner.size == 1:
        return None
    below = [node for node in outer.walk() if node.parent is not None]
    same = [node for node in below if node.likeness == inner.likeness]
    if not same and inner.row.type != outer.row.type:
        same = [node for node in below if node.row.type == inner.row.type and _alike(inner, node)]
    return same[0] if len(same) == 1 else None


def _peel(inner: Node, shell: list[Node], beside: list[Node]) -> None:
    """The modules around ``inner``, and what they hold beside it."""
    node, above = inner, inner.parent
    while above is not None:
        shell.append(above)
        beside += [child for child in above.children if child is not node]
        node, above = above, above.parent


def _descend(old: Node, new: Node, found: Alignment) -> None:
    found.pairs.append((old, new))
    together, gone, come = _siblings(old.children, new.children)
    if old.row.type != new.row.type and (not together or _is_another(old, new)):
        return  # what another module consists of goes without saying
    found.removed += gone
    found.added += come
    for pair in together:
        _descend(*pair, found)


def _is_another(old: Node, new: Node) -> bool:
    """Whether little of a module is left in what took its place; containers, and the whole, are
    always looked into."""
    if old.parent is None or new.parent is None:
        return False
    if old.row.type in _CONTAINERS or new.row.type in _CONTAINERS:
        return False
    return not _alike(old, new)


def _siblings(
    old: list[Node], new: list[Node]
) -> tuple[list[tuple[Node, Node]], list[Node], list[Node]]:
    """Which belong together, and what is left on both sides."""
    together = _unmoved(old, new)
    settled = {id(node) for pair in together for node in pair}
    rest = [[node for node in side if id(node) not in settled] for side in (old, new)]
    together += _in_order(*rest)
    taken_old, taken_new = {id(o) for o, _ in together}, {id(n) for _, n in together}
    left_old = [node for node in old if id(node) not in taken_old]
    left_new = [node for node in new if id(node) not in taken_new]
    for least in (_SAME, _SAME_RENAMED, _KEPT, _REPLACED, _SAME_STRUCTURE, _REPLACED_BY_NUMBER):
        for before in list(left_old):
            for after in left_new:
                if fit(before, after) >= least:
                    together.append((before, after))
                    left_old.remove(before)
                    left_new.remove(after)
                    break
    return together, left_old, left_new


def _unmoved(old: list[Node], new: list[Node]) -> list[tuple[Node, Node]]:
    """Those that are called alike, by a name and not by a number, and built alike: whatever the
    order in which they stand."""
    named = {node.name: node for node in new}
    pairs = ((node, named.get(node.name)) for node in old if not node.name.isdigit())
    return [
        (before, after)
        for before, after in pairs
        if after is not None and before.likeness == after.likeness
    ]


def _in_order(old: list[Node], new: list[Node]) -> list[tuple[Node, Node]]:
    """The pairs, in the order of both, whose fits add up to the most."""
    start = 0
    while start < min(len(old), len(new)) and fit(old[start], new[start]) == _SAME:
        start += 1
    head = list(zip(old[:start], new[:start], strict=True))
    old, new = old[start:], new[start:]
    tail = []
    while old and new and fit(old[-1], new[-1]) >= _SAME_MOVED_ON:
        tail.append((old.pop(), new.pop()))
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
    return head + pairs + tail[::-1]


def fit(old: Node, new: Node) -> float:
    """How well two siblings fit; 0: not at all."""
    named = old.name == new.name
    if old.likeness == new.likeness:
        if named:
            return _SAME
        return _SAME_MOVED_ON if old.name.isdigit() and new.name.isdigit() else _SAME_RENAMED
    if named:
        if old.row.type == new.row.type:
            return _KEPT
        return _REPLACED_BY_NUMBER if old.name.isdigit() else _REPLACED
    if old.row.type == new.row.type and _alike(old, new):
        return _CHANGED_RENAMED
    return _SAME_STRUCTURE if old.size > 1 and old.structure == new.structure else 0.0


def _alike(old: Node, new: Node) -> bool:
    if not old.children or not new.children:
        return configured.likeness(old.row.type, old.row.detail, new.row.detail) >= _ALIKE_ENOUGH
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
