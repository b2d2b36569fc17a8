"""Counts that depend on sizes: exact polynomials in symbols and in what is made of them.

A :class:`Count` adds, subtracts and multiplies as a number does, so that what sums up a trace sums
up one with symbols for sizes as well. Its unknowns are the symbols and *atoms*: quotients such as
``(H + 1)//2`` and what else is no polynomial, each by its text in the language of
``expressions.py``. One quotient has one text: of ``(H - 1)//2`` and ``(H + 1)//2``, which differ
by 1, the first that a ``Reader`` (count_reading.py) meets is the atom; the other counts from it.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from blocktool.analysis import polynomials as poly
from blocktool.analysis.expressions import Node, Number, Operation, parse, to_text
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
