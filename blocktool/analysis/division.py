"""Whole quotients on a cell."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import NoReturn

from blocktool.analysis import polynomials as poly
from blocktool.analysis.polynomials import ONE, Polynomial
from blocktool.analysis.ranges import Cell, CutError, UndecidedError
from blocktool.analysis.signs import compare


def floor_divide(left: Polynomial, right: Polynomial, cell: Cell) -> Polynomial:
    """``left // right`` on the cell; ``right`` is zero nowhere."""
    quotient, rest = poly.divide(left, right)
    for monomial, coefficient in quotient.items():
        if monomial and isinstance(coefficient, Fraction):
            # k = d * k' + j makes the terms whole, one unknown at a time.
            name = monomial[0][0]
            raise CutError(name, cell[name].refined(coefficient.denominator))
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
            raise CutError(name, here.split([(here.low + here.high + 1) // 2]))
    raise UndecidedError("a quotient of two sizes")
