"""Expressions of sizes as Python that computes with whole numbers only."""

from __future__ import annotations

from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Logic,
    Name,
    Node,
    Number,
    Operation,
    to_text,
)

_ONE = Number(1)


def python(node: Node) -> str:
    """Source of an expression with the exact value; the value must be whole, or true or false."""
    return to_text(whole(node))


def whole(node: Node) -> Node:
    """An expression of the same value without ``/``, ``ceil`` and ``floor``."""
    above, below = _fraction(node)
    return above if below == _ONE else Operation("//", above, below)


def _fraction(node: Node) -> tuple[Node, Node]:
    """Numerator and denominator, both without ``/``."""
    match node:
        case Number() | Name():
            return node, _ONE
        case Operation("/", left, right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return _times(a, d), _times(b, c)
        case Operation("*", left, right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return _times(a, c), _times(b, d)
        case Operation("+" | "-" as op, left, right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            if b == d:
                return Operation(op, a, c), b
            return Operation(op, _times(a, d), _times(c, b)), _times(b, d)
        case Operation("//", left, right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return Operation("//", _times(a, d), _times(b, c)), _ONE
        case Operation("**", left, right):
            (a, b), exponent = _fraction(left), whole(right)
            below = b if b == _ONE else Operation("**", b, exponent)
            return Operation("**", a, exponent), below
        case Operation(op, left, right):
            return Operation(op, whole(left), whole(right)), _ONE
        case Call("floor", (part,)):
            a, b = _fraction(part)
            return (a if b == _ONE else Operation("//", a, b)), _ONE
        case Call("ceil", (part,)):
            a, b = _fraction(part)
            negative = Operation("//", Operation("*", Number(-1), a), b)
            return (a if b == _ONE else Operation("*", Number(-1), negative)), _ONE
        case Call(function, parts):
            return Call(function, tuple(map(whole, parts))), _ONE
        case Comparison(op, left, right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return Comparison(op, _times(a, d), _times(c, b)), _ONE
        case Logic(op, parts):
            return Logic(op, tuple(map(whole, parts))), _ONE


def _times(a: Node, b: Node) -> Node:
    if a == _ONE:
        return b
    return a if b == _ONE else Operation("*", a, b)
