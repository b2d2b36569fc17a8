"""The relation between the sizes of inputs and outputs that a number of runs shows.

``out = B, 128, (H + 1)//2, (W + 1)//2`` is looked for among constants, ``m*((a*S + d)//c) + k`` of
one symbol and products of such terms. A relation is found, not proved: it fits every run that it
was read off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import combinations, product
from math import gcd

from blocktool.analysis.contracts import Contract
from blocktool.analysis.expressions import Call, Name, Node, Number, Operation, evaluate
from blocktool.results.specs import TensorSpec

# Where the runs leave a choice, a power of two is the likelier one.
_DIVISORS = sorted(range(1, 65), key=lambda c: (c & (c - 1) != 0, c))
_PATCHES = (1, 2, 4, 7, 8, 14, 16, 28, 32)
_OFFSETS = (0, 1, 2, -1, -2)
_FEWEST = 3
"""Different values of a symbol that a formula must explain."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One run: the value of every symbol, and the outputs."""

    sizes: Mapping[str, int]
    outputs: tuple[TensorSpec, ...]


def find_relation(
    observations: Sequence[Observation], letters: Sequence[str] = ("B",)
) -> tuple[Contract, ...] | None:
    """The contract of each output that these runs show, None where there is no such formula.

    ``letters`` are the names of the first input's dimensions: where the runs leave it open, as
    with one size only, an output's dimension is what the input's is.

    It is read off the runs with a batch and sizes of at least 2, where nothing is broadcast or
    squeezed, and need not hold for the others. Where no formula explains all of them, one that
    explains all but those of a single size is taken.
    """
    plain = [o for o in observations if min(o.sizes.values(), default=2) > 1] or [*observations]
    if not plain:
        return None
    if found := _contracts(plain, letters):
        return found
    for left_out in _extents(plain):
        rest = [o for o in plain if _extent(o) != left_out]
        if len(rest) < max(_FEWEST, len(plain) // 2):
            continue
        if found := _contracts(rest, letters, products=False):
            return found
    return None


def _extent(observation: Observation) -> tuple[tuple[str, int], ...]:
    return tuple((name, size) for name, size in observation.sizes.items() if name != "B")


def _extents(observations: Sequence[Observation]) -> list[tuple[tuple[str, int], ...]]:
    return list(dict.fromkeys(map(_extent, observations)))


def _contracts(
    observations: Sequence[Observation], letters: Sequence[str], *, products: bool = True
) -> tuple[Contract, ...] | None:
    first = observations[0].outputs
    if any(len(o.outputs) != len(first) for o in observations):
        return None
    contracts = []
    for index, spec in enumerate(first):
        rank = len(spec.shape)
        if any(len(o.outputs[index].shape) != rank for o in observations):
            return None
        sizes = []
        for axis in range(rank):
            points = [(o.sizes, o.outputs[index].shape[axis]) for o in observations]
            like = letters[axis] if axis == 0 or rank == len(letters) else ""
            node = fit(points, like, products=products)
            if node is None:
                return None
            sizes.append(node)
        name = spec.name if len(first) > 1 else None
        contracts.append(Contract(tuple(sizes), name))
    return tuple(contracts)


Point = tuple[Mapping[str, int], int]


def fit(points: Sequence[Point], like: str = "", *, products: bool = True) -> Node | None:
    """The simplest formula of the family that gives every value; None where there is none.

    The symbol ``like`` comes before all others. Without ``products`` only formulas of one symbol
    are tried, which is quick.
    """
    values = [value for _, value in points]
    if like[:1] != "C" and all(sizes.get(like) == value for sizes, value in points):
        return Name(like)  # widths are most often numbers of the module's own
    if len(set(values)) == 1:
        return Number(values[0])
    varying = [name for name in points[0][0] if len({sizes[name] for sizes, _ in points}) > 1]
    for node in _candidates(points, varying, products):
        if all(evaluate(node, sizes) == value for sizes, value in points):
            return node
    return None


def _candidates(points: Sequence[Point], names: Sequence[str], products: bool) -> Iterator[Node]:
    yield from map(Name, names)
    for name in names:
        pairs = sorted({(sizes[name], value) for sizes, value in points})
        if len({size for size, _ in pairs}) == len(pairs):  # a function of this symbol
            yield from _of_one(name, pairs)
    for count in range(2, len(names) + 1 if products else 0):
        for chosen in combinations(names, count):
            yield from _products(points, chosen)


def _of_one(name: str, pairs: Sequence[tuple[int, int]]) -> Iterator[Node]:
    """``m*((a*S + d)//c) + k`` through all pairs, simple ones first."""
    (low, at_low), (high, at_high) = pairs[0], pairs[-1]
    slope = Fraction(at_high - at_low, high - low)
    offset = at_low - slope * low
    # Through two points there is always a line.
    if slope.denominator == 1 and (len(pairs) >= _FEWEST or slope == 1 or offset == 0):
        yield _plus(_times(int(slope), Name(name)), int(offset))
    ratio = Fraction(at_low, low)
    if ratio == Fraction(at_high, high) and ratio.denominator > 1:
        whole = _times(ratio.numerator, Name(name))
        yield Operation("//", whole, Number(ratio.denominator))
    if len(pairs) < _FEWEST:
        return
    for k in _OFFSETS:
        shared = reduce(gcd, (value - k for _, value in pairs))
        if shared == 0:
            continue
        for m in sorted(_divisors(abs(shared))):
            for a in (1, 2, 3, 4):
                for node in _floored(name, [(a * size, (v - k) // m) for size, v in pairs], a):
                    yield _plus(_times(m, node), k)
    yield from (
        Call("max", (Number(1), Operation("//", Name(name), Number(c)))) for c in _DIVISORS[1:]
    )


def _floored(name: str, pairs: Sequence[tuple[int, int]], a: int) -> Iterator[Node]:
    """``(a*S + d)//c`` through all pairs, which hold a*S and the value."""
    for c in _DIVISORS:
        if gcd(a, c) > 1:
            continue
        low = max(c * value - size for size, value in pairs)
        high = min(c * value + c - 1 - size for size, value in pairs)
        if low > high:
            continue
        d = next((d for d in (0, c - 1) if low <= d <= high), low if low > 0 else min(high, 0))
        top = _plus(_times(a, Name(name)), d)
        yield top if c == 1 else Operation("//", top, Number(c))


def _products(points: Sequence[Point], names: Sequence[str]) -> Iterator[Node]:
    """``m * f(S) * g(T) + k`` with f and g a size, or a number of patches of it."""
    factors = [list(_factors(name)) for name in names]
    for k in _OFFSETS[:3]:
        for chosen in product(*factors):
            ratio: Fraction | None = None
            for sizes, value in points:
                whole = 1
                for node in chosen:
                    whole *= int(evaluate(node, sizes))
                if not whole:
                    break
                now = Fraction(value - k, whole)
                if now <= 0 or (ratio is not None and now != ratio):
                    break
                ratio = now
            else:
                if ratio is not None:
                    yield _plus(_scaled(ratio, reduce(_multiplied, chosen)), k)


def _factors(name: str) -> Iterator[Node]:
    yield Name(name)
    if name[0] in "BC":
        return
    for c in _PATCHES[1:]:
        yield Operation("//", Name(name), Number(c))
        yield Operation("//", _plus(Name(name), c - 1), Number(c))


def _multiplied(left: Node, right: Node) -> Node:
    # A floor division after a product would divide the product.
    return Operation("*", left, right)


def _scaled(ratio: Fraction, node: Node) -> Node:
    if ratio.denominator == 1:
        return _times(ratio.numerator, node)
    return Operation("/", _times(ratio.numerator, node), Number(ratio.denominator))


def _times(factor: int, node: Node) -> Node:
    return node if factor == 1 else Operation("*", Number(factor), node)


def _plus(node: Node, offset: int) -> Node:
    if offset == 0:
        return node
    return Operation("+" if offset > 0 else "-", node, Number(abs(offset)))


def _divisors(number: int) -> set[int]:
    return {d for d in range(1, min(number, 64) + 1) if number % d == 0} | {number}
