"""Values of an expression for all sizes at once, cell by cell.

A cell holds, for each size, a residue class on a range: ``H = step * k + offset`` with ``k`` from
``low`` to ``high``. On small enough cells ``//``, ``%``, ``ceil``, ``max`` and the like are
polynomials of the ``k``, and comparisons are constant. :func:`pieces` cuts cells until they are,
which is exact: where a question has no such answer (a product of two sizes against a number) it
raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor, gcd
from typing import NoReturn

from blocktool.analysis import polynomials as poly
from blocktool.analysis.expressions import Call, Comparison, Logic, Name, Node, Number, Operation
from blocktool.analysis.polynomials import ONE, Polynomial

MOST_CELLS = 40_000
_SHORT = 64


class UndecidedError(Exception):
    """A question about sizes that the algebra has no answer to; the message says which."""


@dataclass(frozen=True, slots=True)
class Range:
    """The sizes ``step * k + offset`` for ``low <= k <= high`` (None: no end)."""

    step: int = 1
    offset: int = 0
    low: int = 1
    high: int | None = None

    def refined(self, times: int) -> list[Range]:
        """The same sizes in ``times`` residue classes of a larger step."""
        ranges = []
        for j in range(times):
            low = -((j - self.low) // times)
            high = None if self.high is None else (self.high - j) // times
            if high is None or low <= high:
                ranges.append(Range(self.step * times, self.step * j + self.offset, low, high))
        return ranges

    def split(self, starts: Iterable[int]) -> list[Range]:
        """The same sizes, with a new range beginning at each of ``starts``."""
        inner = (k for k in starts if k > self.low and (self.high is None or k <= self.high))
        edges = [self.low, *sorted(set(inner))]
        ends = [edge - 1 for edge in edges[1:]] + [self.high]
        return [
            Range(self.step, self.offset, low, high) for low, high in zip(edges, ends, strict=True)
        ]

    def size(self, k: int) -> int:
        """The size at ``k``."""
        return self.step * k + self.offset


Cell = dict[str, Range]
Outcome = Polynomial | bool | None
"""Of an expression on a cell; None where it has no value (a division by zero)."""


class _CutError(Exception):
    """The cell is too large for one answer: cut it like this."""

    def __init__(self, name: str, ranges: list[Range]) -> None:
        super().__init__(name)
        self.name = name
        self.ranges = ranges


def pieces(
    node: Node, cells: Iterable[Cell], most: int = MOST_CELLS
) -> Iterator[tuple[Cell, Outcome]]:
    """Cut ``cells`` until ``node`` is one polynomial, or one truth value, on each.

    Raises UndecidedError where that is not possible, or takes more than ``most`` cells.
    """
    program = _compiled(node)
    waiting = list(cells)
    count = len(waiting)
    while waiting:
        cell = waiting.pop()
        try:
            outcome = _run(program, cell)
        except _CutError as cut:
            count += len(cut.ranges)
            if count > most:
                raise UndecidedError(f"more than {most} cases to tell apart") from None
            waiting += [{**cell, cut.name: part} for part in reversed(cut.ranges)]
            continue
        yield cell, outcome


_Step = tuple[Node, tuple[int, ...]]


def _compiled(node: Node) -> list[_Step]:
    """Each different subexpression once, after those that it is made of."""
    steps: list[_Step] = []
    known: dict[tuple[object, ...], int] = {}

    def place(node: Node) -> int:
        parts = tuple(place(part) for part in _parts(node))
        kind: object = node if isinstance(node, Number | Name) else _label(node)
        key = (type(node), kind, parts)
        if key not in known:
            known[key] = len(steps)
            steps.append((node, parts))
        return known[key]

    place(node)
    return steps


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Operation(_, left, right) | Comparison(_, left, right):
            return left, right
        case Call(_, parts) | Logic(_, parts):
            return parts
    return ()


def _label(node: Node) -> str:
    if isinstance(node, Call):
        return node.function
    assert isinstance(node, Operation | Comparison | Logic)
    return node.op


def _run(program: list[_Step], cell: Cell) -> Outcome:
    done: list[Outcome] = []
    for node, places in program:
        parts = [done[place] for place in places]
        match node:
            case Number(value):
                done.append(poly.constant(value))
            case Name(name):
                done.append(_variable(name, cell))
            case Logic(op, _):
                done.append(_logic(op, [truth(part) for part in parts]))
            case Comparison(op, _, _):
                done.append(_apply_comparison(op, parts, cell))
            case _:
                done.append(_apply(_label(node), parts, cell))
    return done[-1]


def truth(outcome: Outcome) -> bool | None:
    """Of a condition; a number is true unless it is zero."""
    if isinstance(outcome, dict):
        if not poly.is_constant(outcome):
            raise UndecidedError("a size stands where a condition should")
        return bool(outcome)
    return outcome


def _variable(name: str, cell: Cell) -> Polynomial:
    here = cell[name]
    if here.low == here.high:
        return poly.constant(here.size(here.low))
    return {((name, 1),): here.step, **poly.constant(here.offset)}


def _logic(op: str, parts: list[bool | None]) -> bool | None:
    if op == "not":
        return None if parts[0] is None else not parts[0]
    decisive = op == "or"
    for part in parts:
        if part is None or part == decisive:
            return part
    return not decisive


def _number(outcome: Outcome) -> Polynomial | None:
    return poly.constant(int(outcome)) if isinstance(outcome, bool) else outcome


def _apply_comparison(op: str, parts: list[Outcome], cell: Cell) -> bool | None:
    left, right = map(_number, parts)
    if left is None or right is None:
        return None
    return compare(op, poly.add(left, right, -1), cell)


def _apply(op: str, parts: list[Outcome], cell: Cell) -> Polynomial | None:
    numbers = []
    for part in map(_number, parts):
        if part is None:
            return None
        numbers.append(part)
    if op in ("max", "min"):
        result = numbers[0]
        for other in numbers[1:]:
            if compare("<", poly.add(result, other, -1), cell) == (op == "max"):
                result = other
        return result
    if op == "floor":
        return _floor(numbers[0], poly.constant(1), cell)
    if op == "ceil":
        down = _floor(poly.multiply(numbers[0], poly.constant(-1)), poly.constant(1), cell)
        return poly.multiply(down, poly.constant(-1))
    left, right = numbers
    if op in ("+", "-"):
        return poly.add(left, right, 1 if op == "+" else -1)
    if op == "*":
        return poly.multiply(left, right)
    if op == "**":
        exponent = right.get(ONE, 0)
        if not poly.is_constant(right) or not isinstance(exponent, int) or not 0 <= exponent <= 64:
            raise UndecidedError("a power that is no number")
        return poly.power(left, exponent)
    return _divided(op, left, right, cell)


def _divided(op: str, left: Polynomial, right: Polynomial, cell: Cell) -> Polynomial | None:
    if not poly.is_constant(right):
        if compare("==", right, cell):
            return None
    elif not right:
        return None
    if op == "/":
        quotient, rest = poly.divide(left, right)
        if rest:
            raise UndecidedError("a quotient of two sizes")
        return quotient
    whole = _floor(left, right, cell)
    return whole if op == "//" else poly.add(left, poly.multiply(whole, right), -1)


def _floor(left: Polynomial, right: Polynomial, cell: Cell) -> Polynomial:
    """``left // right`` on the cell; ``right`` is zero nowhere."""
    quotient, rest = poly.divide(left, right)
    for monomial, coefficient in quotient.items():
        if monomial and isinstance(coefficient, Fraction):
            # k = d * k' + j makes the terms whole, one unknown at a time.
            name = monomial[0][0]
            raise _CutError(name, cell[name].refined(coefficient.denominator))
    known = Fraction(quotient.pop(ONE, 0))
    base = _floor_of_rest(known, rest, right, cell) if rest else floor(known)
    return poly.add(quotient, poly.constant(base))


def _floor_of_rest(known: Fraction, rest: Polynomial, right: Polynomial, cell: Cell) -> int:
    """``floor(known + rest / right)`` where it is one number on the cell."""
    lowest = {name: cell[name].low for name in poly.unknowns(rest) | poly.unknowns(right)}
    top = {name: cell[name].high for name in lowest}
    if all(high is None for high in top.values()) and len(lowest) == 1:
        # Far out, rest / right is next to nothing, on one side of it.
        (name,) = lowest
        product = poly.multiply(rest, right)
        side = poly.sign_runs(product, cell[name].low, None)[-1][1]
        guess = floor(known) - (known.denominator == 1 and side < 0)
    else:
        at = poly.value(rest, lowest) / Fraction(poly.value(right, lowest))
        guess = floor(known + at)
    # guess <= known + rest / right < guess + 1, times right squared.
    for offset, op in ((guess, ">="), (guess + 1, "<")):
        gap = poly.add(poly.multiply(right, poly.constant(known - offset)), rest)
        if not compare(op, poly.multiply(gap, right), cell):
            _halve(cell, sorted(lowest))
    return guess


def _halve(cell: Cell, names: list[str]) -> NoReturn:
    """Cut a cell on which something has several values, though each cut left one sign."""
    for name in names:
        here = cell[name]
        if here.high is not None and here.high > here.low:
            raise _CutError(name, here.split([(here.low + here.high + 1) // 2]))
    raise UndecidedError("a quotient of two sizes")


def compare(op: str, difference: Polynomial, cell: Cell) -> bool:
    """Whether ``difference op 0`` holds on the cell; cuts it where it holds on a part."""
    if poly.is_constant(difference):
        return _holds(op, _sign(difference.get(ONE, 0)))
    names = sorted(poly.unknowns(difference))
    if len(names) == 1:
        here = cell[names[0]]
        runs = poly.sign_runs(difference, here.low, here.high)
        answers = [_holds(op, sign) for _, sign in runs]
        if len(set(answers)) > 1:
            raise _CutError(names[0], here.split(start for start, _ in runs))
        return answers[0]
    return _compare_joint(op, difference, names, cell)


def _compare_joint(op: str, difference: Polynomial, names: list[str], cell: Cell) -> bool:
    """Signs of a polynomial of several sizes, where its coefficients tell them."""
    if op in ("==", "!=") and _never_zero(difference):
        return op == "!="
    shifted = poly.shifted(difference, {name: cell[name].low for name in names})
    signs = {_sign(coefficient) for coefficient in shifted.values()}
    if len(signs) == 1:
        (sign,) = signs
        possible = {sign} if ONE in shifted else {sign, 0}
        answers = {_holds(op, each) for each in possible}
        if len(answers) == 1:
            return answers.pop()
    for name in names:
        here = cell[name]
        if here.high is not None and here.high - here.low < _SHORT:
            raise _CutError(name, here.split(range(here.low, here.high + 1)))
    if len(signs) == 1:
        # Zero at the corner, or along an edge, and of one sign elsewhere.
        in_terms = {name: sum(name in dict(m) for m in shifted) for name in names}
        name = max(names, key=in_terms.__getitem__)
        raise _CutError(name, cell[name].split([cell[name].low + 1]))
    raise UndecidedError("a condition that joins several sizes")


def _never_zero(p: Polynomial) -> bool:
    """Whether a common divisor of all terms but the constant one tells that it is not zero."""
    if not all(isinstance(coefficient, int) for coefficient in p.values()):
        return False
    divisor = gcd(*(int(coefficient) for monomial, coefficient in p.items() if monomial))
    return int(p.get(ONE, 0)) % divisor != 0


def _holds(op: str, sign: int) -> bool:
    return {
        "==": sign == 0,
        "!=": sign != 0,
        "<": sign < 0,
        "<=": sign <= 0,
        ">": sign > 0,
        ">=": sign >= 0,
    }[op]


def _sign(number: poly.Coefficient) -> int:
    return (number > 0) - (number < 0)
