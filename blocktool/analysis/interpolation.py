"""Exact interpolation: from counts at several values of some arguments to counts in them.

Every coefficient of a count is taken to be a Laurent polynomial of the arguments. It is found from
as many values as it has unknowns and must agree with all the others; where it does not, there is no
formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product

from blocktool.analysis.counts import Count
from blocktool.analysis.polynomials import Coefficient, Monomial, Polynomial

_HELD_OUT = 3
"""Values beyond those that an interpolation needs, which it has to agree with; as many as it needs
where these are fewer."""

Values = Mapping[str, int]


class Interpolation:
    """Interpolates over ``samples`` (the arguments' values); ``powers`` are those that each
    argument may have.

    Raises ValueError where the samples do not determine so many coefficients.
    """

    def __init__(self, samples: Sequence[Values], powers: Mapping[str, Sequence[int]]) -> None:
        self._monomials: list[Monomial] = [
            tuple(
                sorted((name, power) for name, power in zip(powers, chosen, strict=True) if power)
            )
            for chosen in product(*powers.values())
        ]
        self._rows = [[_at(monomial, values) for monomial in self._monomials] for values in samples]
        self._basis, self._inverse = _inverted(self._rows, len(self._monomials))
        if len(samples) < len(self._basis) + min(_HELD_OUT, len(self._basis)):
            raise ValueError("too few values to check against")
        used = [samples[index] for index in self._basis]
        for name in powers:
            # On as many values as there are powers, any function is a polynomial.
            if {s[name] for s in samples} <= {s[name] for s in used}:
                raise ValueError(f"no value of {name} is left to check against")
        self._known: dict[tuple[Coefficient, ...], Polynomial | None] = {}

    def count(self, counts: Sequence[Count]) -> Count | None:
        """The count that agrees with each of ``counts`` at its sample, if there is one."""
        total: Polynomial = {}
        for monomial in dict.fromkeys(m for count in counts for m in count.terms):
            found = self.number([count.terms.get(monomial, 0) for count in counts])
            if found is None:
                return None
            for extra, coefficient in found.items():
                total[tuple(sorted((*monomial, *extra)))] = coefficient
        return Count(total)

    def number(self, values: Sequence[Coefficient]) -> Polynomial | None:
        """As ``count``, of numbers."""
        key = tuple(values)
        if key not in self._known:
            self._known[key] = self._solved(key)
        return self._known[key]

    def _solved(self, values: tuple[Coefficient, ...]) -> Polynomial | None:
        known = [values[index] for index in self._basis]
        solution = [
            sum((a * b for a, b in zip(row, known, strict=True)), start=Fraction(0))
            for row in self._inverse
        ]
        for row, wanted in zip(self._rows, values, strict=True):
            if sum(a * b for a, b in zip(row, solution, strict=True)) != wanted:
                return None
        return {
            monomial: int(c) if c.denominator == 1 else c
            for monomial, c in zip(self._monomials, solution, strict=True)
            if c
        }


def _at(monomial: Monomial, values: Values) -> Fraction:
    total = Fraction(1)
    for name, power in monomial:
        total *= Fraction(values[name]) ** power
    return total


def _inverted(rows: list[list[Fraction]], size: int) -> tuple[list[int], list[list[Fraction]]]:
    """Rows that are independent, by their indices, and the inverse of the matrix of them."""
    basis: list[int] = []
    reduced: list[tuple[int, list[Fraction]]] = []
    for index, row in enumerate(rows):
        rest = list(row)
        for pivot, other in reduced:
            if rest[pivot]:
                factor = rest[pivot]
                rest = [a - factor * b for a, b in zip(rest, other, strict=True)]
        place = next((position for position, value in enumerate(rest) if value), None)
        if place is None:
            continue
        lead = rest[place]
        reduced.append((place, [value / lead for value in rest]))
        basis.append(index)
        if len(basis) == size:
            return basis, _inverse([rows[each] for each in basis])
    raise ValueError("the values do not tell the powers apart")


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan; the matrix is regular."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        lead = rows[column][column]
        rows[column] = [value / lead for value in rows[column]]
        for i in range(size):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]
