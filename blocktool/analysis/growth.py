"""Which of two counts is larger whatever the sizes are.

A sufficient test. The quotients in the difference are replaced one after the other by linear
bounds, the outermost first, and sizes counted from their least; the difference is never negative if
then none of its coefficients is.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor

from blocktool.analysis import polynomials as poly
from blocktool.analysis.count_reading import Reader
from blocktool.analysis.counts import Count, atom_node
from blocktool.analysis.expressions import (
    Call,
    Name,
    Node,
    Number,
    Operation,
    evaluate,
    names_in,
)
from blocktool.analysis.polynomials import Monomial, Polynomial

Bounds = tuple[Polynomial, Polynomial]


class Growth:
    """Compares counts, given the least size of each symbol."""

    def __init__(self, least: Mapping[str, int]) -> None:
        self._least = least
        self._bounds: dict[str, Bounds | None] = {}
        self._values: dict[str, int] = {}

    def never_below(self, a: Count, b: Count) -> bool:
        """Whether ``a >= b`` is known for all sizes."""
        return self._never_negative((a - b).terms)

    def choose(self, function: str, a: Count, b: Count) -> Count | None:
        """The larger (``max``) or smaller (``min``) of two, where it is known."""
        if self.never_below(a, b):
            return a if function == "max" else b
        if self.never_below(b, a):
            return b if function == "max" else a
        return None

    def _never_negative(self, terms: Polynomial) -> bool:
        terms = _whole_powers(terms)
        while terms and any(c < 0 for c in terms.values()):
            least = {name: self.least(name) for name in poly.unknowns(terms)}
            if all(c >= 0 for c in poly.shifted(terms, least).values()):
                return True
            atoms = [name for name in least if not name.isidentifier()]
            if not atoms:
                return False
            outermost = max(atoms, key=lambda name: (_depth(atom_node(name)), name))
            bounds = self.bounds(outermost)
            if bounds is None:
                return False
            terms = _replaced(terms, outermost, bounds)
        return True

    def least(self, name: str) -> int:
        """The least value of an unknown: of a symbol, or of an atom that grows with the sizes, its
        value at the least sizes. Otherwise 0, which every unknown with bounds is above."""
        if name not in self._values:
            node = atom_node(name)
            if isinstance(node, Name):
                self._values[name] = self._least.get(name, 1)
            else:
                grows = _grows(node)
                sizes = {each: self._least.get(each, 1) for each in names_in(node)}
                self._values[name] = floor(evaluate(node, sizes)) if grows else 0
        return self._values[name]

    def bounds(self, name: str) -> Bounds | None:
        """Two counts between which an atom lies, neither nested so deep; None if not known. An
        atom with bounds is never negative."""
        if name not in self._bounds:
            self._bounds[name] = self._found(atom_node(name))
        return self._bounds[name]

    def _found(self, node: Node) -> Bounds | None:
        match node:
            case Operation("//", left, Number(divisor)) if divisor > 0:
                base = Reader().read(left).terms
                if not self._never_negative(base):
                    return None
                lower = poly.add(base, poly.constant(divisor - 1), -1)
                share = poly.constant(Fraction(1, divisor))
                return poly.multiply(lower, share), poly.multiply(base, share)
            case Call("max" | "min" as function, (left, right)):
                a, b = Reader().read(left).terms, Reader().read(right).terms
                if not (self._never_negative(a) and self._never_negative(b)):
                    return None
                return (a, poly.add(a, b)) if function == "max" else ({}, a)
        return None


def _whole_powers(terms: Polynomial) -> Polynomial:
    """Times what makes every power positive, which is positive itself."""
    below = {name: -power for monomial in terms for name, power in monomial if power < 0}
    if not below:
        return terms
    for monomial in terms:
        for name, power in monomial:
            if name in below:
                below[name] = max(below[name], -power)
    raised: Polynomial = {}
    for monomial, coefficient in terms.items():
        powers = dict(monomial)
        for name, power in below.items():
            powers[name] = powers.get(name, 0) + power
        raised[tuple(sorted((n, p) for n, p in powers.items() if p))] = coefficient
    return raised


def _replaced(terms: Polynomial, name: str, bounds: Bounds) -> Polynomial:
    """A lower bound with one factor ``name`` less in each term: no other factor is negative."""
    total: Polynomial = {}
    for monomial, coefficient in terms.items():
        powers = dict(monomial)
        power = powers.pop(name, 0)
        if power > 1:
            powers[name] = power - 1
        rest: Monomial = tuple(sorted(powers.items()))
        product: Polynomial = {rest: coefficient}
        if power:
            product = poly.multiply(product, bounds[coefficient < 0])
        total = poly.add(total, product)
    return total


def _grows(node: Node) -> bool:
    """Whether a larger size never makes it smaller."""
    match node:
        case Number() | Name():
            return True
        case Operation("//" | "-", left, Number()):
            return _grows(left)
        case Operation("+", left, right) | Call("max" | "min", (left, right)):
            return _grows(left) and _grows(right)
        case Operation("*", Number(factor), right):
            return factor >= 0 and _grows(right)
    return False


def _depth(node: Node) -> int:
    match node:
        case Number() | Name():
            return 0
        case Operation("//", left, _):
            return 1 + _depth(left)
        case Operation(_, left, right):
            return max(_depth(left), _depth(right))
        case Call(_, parts):
            return 1 + max(map(_depth, parts))
    return 0
