"""Comparisons on a cell: the signs that a polynomial takes there."""

from __future__ import annotations

from math import gcd

from blocktool.analysis import polynomials as poly
from blocktool.analysis.polynomials import ONE, Polynomial
from blocktool.analysis.ranges import Cell, CutError, UndecidedError

_SHORT = 64


def compare(op: str, difference: Polynomial, cell: Cell) -> bool:
    """Whether ``difference op 0`` holds on the cell; cuts it where it holds on a part."""
    if poly.is_constant(difference):
        return _holds(op, poly.sign_of(difference.get(ONE, 0)))
    names = sorted(poly.unknowns(difference))
    if len(names) == 1:
        here = cell[names[0]]
        runs = poly.sign_runs(difference, here.low, here.high)
        answers = [_holds(op, sign) for _, sign in runs]
        if len(set(answers)) > 1:
            raise CutError(names[0], here.split(start for start, _ in runs))
        return answers[0]
    return _compare_joint(op, difference, names, cell)


def _compare_joint(op: str, difference: Polynomial, names: list[str], cell: Cell) -> bool:
    """Signs of a polynomial of several sizes, where its coefficients tell them."""
    if op in ("==", "!=") and _never_zero(difference):
        return op == "!="
    shifted = poly.shifted(difference, {name: cell[name].low for name in names})
    signs = {poly.sign_of(coefficient) for coefficient in shifted.values()}
    if len(signs) == 1:
        (sign,) = signs
        possible = {sign} if ONE in shifted else {sign, 0}
        answers = {_holds(op, each) for each in possible}
        if len(answers) == 1:
            return answers.pop()
    for name in names:
        here = cell[name]
        if here.high is not None and here.high - here.low < _SHORT:
            raise CutError(name, here.split(range(here.low, here.high + 1)))
    if len(signs) == 1:
        # Zero at the corner, or along an edge, and of one sign elsewhere.
        in_terms = {name: sum(name in dict(m) for m in shifted) for name in names}
        name = max(names, key=in_terms.__getitem__)
        raise CutError(name, cell[name].split([cell[name].low + 1]))
    raise UndecidedError("a condition that joins several sizes")


def _never_zero(p: Polynomial) -> bool:
    """Whether a common divisor of all terms but the constant one tells that it is not zero."""
    if not all(isinstance(coefficient, int) for coefficient in p.values()):
        return False
    divisor = gcd(*(int(coefficient) for monomial, coefficient in p.items() if monomial))
    return int(p.get(ONE, 0)) % divisor != 0


def _holds(op: str, sign: int) -> bool:
    return {
        "==": sign == 0,
        "!=": sign != 0,
        "<": sign < 0,
        "<=": sign <= 0,
        ">": sign > 0,
        ">=": sign >= 0,
    }[op]
