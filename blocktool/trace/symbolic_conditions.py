"""Conditions on sizes in the form in which they are read: ``H >= 32``, ``H % 2 == 0``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sympy
from torch.utils._sympy import functions as ts

from blocktool.trace.symbolic_bounds import LEAST, Bounds
from blocktool.trace.symbolic_terms import (
    FLOORS,
    REMAINDERS,
    conjuncts,
    factors_of,
    floors_as_remainders,
    is_whole,
    remainder,
    remainder_of_size,
    sides,
    without_floors,
)

_LOOKS = 6


class Conditions(Bounds):
    """A conjunction; ``known`` is what holds already.

    ``bounds`` are the least sizes that follow from it, ``remainders`` what sizes leave when they
    are divided: divisor and remainder.
    """

    def __init__(self, known: Conditions | None = None) -> None:
        super().__init__(known.bounds if known else {})
        self.remainders: dict[sympy.Expr, tuple[int, int]] = dict(known.remainders) if known else {}
        self._others: dict[sympy.Basic, None] = {}

    def add(self, conditions: Iterable[sympy.Basic]) -> None:
        """All of these hold, too."""
        pending = [part for condition in conditions for part in conjuncts(condition)]
        # What is found to be a bound makes others simpler, so further looks pay.
        before: object = None
        for _ in range(_LOOKS):
            now = (dict(self.bounds), dict(self.remainders), tuple(pending))
            if now == before:
                break
            before = now
            left: list[sympy.Basic] = []
            for condition in pending:
                for part in conjuncts(self._simplified_if_known(condition)):
                    if not self._is_bound(part):
                        self._note_remainder(part)
                        left.append(part)
            pending = left
        self._others.update(dict.fromkeys(pending))
        for part in [part for part in self._others if self._is_implied(part)]:
            del self._others[part]

    def _is_bound(self, condition: sympy.Basic) -> bool:
        """Whether it is a lower bound of one size, which is then kept as such, or always true."""
        if condition is sympy.true:
            return True
        if not isinstance(condition, sympy.Ge):
            return False
        symbol, least = condition.args
        if not isinstance(symbol, sympy.Symbol) or not least.is_Integer:
            return False
        if least > self.bounds.get(symbol, LEAST):
            self.bounds[symbol] = int(least)
        return True

    def _note_remainder(self, condition: sympy.Basic) -> None:
        symbol, divisor, remainder = remainder_of_size(condition)
        if symbol is not None and divisor > self.remainders.get(symbol, (1, 0))[0]:
            self.remainders[symbol] = (divisor, remainder)

    def _is_implied(self, condition: sympy.Basic) -> bool:
        symbol, divisor, remainder = remainder_of_size(condition)
        if symbol is None or symbol not in self.remainders:
            return False
        known, left = self.remainders[symbol]
        return divisor < known and known % divisor == 0 and left % divisor == remainder

    def _divided(self, value: sympy.Expr) -> sympy.Expr:
        """With exact quotients for floors, where the remainder is known; times a number, so that
        it is whole."""
        floors = [floor for floor in value.atoms(ts.FloorDiv) if floor.args[1].is_Integer]
        exact = {}
        for floor in floors:
            shift, symbol = floor.args[0].as_coeff_Add()
            divisor, remainder = self.remainders.get(symbol, (1, 0))
            by = floor.args[1]
            if shift.is_Integer and by > 0 and divisor % by == 0:
                exact[floor] = (symbol + shift - (remainder + shift) % by) / by
        if not exact:
            return value
        divided = sympy.expand(value.xreplace(exact))
        terms = sympy.Add.make_args(divided)
        return sympy.expand(divided * sympy.ilcm(1, *(term.as_coeff_Mul()[0].q for term in terms)))

    def parts(self) -> Iterator[sympy.Basic]:
        """What is to hold beyond the bounds."""
        yield from self._others

    def simplified_size(self, value: sympy.Expr) -> sympy.Expr:
        """Without a ``max`` whose outcome is known."""
        if not value.has(ts.Max):
            return value

        def chosen(*args: sympy.Expr) -> sympy.Expr:
            numbers = [arg for arg in args if arg.is_number]
            others = [arg for arg in args if not arg.is_number]
            if numbers and any(self.least(arg) >= max(numbers) for arg in others):
                return others[0] if len(others) == 1 else ts.Max(*others)
            return ts.Max(*args)

        return value.replace(ts.Max, chosen)

    def _simplified_if_known(self, condition: sympy.Basic) -> sympy.Basic:
        try:
            return self._simplified(condition)
        except (TypeError, ValueError):  # sympy cannot compare what is in it
            return condition

    def _simplified(self, condition: sympy.Basic) -> sympy.Basic:
        if not isinstance(condition, sympy.Rel):
            return condition
        left, right = condition.args
        if isinstance(condition, (sympy.Lt, sympy.Le)):
            left, right = right, left
        difference = self._divided(sympy.expand(self.simplified_size(left - right)))
        if isinstance(condition, (sympy.Eq, sympy.Ne)):
            return self._equality(type(condition), difference, condition)
        if not is_whole(difference):
            return condition
        if isinstance(condition, (sympy.Lt, sympy.Gt)):
            return self._positive(difference, condition)
        return self._at_least(difference, condition)

    def _equality(self, kind: Any, difference: sympy.Expr, condition: sympy.Rel) -> sympy.Basic:
        """``difference == 0``, or ``!=``."""
        factors = factors_of(difference, signed=False)
        rest = [factor for factor in factors if not self.least(factor) >= 1]
        if not rest:
            return sympy.true if kind is sympy.Ne else condition
        if len(rest) > 1:
            if kind is sympy.Eq:
                return condition
            return sympy.And(*(self._no_product(kind, f, condition) for f in rest), evaluate=False)
        return self._no_product(kind, rest[0], condition)

    def _no_product(self, kind: Any, difference: sympy.Expr, condition: sympy.Rel) -> sympy.Basic:
        difference = without_floors(difference)
        if self.least(difference) >= 1 or self.least(sympy.expand(-difference)) >= 1:
            return sympy.true if kind is sympy.Ne else condition
        if difference == 0:
            return sympy.true if kind is sympy.Eq else condition
        number, rest = difference.as_coeff_Add()
        coefficient, atom = rest.as_coeff_Mul()
        if not (number.is_Integer and coefficient.is_Integer) or coefficient == 0:
            return condition
        if number % coefficient:
            return sympy.true if kind is sympy.Ne and is_whole(difference) else condition
        value = -number // coefficient
        if isinstance(atom, REMAINDERS):
            return remainder(kind, atom, value)
        if isinstance(atom, FLOORS) and atom.args[1].is_Integer and atom.args[1] > 0:
            return self._floor_equality(kind, atom, value)
        if kind is sympy.Ne and self.least(atom) == value and not isinstance(atom, sympy.Add):
            return self._at_least(atom - value - 1, sympy.Ge(atom, value + 1, evaluate=False))
        left, right = sides(atom, value)
        return kind(left, right, evaluate=False)

    def _floor_equality(self, kind: Any, atom: sympy.Expr, value: Any) -> sympy.Basic:
        base, divisor = atom.args
        if kind is sympy.Ne:
            if self.least(atom) == value:  # then it is more
                return self._at_least(sympy.expand(base - divisor * (value + 1)), None)
            return sympy.Ne(atom, value, evaluate=False)
        lower = self._at_least(sympy.expand(base - divisor * value), None)
        upper = self._at_least(sympy.expand(divisor * value + divisor - 1 - base), None)
        return sympy.And(lower, upper, evaluate=False)

    def _positive(self, difference: sympy.Expr, condition: sympy.Rel) -> sympy.Basic:
        """``difference > 0``: where no factor is negative, each is at least 1."""
        factors = factors_of(difference)
        if len(factors) > 1:
            if all(self.least(factor) >= 0 for factor in factors):
                return sympy.And(
                    *(self._at_least(factor - 1, None) for factor in factors), evaluate=False
                )
            rest = [factor for factor in factors if not self.least(factor) >= 1]
            if len(rest) == 1:
                return self._at_least(rest[0] - 1, None)
            return condition
        return self._at_least(difference - 1, condition)

    def _at_least(self, difference: sympy.Expr, condition: sympy.Basic | None) -> sympy.Basic:
        """``difference >= 0``."""
        if self.least(difference) >= 0 or self.least(floors_as_remainders(difference)) >= 0:
            return sympy.true
        factors = [factor for factor in factors_of(difference) if not self.least(factor) >= 1]
        if len(factors) == 1:
            difference = factors[0]
        number, rest = difference.as_coeff_Add()
        coefficient, atom = rest.as_coeff_Mul()
        if not coefficient.is_Integer or coefficient == 0 or not number.is_Integer:
            return condition if condition is not None else sympy.Ge(difference, 0, evaluate=False)
        if coefficient > 0:
            return self._atom_at_least(atom, -(number // coefficient))
        return self._atom_at_most(atom, number // -coefficient)

    def _atom_at_least(self, atom: sympy.Expr, bound: Any) -> sympy.Basic:
        if isinstance(atom, FLOORS) and atom.args[1].is_Integer and atom.args[1] > 0:
            base, divisor = atom.args
            return self._at_least(sympy.expand(base - bound * divisor), None)
        return sympy.Ge(*sides(atom, bound), evaluate=False)

    def _atom_at_most(self, atom: sympy.Expr, bound: Any) -> sympy.Basic:
        if isinstance(atom, FLOORS) and atom.args[1].is_Integer and atom.args[1] > 0:
            base, divisor = atom.args  # a//n <= k: a <= k*n + n - 1
            return self._at_least(sympy.expand(bound * divisor + divisor - 1 - base), None)
        return sympy.Le(*sides(atom, bound), evaluate=False)
