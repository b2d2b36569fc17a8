"""Counts that depend on sizes: exact polynomials in symbols and in what is made of them.

A :class:`Count` adds, subtracts and multiplies as a number does, so that what sums up a trace sums
up one with symbols for sizes as well. Its unknowns are the symbols and *atoms*: quotients such as
``(H + 1)//2`` and what else is no polynomial, each by its text in the language of
``expressions.py``. One quotient has one text: of ``(H - 1)//2`` and ``(H + 1)//2``, which differ
by 1, the first that a :class:`Reader` meets is the atom, and the other is counted from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from blocktool.analysis import polynomials as poly
from blocktool.analysis.expressions import (
    Call,
    Name,
    Node,
    Number,
    Operation,
    parse,
    to_text,
)
from blocktool.analysis.polynomials import ONE, Coefficient, Monomial, Polynomial

_FACTORED = 3
"""From so many terms on, what all of them share is written once."""


class Count:
    """An exact number that depends on sizes. Immutable."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Polynomial) -> None:
        self.terms = terms
        self._hash: int | None = None

    @staticmethod
    def of(value: int | Count) -> Count:
        """``value`` as a count."""
        return value if isinstance(value, Count) else Count(poly.constant(value))

    @staticmethod
    def unknown(text: str) -> Count:
        """A symbol, or an atom by its text."""
        return Count({((text, 1),): 1})

    def __add__(self, other: int | Count) -> Count:
        return Count(poly.add(self.terms, Count.of(other).terms))

    __radd__ = __add__

    def __sub__(self, other: int | Count) -> Count:
        return Count(poly.add(self.terms, Count.of(other).terms, -1))

    def __rsub__(self, other: int | Count) -> Count:
        return Count.of(other) - self

    def __mul__(self, other: int | Count) -> Count:
        return Count(poly.multiply(self.terms, Count.of(other).terms))

    __rmul__ = __mul__

    def __neg__(self) -> Count:
        return Count({monomial: -c for monomial, c in self.terms.items()})

    def __bool__(self) -> bool:
        """Whether it is not zero everywhere."""
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, Count)):
            return NotImplemented
        return self.terms == Count.of(other).terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"Count({self.text()!r})"

    @property
    def number(self) -> Coefficient | None:
        """The value, where it does not depend on any size."""
        return self.terms.get(ONE, 0) if poly.is_constant(self.terms) else None

    def divided(self, divisor: Coefficient) -> Count:
        """The exact quotient by a number."""
        return Count(poly.multiply(self.terms, poly.constant(Fraction(1) / divisor)))

    def without_constant(self) -> tuple[Count, Coefficient]:
        """What depends on sizes, and what is added to it."""
        rest = dict(self.terms)
        constant = rest.pop(ONE, 0)
        return Count(rest), constant

    def text(self) -> str:
        """In the language of ``expressions.py``, as it is read."""
        return to_text(self.node())

    def node(self) -> Node:
        """The expression."""
        if not self.terms:
            return Number(0)
        shared = _shared(self.terms) if len(self.terms) >= _FACTORED else ONE
        terms = {_without(monomial, shared): c for monomial, c in self.terms.items()}
        total = _sum_of(terms)
        if not shared:
            return total
        return Operation("*", _product(1, shared), total)


def _sum_of(terms: Polynomial) -> Node:
    total: Node | None = None
    for monomial in sorted(terms, key=lambda m: (terms[m] < 0, *_term_order(m))):
        coefficient = terms[monomial]
        if total is None:
            total = _product(coefficient, monomial)
        elif coefficient < 0:
            total = Operation("-", total, _product(-coefficient, monomial))
        else:
            total = Operation("+", total, _product(coefficient, monomial))
    assert total is not None
    return total


def _shared(terms: Polynomial) -> Monomial:
    """What divides every term."""
    first, *others = (dict(monomial) for monomial in terms)
    for other in others:
        first = {
            name: min(power, other[name])
            for name, power in first.items()
            if name in other and power > 0 and other[name] > 0
        }
    return tuple(sorted(first.items()))


def _without(monomial: Monomial, shared: Monomial) -> Monomial:
    powers = dict(monomial)
    for name, power in shared:
        powers[name] -= power
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def _term_order(monomial: Monomial) -> tuple[object, ...]:
    """High degrees first, then as words and numbers are ordered."""
    degree = sum(power for _, power in monomial if power > 0)
    return -degree, [(_natural(name), power) for name, power in monomial]


@lru_cache(4096)
def _natural(name: str) -> list[tuple[int, str]]:
    """``H//4`` before ``H//16``."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _product(coefficient: Coefficient, monomial: Monomial) -> Node:
    exact = Fraction(coefficient)
    above: list[Node] = []
    below: list[Node] = []
    if exact.denominator != 1:
        below.append(Number(exact.denominator))
    for name, power in sorted(monomial, key=_factor_order):
        factor = atom_node(name)
        if abs(power) != 1:
            factor = Operation("**", factor, Number(abs(power)))
        (above if power > 0 else below).append(factor)
    if abs(exact.numerator) != 1 or not above:
        above.insert(0, Number(exact.numerator))
    elif exact.numerator == -1:
        above.insert(0, Number(-1))
    node = _joined(above)
    return Operation("/", node, _joined(below)) if below else node


def _joined(factors: list[Node]) -> Node:
    node = factors[0]
    for factor in factors[1:]:
        node = Operation("*", node, factor)
    return node


def _factor_order(factor: tuple[str, int]) -> tuple[bool, str]:
    """Symbols first, then what is made of them."""
    return not factor[0].isidentifier(), factor[0]


@lru_cache(4096)
def atom_node(text: str) -> Node:
    """The expression behind the name of an unknown."""
    return parse(text)


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
