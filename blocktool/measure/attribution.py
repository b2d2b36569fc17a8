"""Who owns the time between two readings of the clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from blocktool.analysis.module_times import RunTimes, phase_path
from blocktool.trace.calls import ModulePaths

_ACCUMULATE = 2**64 - 1
"""The sequence number of every node that accumulates into a leaf."""


@dataclass(frozen=True)
class OwnCost:
    """What one reading of the clock adds, in ms: a call to the time of its module and to that of
    its caller, a node of the backward to its own."""

    inside: float = 0.0
    outside: float = 0.0
    node: float = 0.0


@dataclass(frozen=True)
class Begins:
    """A phase begins."""

    phase: str


@dataclass(frozen=True)
class Node:
    """A node of the backward begins: its sequence number and, of one that accumulates a gradient,
    the ``id`` of the parameter."""

    number: int
    parameter: int | None


@dataclass(frozen=True)
class Left:
    """The innermost module returns."""


@dataclass(frozen=True)
class Ends:
    """A phase ends; what follows is not the step's."""


Mark = nn.Module | Begins | Node | Left | Ends
"""What happens at one reading of the clock; a module: it is called."""


@dataclass
class Marks:
    """The readings of one run; ``numbers`` are those that autograd would have given to the next
    node."""

    what: list[Mark] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class _Sums:
    """Time by owner, with what the clock took of it."""

    def __init__(self) -> None:
        self._ms: dict[str, float] = {}
        self._clock: dict[str, float] = {}

    def add(self, owner: str, ms: float) -> None:
        self._ms[owner] = self._ms.get(owner, 0.0) + ms

    def charge(self, owner: str, ms: float) -> None:
        self._clock[owner] = self._clock.get(owner, 0.0) + ms

    def net(self) -> dict[str, float]:
        return {k: max(ms - self._clock.get(k, 0.0), 0.0) for k, ms in self._ms.items()}


def attributed(
    marks: Marks, at_ms: Sequence[float], paths: ModulePaths, owners: dict[int, str], cost: OwnCost
) -> RunTimes:
    """Read one run, whose marks were made at ``at_ms``.

    The innermost running module owns an interval. In the backward it is the module during whose
    call the node was made, and for the accumulation of a gradient the one that has the parameter
    (``owners``, by ``id``); modules that run then, to recompute, own their time as ever.
    """
    run = _Run(marks, paths, owners, cost)
    for index, (mark, at) in enumerate(zip(marks.what, at_ms, strict=True)):
        run.read(index, mark, at)
    return run.times()


class _Run:
    """The state between two marks."""

    def __init__(
        self, marks: Marks, paths: ModulePaths, owners: dict[int, str], cost: OwnCost
    ) -> None:
        self._numbers = marks.numbers
        self._paths = paths
        self._owners = owners
        self._cost = cost
        self._stack: list[str] = []
        self._base: str | None = None
        self._phase = ""
        self._at = self._whole = 0.0
        self._sums = {False: _Sums(), True: _Sums()}  # by whether it is the backward
        self._makers: list[str | None] = []  # who made the nodes from each mark on
        self._forward_marks = 0
        self._calls: dict[str, int] = {}
        self._callers: set[str] = set()

    def read(self, index: int, mark: Mark, at: float) -> None:
        owner = self._stack[-1] if self._stack else self._base
        sums = self._sums[self._phase == "backward"]
        if owner is not None:
            sums.add(owner, at - self._at)
            self._whole += at - self._at
        self._at = at
        if isinstance(mark, nn.Module):
            path = self._paths.of(mark, self._stack[-1] if self._stack else "")
            self._calls[path] = self._calls.get(path, 0) + 1
            if self._stack:
                self._callers.add(self._stack[-1])
            if owner is not None:
                sums.charge(owner, self._cost.outside)
            self._stack.append(path)
        elif isinstance(mark, Left):
            sums.charge(self._stack.pop(), self._cost.inside)
        elif isinstance(mark, Node):
            self._base = self._maker(mark)
            sums.charge(self._base, self._cost.node)
        elif isinstance(mark, Begins):
            self._phase, self._base = mark.phase, phase_path(mark.phase)
            if mark.phase == "backward":
                self._forward_marks = index
        else:
            self._base = None
        self._makers.append(self._stack[-1] if self._stack else None)

    def _maker(self, node: Node) -> str:
        if node.number == _ACCUMULATE:
            maker = self._owners.get(node.parameter or 0)
            while maker and maker not in self._calls:
                maker = maker.rpartition(".")[0]
        else:
            # Numbers are counted by thread, and the backward may have one of its own.
            place = bisect_right(self._numbers, node.number, hi=self._forward_marks) - 1
            maker = self._makers[place] if place >= 0 else None
        return phase_path(self._phase) if maker is None else maker

    def times(self) -> RunTimes:
        forward, backward = self._sums[False].net(), self._sums[True].net()
        own = dict(forward)
        for path, ms in backward.items():
            own[path] = own.get(path, 0.0) + ms
        return RunTimes(self._whole, own, backward, self._calls, frozenset(self._callers))
