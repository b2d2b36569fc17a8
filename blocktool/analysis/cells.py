"""Values of an expression for all sizes at once, cell by cell.

A cell holds, for each size, a residue class on a range: ``H = step * k + offset`` with ``k`` from
``low`` to ``high``. On small enough cells ``//``, ``%``, ``ceil``, ``max`` and the like are
polynomials of the ``k``, and comparisons are constant. :func:`pieces` cuts cells until they are,
which is exact: where a question has no such answer (a product of two sizes against a number) it
raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blocktool.analysis import polynomials as poly
from blocktool.analysis.division import floor_divide
from blocktool.analysis.expressions import Call, Comparison, Logic, Name, Node, Number, Operation
from blocktool.analysis.polynomials import ONE, Polynomial
from blocktool.analysis.ranges import Cell, CutError, UndecidedError, check_time
from blocktool.analysis.signs import compare

MOST_CELLS = 40_000


Outcome = Polynomial | bool | None
"""Of an expression on a cell; None where it has no value (a division by zero)."""


def pieces(
    node: Node, cells: Iterable[Cell], most: int = MOST_CELLS
) -> Iterator[tuple[Cell, Outcome]]:
    """Cut ``cells`` until ``node`` is one polynomial, or one truth value, on each.

    Raises UndecidedError where that is not possible, or takes more than ``most`` cells,
    and OverdueError after the time of :func:`blocktool.analysis.ranges.until`.
    """
    program = _compiled(node)
    waiting = list(cells)
    count = len(waiting)
    while waiting:
        check_time()
        cell = waiting.pop()
        try:
            outcome = _run(program, cell)
        except CutError as cut:
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
        return floor_divide(numbers[0], poly.constant(1), cell)
    if op == "ceil":
        down = floor_divide(poly.multiply(numbers[0], poly.constant(-1)), poly.constant(1), cell)
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
    whole = floor_divide(left, right, cell)
    return whole if op == "//" else poly.add(left, poly.multiply(whole, right), -1)
