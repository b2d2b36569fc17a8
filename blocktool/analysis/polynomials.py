"""Polynomials in several unknowns with exact coefficients, and the signs that they take.

A polynomial is a dictionary from monomials to coefficients that are not zero; a monomial is a
sorted tuple of (name, power). ``{}`` is zero, ``{(): 3}`` is three.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from math import comb, floor

Coefficient = int | Fraction
Monomial = tuple[tuple[str, int], ...]
Polynomial = dict[Monomial, Coefficient]

ONE: Monomial = ()


def constant(value: Coefficient) -> Polynomial:
    """The polynomial that is ``value`` everywhere."""
    return {ONE: value} if value else {}


def is_constant(p: Polynomial) -> bool:
    """Whether no unknown is in it."""
    return not p or (len(p) == 1 and ONE in p)


def add(a: Polynomial, b: Polynomial, factor: Coefficient = 1) -> Polynomial:
    """``a + factor * b``."""
    result = dict(a)
    for monomial, coefficient in b.items():
        total = result.get(monomial, 0) + factor * coefficient
        if total:
            result[monomial] = _plain(total)
        else:
            result.pop(monomial, None)
    return result


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    """``a * b``."""
    if len(a) > len(b):
        a, b = b, a
    if is_constant(a):
        factor = a.get(ONE, 0)
        return {m: _plain(c * factor) for m, c in b.items()} if factor else {}
    result: Polynomial = {}
    for left, x in a.items():
        for right, y in b.items():
            monomial = _joined(left, right)
            total = result.get(monomial, 0) + x * y
            if total:
                result[monomial] = _plain(total)
            else:
                del result[monomial]
    return result


def power(p: Polynomial, exponent: int) -> Polynomial:
    """``p ** exponent``, the exponent not negative."""
    result = constant(1)
    for _ in range(exponent):
        result = multiply(result, p)
    return result


def divide(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """``q, r`` with ``a == q * b + r``, no term of ``r`` divisible by the first of ``b``.

    In one unknown ``r`` is of lower degree than ``b``; in any number it is zero where ``b``
    divides ``a``. ``b`` is not zero.
    """
    if is_constant(b):
        return {m: _quotient_of(c, b[ONE]) for m, c in a.items()}, {}
    first = max(b, key=_order)
    quotient: Polynomial = {}
    rest = dict(a)
    left: Polynomial = {}
    while rest:
        leading = max(rest, key=_order)
        shared = _quotient(leading, first)
        if shared is None:
            left[leading] = rest.pop(leading)
            continue
        term = {shared: _quotient_of(rest[leading], b[first])}
        quotient = add(quotient, term)
        rest = add(rest, multiply(term, b), -1)
    return quotient, left


def unknowns(p: Polynomial) -> set[str]:
    """The names of the unknowns in it."""
    return {name for monomial in p for name, _ in monomial}


def value(p: Polynomial, at: Mapping[str, int]) -> Coefficient:
    """The value at a point."""
    total: Coefficient = 0
    for monomial, coefficient in p.items():
        term = coefficient
        for name, exponent in monomial:
            term *= at[name] ** exponent
        total += term
    return total


def shifted(p: Polynomial, by: Mapping[str, int]) -> Polynomial:
    """``p`` with ``name + by[name]`` in place of each name."""
    result: Polynomial = {}
    for monomial, coefficient in p.items():
        term = constant(coefficient)
        for name, exponent in monomial:
            term = multiply(term, power({((name, 1),): 1, **constant(by[name])}, exponent))
        result = add(result, term)
    return result


def sign_runs(p: Polynomial, low: int, high: int | None) -> list[tuple[int, int]]:
    """Where a polynomial of one unknown changes its sign on the whole numbers ``low..high``.

    Gives ``(start, sign)`` of each run of equal signs (-1, 0, 1); ``high`` None is no end.
    """
    coefficients = _dense(p)
    last = max(low, _beyond_roots(coefficients)) if high is None else high
    starts = sorted({low, *_changes(coefficients, low, last)})
    runs: list[tuple[int, int]] = []
    for start in starts:
        sign = sign_of(_horner(coefficients, start))
        if not runs or runs[-1][1] != sign:
            runs.append((start, sign))
    return runs


def _dense(p: Polynomial) -> list[Coefficient]:
    degree = max((monomial[0][1] if monomial else 0 for monomial in p), default=0)
    coefficients: list[Coefficient] = [0] * (degree + 1)
    for monomial, coefficient in p.items():
        coefficients[monomial[0][1] if monomial else 0] = coefficient
    return coefficients


def _changes(coefficients: list[Coefficient], low: int, high: int) -> set[int]:
    """Starts of stretches of ``low..high`` on which the sign is constant."""
    if len(coefficients) < 2 or low >= high:
        return {low}
    # While the step to the next whole number keeps its sign, the values rise or fall.
    edges = sorted({*_changes(_steps(coefficients), low, high - 1), low, high})
    found = set(edges)
    for left, right in pairwise(edges):
        start = sign_of(_horner(coefficients, left))
        end = sign_of(_horner(coefficients, right))
        if start != end:
            for passed in {start, 0} - {end}:
                found.add(_first_past(coefficients, left, right, passed, end > start))
    return found


def _steps(coefficients: list[Coefficient]) -> list[Coefficient]:
    """``p(k + 1) - p(k)``, which is of a degree less."""
    return [
        sum((comb(n, k) * coefficients[n] for n in range(k + 1, len(coefficients))), start=0)
        for k in range(len(coefficients) - 1)
    ]


def _first_past(
    coefficients: list[Coefficient], left: int, right: int, passed: int, rising: bool
) -> int:
    """The first whole number in ``left..right`` whose sign is past ``passed``."""
    low, high = left, right
    while high - low > 1:
        middle = (low + high) // 2
        sign = sign_of(_horner(coefficients, middle))
        if (sign > passed) if rising else (sign < passed):
            high = middle
        else:
            low = middle
    return high


def _beyond_roots(coefficients: list[Coefficient]) -> int:
    """A whole number from which on the sign stays (Cauchy's bound)."""
    leading: Fraction = abs(Fraction(coefficients[-1]))
    if not leading:
        return 0
    return 2 + floor(
        max((abs(Fraction(c) / leading) for c in coefficients[:-1]), default=Fraction(0))
    )


def _horner(coefficients: list[Coefficient], at: int) -> Coefficient:
    total: Coefficient = 0
    for coefficient in reversed(coefficients):
        total = total * at + coefficient
    return total


def sign_of(number: Coefficient) -> int:
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def _plain(number: Coefficient) -> Coefficient:
    """A fraction that is whole as an int: those are several times faster."""
    if type(number) is Fraction and number.denominator == 1:
        return number.numerator
    return number


def _quotient_of(a: Coefficient, b: Coefficient) -> Coefficient:
    if type(a) is int and type(b) is int and a % b == 0:
        return a // b
    return _plain(Fraction(a) / b)


def _joined(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for name, exponent in right:
        powers[name] = powers.get(name, 0) + exponent
    return tuple(sorted(powers.items()))


def _quotient(monomial: Monomial, by: Monomial) -> Monomial | None:
    powers = dict(monomial)
    for name, exponent in by:
        powers[name] = powers.get(name, 0) - exponent
        if powers[name] < 0:
            return None
    return tuple(sorted((name, exponent) for name, exponent in powers.items() if exponent))


def _order(monomial: Monomial) -> tuple[int, list[tuple[list[int], int]]]:
    # Degree first, then the powers of A before those of B: an order that products respect.
    return sum(exponent for _, exponent in monomial), [
        ([-ord(letter) for letter in name], exponent) for name, exponent in monomial
    ]
