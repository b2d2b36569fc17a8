"""A second count of the same module, and how the two counts are reconciled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CountedOp:
    """One operation that the other tool counted: the path of the module that ran it, the tool's
    name for the operation, its count in MACs, and the shapes of the tensors it took."""

    path: str
    op: str
    macs: int
    shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedOp:
    """An operation that the other tool met and had no handler for, by module."""

    path: str
    op: str
    calls: int


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What another tool counted in one forward.

    ``unavailable`` says in one line why there is no count; all else is then empty. ``canonical``
    gives, for a module registered under several paths, the one path under which the tool keeps
    it; modules with one path are left out. ``uncalled`` are the modules that it never saw.
    """

    tool: str
    version: str
    total: int = 0
    counted: tuple[CountedOp, ...] = ()
    skipped: tuple[SkippedOp, ...] = ()
    uncalled: tuple[str, ...] = ()
    canonical: tuple[tuple[str, str], ...] = ()
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """What one module contributes to a cause: MACs (ours less theirs) in ``ops`` operations."""

    path: str
    macs: int
    ops: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the two counts differ: positive MACs are in our count alone, negative in theirs alone.

    ``name`` is short and stable (``"layer_norm"``, ``"scaled_dot_product_attention"``),
    ``explanation`` one sentence. ``modules`` are those concerned, in the order of the run.
    """

    name: str
    macs: int
    explanation: str
    modules: tuple[ModuleDifference, ...]


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Our MACs of the forward beside another tool's, and what lies between them.

    ``difference`` is ``ours - theirs``, and exactly the sum of the causes' MACs and of
    ``unexplained``. ``unexplained_modules`` says where the unexplained lies; its entries may
    cancel, so that they can be there although ``unexplained`` is 0. Where the other tool could
    not count, ``unavailable`` says why, and ``theirs`` and ``difference`` are None.
    """

    tool: str
    version: str
    ours: int
    theirs: int | None
    difference: int | None
    causes: tuple[Cause, ...] = ()
    unexplained: int = 0
    unexplained_modules: tuple[ModuleDifference, ...] = ()
    unavailable: str | None = None
