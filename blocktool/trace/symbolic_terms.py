"""Pieces of conditions on sizes: conjunctions, factors, quotients and remainders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy
from torch.utils._sympy import functions as ts

_FACTORED = 6
"""Sums of more terms are not taken apart."""
FLOORS = (ts.FloorDiv, ts.CleanDiv)
REMAINDERS = (ts.Mod, ts.PythonMod)


def remainder_of_size(condition: sympy.Basic) -> tuple[sympy.Expr | None, int, int]:
    """Symbol, divisor and remainder of ``H % 7 == 3``; None for anything else."""
    if isinstance(condition, sympy.Eq) and isinstance(condition.args[0], REMAINDERS):
        symbol, divisor = condition.args[0].args
        if divisor.is_Integer and condition.args[1].is_Integer:
            return symbol, int(divisor), int(condition.args[1])
    return None, 1, 0


def conjuncts(condition: sympy.Basic) -> Iterator[sympy.Basic]:
    """The parts of a conjunction, however it is nested."""
    if isinstance(condition, sympy.And):
        for part in condition.args:
            yield from conjuncts(part)
    elif isinstance(condition, sympy.Not) and isinstance(condition.args[0], sympy.Or):
        for part in condition.args[0].args:
            yield from conjuncts(sympy.Not(part))
    else:
        yield condition


def is_whole(value: sympy.Expr) -> bool:
    """Whether a sum has whole coefficients and values."""
    terms = sympy.Add.make_args(value)
    return all(term.as_coeff_Mul()[0].is_Integer for term in terms) and bool(value.is_integer)


def factors_of(value: sympy.Expr, *, signed: bool = True) -> list[sympy.Expr]:
    """The factors of a short sum; their product is the sum, or without ``signed`` its negative."""
    if not isinstance(value, sympy.Add):
        return list(sympy.Mul.make_args(value))
    if len(value.args) > _FACTORED:
        return [value]
    factored = sympy.factor(value)
    found: list[sympy.Expr] = []
    for factor in sympy.Mul.make_args(factored):
        base, exponent = factor.as_base_exp()
        if exponent.is_Integer and exponent > 0:
            found.extend([base] * int(exponent))
        else:
            return [value]
    if not signed:
        return [abs(factor) if factor.is_number else factor for factor in found]
    if any(factor.is_number and not factor.is_positive for factor in found):
        return [value]
    return found


def without_floors(value: sympy.Expr) -> sympy.Expr:
    """With remainders for floors where that leaves one remainder and nothing else."""
    after = floors_as_remainders(value)
    rest = after.as_coeff_Add()[1].as_coeff_Mul()[1]
    return after if after.is_number or isinstance(rest, REMAINDERS) else value


def floors_as_remainders(value: sympy.Expr) -> sympy.Expr:
    """``n*(a//n)`` is ``a - a % n``."""
    changed: list[sympy.Expr] = []
    for term in sympy.Add.make_args(value):
        coefficient, rest = term.as_coeff_Mul()
        if isinstance(rest, ts.FloorDiv) and coefficient.is_Integer:
            base, divisor = rest.args
            if divisor.is_Integer and coefficient % divisor == 0:
                term = (coefficient // divisor) * (base - ts.Mod(base, divisor))
        changed.append(term)
    return sympy.expand(sympy.Add(*changed))


def remainder(kind: Any, atom: sympy.Expr, value: Any) -> sympy.Basic:
    """``(s + c) % n == value`` as ``s % n == value - c``."""
    base, divisor = atom.args
    shift, symbol = base.as_coeff_Add()
    if not symbol.is_number and divisor.is_Integer and 0 <= value < divisor:
        return kind(ts.Mod(symbol, divisor), (value - shift) % divisor, evaluate=False)
    return kind(atom, value, evaluate=False)


def sides(atom: sympy.Expr, bound: Any) -> tuple[sympy.Expr, sympy.Expr]:
    """Terms that are subtracted go to the other side."""
    terms = sympy.Add.make_args(atom)
    left = [term for term in terms if term.as_coeff_Mul()[0] > 0]
    right = [-term for term in terms if term.as_coeff_Mul()[0] <= 0]
    if not left or not right:
        return atom, sympy.sympify(bound)
    return sympy.Add(*left), sympy.Add(*right) + bound
