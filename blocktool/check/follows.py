"""Whether a contract follows from the ways through a module. Needs no torch.

Each answer is for the sizes that fulfil some conditions, ``where``: those that are meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blocktool.analysis.boxes import boxes
from blocktool.analysis.contracts import Contract, mismatch
from blocktool.analysis.domain import Region, region
from blocktool.analysis.equality import equal_on
from blocktool.analysis.expressions import Node, Number, parse
from blocktool.analysis.size_sets import EVERY
from blocktool.analysis.substitution import substitute
from blocktool.analysis.witness import is_empty, witness
from blocktool.check.explore import Exploration, Way
from blocktool.check.outputs import Shapes
from blocktool.results.specs import TensorSpec
from blocktool.results.symbolic import SymbolicTensor


@dataclass(frozen=True, slots=True)
class Promise:
    """What the outputs are to be; ``constants`` are further names that it uses."""

    contracts: tuple[Contract, ...]
    constants: Mapping[str, int]

    def broken(self, shapes: Shapes, names: Sequence[str | None], sizes: Mapping[str, int]) -> str:
        """How these outputs break it, empty where they keep it."""
        known = names if len(names) == len(shapes) else [None] * len(shapes)
        specs = [
            TensorSpec(shape, "float32", name) for shape, name in zip(shapes, known, strict=True)
        ]
        found = mismatch(self.contracts, specs, {**self.constants, **sizes})
        if found is None:
            return ""
        at = ", ".join(f"{name}={size}" for name, size in sizes.items())
        # What is expected has no numbers where it is not whole: the message says that.
        why = "" if found.expected.startswith("(") else f" ({found.message})"
        return f"at {at} the output is {found.actual}, expected {found.expected}{why}"


@dataclass(frozen=True, slots=True)
class Shown:
    """``example`` are sizes at which the contract is broken, ``undecided`` says what is open."""

    example: dict[str, int] | None = None
    way: Way | None = None
    undecided: str | None = None


def runs(found: Exploration, where: Sequence[Node]) -> Shown:
    """Whether the module runs at all of the sizes, as far as there are ways."""
    undecided = None
    meant = region(where, dict.fromkeys(found.symbols, EVERY))
    for way in found.ways:
        if way.runs:
            continue
        both = _shared(way.region, meant, found)
        if both is not None and both[1] is not None:
            return Shown(both[1], way)
        if both is not None:
            undecided = "sizes that depend on each other"
    return Shown(undecided=undecided)


def follows(promise: Promise, found: Exploration, where: Sequence[Node] = ()) -> Shown:
    """Whether the contract holds at all sizes of all ways that run."""
    values: dict[str, Node] = {name: Number(size) for name, size in promise.constants.items()}
    undecided = None
    for way in found.ways:
        if not way.runs:
            continue
        inside = _within(way.region, where)
        if not all(inside.of(symbol) for symbol in found.symbols):
            continue
        for contract, output in _pairs(promise.contracts, way.run.outputs):
            verdict = _held(contract, output, values, inside, found.base)
            if verdict.example is not None:
                return Shown(verdict.example, way)
            undecided = undecided or verdict.undecided
    return Shown(undecided=undecided)


def _within(sizes: Region, where: Sequence[Node]) -> Region:
    more = region(where, sizes.sets)
    return Region(more.sets, (*sizes.relations, *more.relations))


def _pairs(
    contracts: Sequence[Contract], outputs: Sequence[SymbolicTensor]
) -> list[tuple[Contract, SymbolicTensor | None]]:
    """Each contract with its output: by name, or in turn."""
    pairs: list[tuple[Contract, SymbolicTensor | None]] = []
    turn = 0
    for contract in contracts:
        name = contract.name
        output: SymbolicTensor | None = None
        if name is None:
            output = outputs[turn] if turn < len(outputs) else None
            turn += 1
        else:
            output = next((each for each in outputs if each.name == name), None)
            if output is None and name.isdecimal() and int(name) < len(outputs):
                output = outputs[int(name)]
        pairs.append((contract, output))
    return pairs


def _held(
    contract: Contract,
    output: SymbolicTensor | None,
    values: Mapping[str, Node],
    inside: Region,
    base: Mapping[str, int],
) -> Shown:
    undecided = None
    if output is None or len(output.shape) != len(contract.sizes):
        # A size of its own for each dimension, none of which can be right.
        verdict = equal_on(Number(0), Number(1), inside, base)
        return Shown(verdict.counterexample, undecided=verdict.reason)
    for wanted, size in zip(contract.sizes, output.shape, strict=True):
        verdict = equal_on(substitute(wanted, values), parse(str(size)), inside, base)
        if verdict.equal is False:
            return Shown(verdict.counterexample)
        if verdict.equal is None:
            undecided = undecided or f"{size} and the contract's size: {verdict.reason}"
    return Shown(undecided=undecided)


def agrees(found: Exploration, promised: Exploration, where: Sequence[Node] = ()) -> Shown:
    """Whether what was promised at all sizes is what comes out.

    An error is to be promised as an error, whatever it says.
    """
    undecided = None
    for way in found.ways:
        for other in promised.ways:
            both = _shared(_within(way.region, where), other.region, found)
            if both is None:
                continue
            if both[1] is None:
                undecided = undecided or "sizes that depend on each other"
                continue
            if way.runs != other.runs or not _alike(way, other):
                return Shown(both[1], way)
            for mine, theirs in zip(way.run.outputs, other.run.outputs, strict=True):
                contract = Contract(tuple(parse(str(size)) for size in theirs.shape))
                verdict = _held(contract, mine, {}, both[0], found.base)
                if verdict.example is not None:
                    return Shown(verdict.example, way)
                undecided = undecided or verdict.undecided
    return Shown(undecided=undecided)


def _alike(way: Way, other: Way) -> bool:
    return [len(tensor.shape) for tensor in way.run.outputs] == [
        len(tensor.shape) for tensor in other.run.outputs
    ]


def _shared(
    a: Region, b: Region, found: Exploration
) -> tuple[Region, dict[str, int] | None] | None:
    """The sizes in both, with an example where one is found; None where there are none."""
    sets = {symbol: a.of(symbol) & b.of(symbol) for symbol in found.symbols}
    if not all(sets.values()):
        return None
    both = Region(sets, (*a.relations, *b.relations))
    open_ = False
    for box, inside in boxes([both], Region(sets), found.symbols):
        if inside and (sizes := witness(box, found.base)) is not None:
            return both, sizes
        open_ = open_ or (bool(inside) and not is_empty(box, found.base))
    return (both, None) if open_ else None
