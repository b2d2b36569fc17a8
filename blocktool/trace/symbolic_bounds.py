"""Lower bounds of expressions of sizes, given the least sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from torch.utils._sympy import functions as ts

from blocktool.trace.symbolic_terms import FLOORS, REMAINDERS

LEAST = 2
"""A symbol stands for sizes from here on."""


class Bounds:
    """Least sizes, and what follows from them for expressions."""

    def __init__(self, bounds: Mapping[sympy.Symbol, int]) -> None:
        self.bounds: dict[sympy.Symbol, int] = dict(bounds)

    def least(self, value: sympy.Expr) -> Any:
        """A lower bound, where it is easily had: for what does not fall when a size rises."""
        total = sympy.Integer(0)
        for term in sympy.Add.make_args(value):
            coefficient, rest = term.as_coeff_Mul()
            if coefficient < 0:
                most = self._most(rest)
                total += coefficient * most
            else:
                total += coefficient * self._least_product(rest)
        return total

    def _least_product(self, value: sympy.Expr) -> Any:
        least = sympy.Integer(1)
        for factor in sympy.Mul.make_args(value):
            bound = self._least_factor(factor)
            if bound < 0:
                return -sympy.oo
            least *= bound
        return least

    def _least_factor(self, factor: sympy.Expr) -> Any:
        if factor.is_number:
            return factor if factor.is_Rational else -sympy.oo
        if isinstance(factor, sympy.Symbol):
            return sympy.Integer(self.bounds.get(factor, LEAST))
        if isinstance(factor, sympy.Pow) and factor.exp.is_Integer and factor.exp > 0:
            return self._least_factor(factor.base) ** factor.exp
        if isinstance(factor, sympy.Add):
            return self.least(factor)
        if isinstance(factor, FLOORS) and factor.args[1].is_Integer and factor.args[1] > 0:
            least = self.least(factor.args[0])
            return least if least.is_infinite else sympy.Integer(least // factor.args[1])
        if isinstance(factor, REMAINDERS) and factor.args[1].is_positive:
            return sympy.Integer(0)
        if isinstance(factor, (ts.Max, sympy.Max)):
            return max(self.least(arg) for arg in factor.args)
        return -sympy.oo

    def _most(self, value: sympy.Expr) -> Any:
        if value.is_number:
            return value
        if isinstance(value, REMAINDERS) and value.args[1].is_Integer and value.args[1] > 0:
            return value.args[1] - 1
        return sympy.oo
