"""Reads expressions of sizes as counts."""

from __future__ import annotations

from collections.abc import Callable

from blocktool.analysis import polynomials as poly
from blocktool.analysis.counts import Count
from blocktool.analysis.expressions import Call, Name, Node, Number, Operation, to_text
from blocktool.analysis.polynomials import ONE, Polynomial


class Reader:
    """Reads expressions as counts; one reader for everything that is to be added up.

    ``choose`` decides a ``max`` or ``min`` of two counts, where it can be decided for all sizes.
    """

    def __init__(self, choose: Callable[[str, Count, Count], Count | None] | None = None) -> None:
        self._first: dict[tuple[Count, int, int], int] = {}
        self._choose = choose

    def read(self, node: Node) -> Count:
        """The count; whatever is no polynomial in it becomes an atom."""
        match node:
            case Number(value):
                return Count.of(value)
            case Name(name):
                return Count.unknown(name)
            case Operation("+", left, right):
                return self.read(left) + self.read(right)
            case Operation("-", left, right):
                return self.read(left) - self.read(right)
            case Operation("*", left, right):
                return self.read(left) * self.read(right)
            case Operation("**", left, Number(power)):
                return Count(poly.power(self.read(left).terms, power))
            case Operation("//", left, Number(divisor)) if divisor > 0:
                return self.quotient(self.read(left), divisor)
            case Operation("%", left, Number(divisor)) if divisor > 0:
                whole = self.read(left)
                return whole - divisor * self.quotient(whole, divisor)
            case Operation("/", left, Number(divisor)):
                return self.read(left).divided(divisor)
            case Call("floor", (Operation("/", left, Number(divisor)),)) if divisor > 0:
                return self.quotient(self.read(left), divisor)
            case Call("ceil", (Operation("/", left, Number(divisor)),)) if divisor > 0:
                return self.quotient(self.read(left) + (divisor - 1), divisor)
            case Call("max" | "min" as function, parts):
                first, *others = map(self.read, parts)
                for other in others:
                    first = self.extreme(function, first, other)
                return first
        return Count.unknown(to_text(node))

    def extreme(self, function: str, a: Count, b: Count) -> Count:
        """The ``max`` or ``min`` of two counts."""
        if a == b:
            return a
        chosen = self._choose(function, a, b) if self._choose is not None else None
        if chosen is not None:
            return chosen
        first, second = sorted((a, b), key=lambda count: count.text())
        return Count.unknown(to_text(Call(function, (first.node(), second.node()))))

    def quotient(self, count: Count, divisor: int) -> Count:
        """``count // divisor``."""
        if any(type(c) is not int for c in count.terms.values()):
            return Count.unknown(to_text(Operation("//", count.node(), Number(divisor))))
        exact: Polynomial = {}
        rest: Polynomial = {}
        for monomial, coefficient in count.terms.items():
            if monomial != ONE and coefficient % divisor == 0:
                exact[monomial] = int(coefficient // divisor)
            else:
                rest[monomial] = coefficient
        core, shift = Count(rest).without_constant()
        assert type(shift) is int
        if not core:
            return Count(exact) + shift // divisor
        key = (core, divisor, shift % divisor)
        near = shift if abs(shift) < divisor else shift % divisor
        first = self._first.setdefault(key, near)
        atom = Operation("//", (core + first).node(), Number(divisor))
        return Count(exact) + Count.unknown(to_text(atom)) + (shift - first) // divisor
