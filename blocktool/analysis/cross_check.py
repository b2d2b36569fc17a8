"""Reconciles our count of a forward with another tool's: every difference by module and cause.

Both counts are lists of operations with the module that ran them. What both saw, and counted
alike, is struck out first, module by module. Each operation that is left over is in one count
alone, and the other count says why: it met the operation and had no handler for it, it ran the
module under another name, or it counts a kind of work that is not a contraction. Since every
operation lands in exactly one place, causes and unexplained rest add up to the difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from blocktool.analysis import fvcore_conventions as conventions
from blocktool.analysis.liveness import unused_ops
from blocktool.analysis.summary import ancestors
from blocktool.results.cross_check import (
    Cause,
    CountedOp,
    CrossCheck,
    ModuleDifference,
    SecondOpinion,
)
from blocktool.results.trace import OpRecord, OpTrace


def cross_check(trace: OpTrace, opinion: SecondOpinion) -> CrossCheck:
    """Explain the difference between the MACs of ``trace`` and those of ``opinion``.

    The forward alone is compared, whatever was traced besides.
    """
    ours = sum(op.macs for op in trace.ops if op.phase == "forward")
    if opinion.unavailable is not None:
        return CrossCheck(
            opinion.tool, opinion.version, ours, None, None, unavailable=opinion.unavailable
        )
    ledger = _Ledger(ours - opinion.total)
    modules = _modules(trace, opinion)
    for module in modules.values():
        module.strike_out()
    _strike_out_across(modules.values())
    _explain_fused(modules, ledger)
    unused = unused_ops(trace)
    for module in modules.values():
        _explain_theirs(module, ledger)
        _explain_ours(module, modules, unused, ledger)
    return CrossCheck(
        tool=opinion.tool,
        version=opinion.version,
        ours=ours,
        theirs=opinion.total,
        difference=ours - opinion.total,
        causes=ledger.causes(),
        unexplained=ledger.unexplained(),
        unexplained_modules=ledger.unexplained_modules(),
    )


@dataclass
class _Module:
    """What both tools ran in one module itself, without its children."""

    path: str
    ours: list[OpRecord] = field(default_factory=list)
    theirs: list[CountedOp] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    uncalled: bool = False

    def strike_out(self) -> None:
        """Drop what both counted alike: the same family, the same MACs."""
        open_ours: dict[tuple[str, int], list[OpRecord]] = defaultdict(list)
        for op in reversed(self.ours):
            open_ours[conventions.family_of_ours(op.op), op.macs].append(op)
        struck: set[int] = set()
        left: list[CountedOp] = []
        for theirs in self.theirs:
            family = conventions.FAMILIES.get(theirs.op)
            match = open_ours.get((family, theirs.macs)) if family else None
            if match:
                struck.add(match.pop().index)
            else:
                left.append(theirs)
        self.theirs = left
        self.ours = [op for op in self.ours if op.index not in struck]


def _modules(trace: OpTrace, opinion: SecondOpinion) -> dict[str, _Module]:
    """Both counts by the path that the other tool uses, in the order of our run."""
    canonical = dict(opinion.canonical)
    known = {module.path for module in trace.modules}
    modules: dict[str, _Module] = {}

    def at(path: str) -> _Module:
        if path not in modules:
            modules[path] = _Module(path)
        return modules[path]

    for op in trace.ops:
        if op.macs and op.phase == "forward":
            path = _registered(trace.calls[op.call].path, known)
            at(canonical.get(path, path)).ours.append(op)
    for counted in opinion.counted:
        if counted.macs:
            at(counted.path).theirs.append(counted)
    for skipped in opinion.skipped:
        at(skipped.path).skipped[skipped.op] += skipped.calls
    for path in opinion.uncalled:
        if path in modules:
            modules[path].uncalled = True
    return modules


def _registered(path: str, known: set[str]) -> str:
    """A module that is not registered has a path that ends in ``<Type>``; the other tool sees what
    it runs in the module that called it."""
    while path and (path.rpartition(".")[2].startswith("<") or path not in known):
        path = path.rpartition(".")[0]
    return path


def _strike_out_across(modules: Iterable[_Module]) -> None:
    """An operation that both counted alike but gave to different modules makes no difference."""
    left: dict[tuple[str, int], list[tuple[_Module, OpRecord]]] = defaultdict(list)
    modules = list(modules)
    for module in modules:
        for op in module.ours:
            left[conventions.family_of_ours(op.op), op.macs].append((module, op))
    for module in modules:
        for theirs in list(module.theirs):
            family = conventions.FAMILIES.get(theirs.op)
            match = left.get((family, theirs.macs)) if family else None
            if match:
                owner, op = match.pop()
                owner.ours.remove(op)
                module.theirs.remove(theirs)


def _explain_fused(modules: dict[str, _Module], ledger: _Ledger) -> None:
    """A layer that we saw as one kernel, against its parts, which lie in its submodules."""
    for module in modules.values():
        for op in [op for op in module.ours if conventions.is_fused(op.op)]:
            module.ours.remove(op)
            ledger.add(*conventions.FUSED, module.path, op.macs)
            for part in modules.values():
                if module.path in ancestors(part.path):
                    for theirs in [t for t in part.theirs if t.op in conventions.FAMILIES]:
                        part.theirs.remove(theirs)
                        ledger.add(*conventions.FUSED, module.path, -theirs.macs, ops=0)


def _explain_theirs(module: _Module, ledger: _Ledger) -> None:
    """What the other tool alone counted, and what we counted differently in its place."""
    for theirs in module.theirs:
        name, explanation = conventions.explanation_of_theirs(theirs)
        ledger.add(name, explanation, module.path, -theirs.macs)
        if theirs.op == "matmul":
            for op in _one_with(module.ours, conventions.macs_of_matmul(theirs.shapes)):
                module.ours.remove(op)
                ledger.add(name, explanation, module.path, op.macs, ops=0)
        elif theirs.op == "einsum":
            for op in _close_to(module, theirs.macs):
                module.ours.remove(op)
                ledger.add(name, explanation, module.path, op.macs, ops=0)


def _one_with(ops: list[OpRecord], macs: int | None) -> list[OpRecord]:
    return [op for op in ops if op.macs == macs][:1]


def _close_to(module: _Module, macs: int) -> list[OpRecord]:
    """The products that stand for an einsum of about ``macs``: one of that size within the four
    digits given, or else all that nothing else in the module can have run."""
    products = [op for op in module.ours if conventions.family_of_ours(op.op) == "product"]
    near = [op for op in products if abs(op.macs - macs) <= conventions.EINSUM_PRECISION * macs]
    if near:
        return near[:1]
    return [op for op in products if not conventions.hides(op.op, module.skipped)]


def _explain_ours(
    module: _Module, modules: dict[str, _Module], unused: frozenset[int], ledger: _Ledger
) -> None:
    """What we alone counted, each operation by the first reason that holds."""
    for op in module.ours:
        name, explanation = _reason(op, module, modules, unused) or ("", "")
        ledger.add(name, explanation, module.path, op.macs)


def _reason(
    op: OpRecord, module: _Module, modules: dict[str, _Module], unused: frozenset[int]
) -> tuple[str, str] | None:
    skipped = conventions.hides(op.op, module.skipped)
    if skipped:
        return conventions.explanation_of_skipped(skipped)
    opaque = conventions.opaque(module.skipped)
    if opaque is None and op.index in unused:
        return conventions.UNUSED
    if opaque is None and module.uncalled:
        # Perhaps called from within something that the other tool does not look into.
        above = (modules[path] for path in ancestors(module.path) if path in modules)
        found = (conventions.opaque(ancestor.skipped) for ancestor in above)
        opaque = next((node for node in found if node is not None), None)
        if opaque is None:
            return conventions.UNCALLED
    return conventions.explanation_of_opaque(opaque) if opaque is not None else None


class _Ledger:
    """Differences by cause and module; the cause "" holds what has none."""

    def __init__(self, difference: int) -> None:
        self._difference = difference
        self._explanations: dict[str, str] = {}
        self._entries: dict[str, dict[str, list[int]]] = {}

    def add(self, name: str, explanation: str, path: str, macs: int, *, ops: int = 1) -> None:
        self._explanations.setdefault(name, explanation)
        entry = self._entries.setdefault(name, {}).setdefault(path, [0, 0])
        entry[0] += macs
        entry[1] += ops

    def _differences(self, name: str) -> Iterator[ModuleDifference]:
        for path, (macs, ops) in self._entries.get(name, {}).items():
            yield ModuleDifference(path, macs, ops)

    def causes(self) -> tuple[Cause, ...]:
        """The weightiest first."""
        causes = []
        for name, explanation in self._explanations.items():
            if name:
                modules = tuple(self._differences(name))
                macs = sum(module.macs for module in modules)
                causes.append(Cause(name, macs, explanation, modules))
        causes.sort(key=lambda cause: (-abs(cause.macs), cause.name))
        return tuple(causes)

    def unexplained(self) -> int:
        """What the causes leave, taken from the totals themselves."""
        return self._difference - sum(cause.macs for cause in self.causes())

    def unexplained_modules(self) -> tuple[ModuleDifference, ...]:
        return tuple(self._differences(""))
