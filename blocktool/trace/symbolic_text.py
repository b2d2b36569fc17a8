"""From torch's symbolic expressions to the language of blocktool.analysis.expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy
import torch
from torch.utils._sympy import functions as ts

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
from blocktool.trace.symbolic_conditions import Conditions

_RELATIONS: tuple[tuple[Any, str], ...] = (
    (sympy.Eq, "=="),
    (sympy.Ne, "!="),
    (sympy.LessThan, "<="),
    (sympy.StrictLessThan, "<"),
    (sympy.GreaterThan, ">="),
    (sympy.StrictGreaterThan, ">"),
)
_FLIPPED = {"==": "==", "!=": "!=", "<=": ">=", "<": ">", ">=": "<=", ">": "<"}
_LARGEST_DENOMINATOR = 2**20


class Unexpressed(ValueError):  # noqa: N818 - a limit, and no error of anybody's
    """An expression that the language of sizes does not have."""


class Writer:
    """Writes expressions with the symbols under their own names; ``short`` where quotients of
    quotients are written as one."""

    def __init__(self, names: Mapping[sympy.Symbol, str], *, short: bool = True) -> None:
        self._names = names
        self._short = short

    def size(self, value: Any) -> int | str:
        """A size: a number, or the text of an expression. Raises Unexpressed."""
        if isinstance(value, int):
            return value
        return self.expression(value.node.expr if isinstance(value, torch.SymInt) else value)

    def expression(self, value: sympy.Expr) -> int | str:
        """As ``size``, of a sympy expression."""
        if value.is_Integer:
            return int(value)
        return to_text(self.node(value))

    def conditions(self, conditions: Conditions) -> tuple[str, ...]:
        """Each condition once; those that are true of every size from 2 on are left out."""
        bounds = [f"{self._names[symbol]} >= {n}" for symbol, n in conditions.bounds.items()]
        texts = [to_text(self.node(part)) for part in conditions.parts()]
        return tuple(dict.fromkeys([*bounds, *texts]))

    def node(self, value: Any) -> Node:
        """The expression in the language of sizes. Raises Unexpressed."""
        if isinstance(value, sympy.Symbol):
            if value not in self._names:
                raise Unexpressed(f"a size that is not known before it runs ({value})")
            return Name(self._names[value])
        if isinstance(value, sympy.Integer):
            return Number(int(value))
        if isinstance(value, (sympy.Rational, sympy.Float)):
            return _number(value)
        if isinstance(value, sympy.Add):
            return self._sum(value)
        if isinstance(value, sympy.Mul):
            return self._product(value)
        if isinstance(value, sympy.Pow) and isinstance(value.exp, sympy.Integer) and value.exp > 0:
            return Operation("**", self.node(value.base), Number(int(value.exp)))
        for kind, op in _RELATIONS:
            if isinstance(value, kind):
                return self._relation(op, value.args[0], value.args[1])
        for kind, write in _FUNCTIONS:
            if isinstance(value, kind):
                return write(self, value)
        raise Unexpressed(f"sizes are computed with {type(value).__name__}")

    def _relation(self, op: str, left: Any, right: Any) -> Node:
        if not left.free_symbols and right.free_symbols:
            left, right, op = right, left, _FLIPPED[op]
        return Comparison(op, self.node(left), self.node(right))

    def _sum(self, value: sympy.Add) -> Node:
        floor = self._sum_in_floor(value)
        if floor is not None:
            return floor
        terms = sorted(value.args, key=_order)
        total: Node | None = None
        for term in terms:
            coefficient, rest = term.as_coeff_Mul()
            if total is None:
                total = self.node(term)
            elif coefficient < 0:
                total = Operation("-", total, self.node(-coefficient * rest))
            else:
                total = Operation("+", total, self.node(term))
        assert total is not None
        return total

    def _sum_in_floor(self, value: sympy.Add) -> Node | None:
        """``a//n + k`` is ``(a + k*n)//n``, which is easier to read where a is a sum, too."""
        number, rest = value.as_coeff_Add()
        if not isinstance(rest, ts.FloorDiv) or not isinstance(number, sympy.Integer):
            return None
        base, divisor = _floor(rest) if self._short else rest.args
        if not isinstance(divisor, sympy.Integer) or not isinstance(base, sympy.Add):
            return None
        return Operation("//", self.node(base + number * divisor), self.node(divisor))

    def floor(self, value: sympy.Expr) -> Node:
        """``base//divisor``."""
        base, divisor = _floor(value) if self._short else value.args
        return Operation("//", self.node(base), self.node(divisor))

    def _product(self, value: sympy.Mul) -> Node:
        above: Node | None = None
        below = sympy.Integer(1)
        for factor in value.args:
            if isinstance(factor, sympy.Rational):
                below *= factor.q
                if factor.p == 1:
                    continue
                node: Node = Number(int(factor.p))
            elif isinstance(factor, sympy.Pow) and factor.exp.is_negative:
                below *= factor.base ** (-factor.exp)
                continue
            else:
                node = self.node(factor)
            above = node if above is None else Operation("*", above, node)
        above = Number(1) if above is None else above
        return above if below == 1 else Operation("/", above, self.node(below))


def _floor(value: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Base and divisor, where ``(a//m + k)//n`` is ``(a + k*m)//(m*n)``."""
    base, divisor = value.args
    number, rest = base.as_coeff_Add()
    if isinstance(rest, ts.FloorDiv) and number.is_Integer and divisor.is_Integer:
        inner, by = _floor(rest)
        if by.is_Integer and by > 0 and divisor > 0:
            return inner + number * by, by * divisor
    return base, divisor


def _order(term: sympy.Expr) -> tuple[Any, ...]:
    """Positive terms before negative ones, of high degree first, numbers after the others."""
    coefficient, rest = term.as_coeff_Mul()
    number = not term.free_symbols
    degree = 0 if number else sum(f.as_base_exp()[1] for f in sympy.Mul.make_args(rest))
    weight = float(coefficient)
    return (weight < 0, number, -float(degree), str(rest), -weight)


def _number(value: sympy.Rational | sympy.Float) -> Node:
    exact = Fraction(float(value)) if isinstance(value, sympy.Float) else Fraction(value.p, value.q)
    if isinstance(value, sympy.Float) and exact.denominator > _LARGEST_DENOMINATOR:
        raise Unexpressed(f"sizes are computed with the inexact number {float(value):g}")
    if exact.denominator == 1:
        return Number(exact.numerator)
    return Operation("/", Number(exact.numerator), Number(exact.denominator))


def _operation(op: str) -> Callable[[Writer, Any], Node]:
    return lambda writer, value: Operation(op, *map(writer.node, value.args))


def _call(function: str) -> Callable[[Writer, Any], Node]:
    def write(writer: Writer, value: Any) -> Node:
        arguments = tuple(writer.node(arg) for arg in sorted(value.args, key=_order))
        return Call(function, arguments)

    return write


def _logic(op: str) -> Callable[[Writer, Any], Node]:
    def write(writer: Writer, value: Any) -> Node:
        return Logic(op, tuple(sorted(map(writer.node, value.args), key=to_text)))

    return write


def _indexing(writer: Writer, value: Any) -> Node:
    base, divisor, modulus = map(writer.node, value.args)
    quotient = base if divisor == Number(1) else Operation("//", base, divisor)
    return Operation("%", quotient, modulus)


def _ceiling(writer: Writer, value: Any) -> Node:
    return Call("ceil", tuple(map(writer.node, value.args)))


def _truncated(writer: Writer, value: Any) -> Node:
    """Towards zero is downwards where nothing is below zero."""
    if not value.args[0].is_nonnegative and not all(
        symbol.is_positive for symbol in value.free_symbols
    ):
        raise Unexpressed("a number that may be negative is truncated")
    if any(term.as_coeff_Mul()[0].is_negative for term in sympy.Add.make_args(value.args[0])):
        raise Unexpressed("a number that may be negative is truncated")
    return Call("floor", tuple(map(writer.node, value.args)))


_FUNCTIONS: tuple[tuple[Any, Callable[[Writer, Any], Node]], ...] = (
    (ts.CleanDiv, _operation("//")),
    (ts.FloorDiv, lambda writer, value: writer.floor(value)),
    (ts.ModularIndexing, _indexing),
    (ts.PythonMod, _operation("%")),
    (ts.Mod, _operation("%")),
    (sympy.Mod, _operation("%")),
    (ts.Max, _call("max")),
    (ts.Min, _call("min")),
    (sympy.Max, _call("max")),
    (sympy.Min, _call("min")),
    (ts.CeilToInt, _ceiling),
    (ts.CeilDiv, lambda writer, value: Call("ceil", (_operation("/")(writer, value),))),
    (sympy.ceiling, _ceiling),
    (ts.FloorToInt, lambda writer, value: Call("floor", tuple(map(writer.node, value.args)))),
    (sympy.floor, lambda writer, value: Call("floor", tuple(map(writer.node, value.args)))),
    (ts.TruncToInt, _truncated),
    (ts.TruncToFloat, _truncated),
    (ts.IntTrueDiv, _operation("/")),
    (ts.FloatTrueDiv, _operation("/")),
    (ts.PowByNatural, _operation("**")),
    (ts.ToFloat, lambda writer, value: writer.node(value.args[0])),
    (ts.Identity, lambda writer, value: writer.node(value.args[0])),
    (sympy.And, _logic("and")),
    (sympy.Or, _logic("or")),
    (sympy.Not, lambda writer, value: Logic("not", (writer.node(value.args[0]),))),
)
