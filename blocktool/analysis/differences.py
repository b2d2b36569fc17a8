"""Comparisons of whole numbers in one form: ``W <= H - 1`` and ``not (H <= W)`` are the same."""

from __future__ import annotations

from collections.abc import Iterable

from blocktool.analysis import polynomials as poly
from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Name,
    Node,
    Number,
    Operation,
    parse,
    to_text,
)
from blocktool.analysis.polynomials import ONE, Monomial, Polynomial

_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def normal(condition: Comparison) -> tuple[Comparison, frozenset[int]] | None:
    """``left == right`` and the signs of ``left - right`` with which the condition holds.

    Conditions that differ in a constant by one, in their sides or in their terms' order give the
    same sides. None where a side need not be whole, or nothing varies.
    """
    left, right = _expanded(condition.left), _expanded(condition.right)
    if left is None or right is None:
        return None
    difference = poly.add(left, right, -1)
    bound = -int(difference.pop(ONE, 0))
    if not difference:
        return None
    op = condition.op
    if difference[min(difference, key=_text)] < 0:
        difference = {monomial: -coefficient for monomial, coefficient in difference.items()}
        op, bound = _FLIPPED[op], -bound
    # difference op bound; of whole numbers, > n is >= n + 1 and <= n is < n + 1.
    if op in (">", "<="):
        op, bound = {">": ">=", "<=": "<"}[op], bound + 1
    signs = {"==": {0}, "!=": {-1, 1}, ">=": {0, 1}, "<": {-1}}[op]
    if bound == 1 and op in (">=", "<"):
        signs, bound = ({1} if op == ">=" else {-1, 0}), 0
    return _sides(difference, bound), frozenset(signs)


def _expanded(node: Node) -> Polynomial | None:
    """As a polynomial; ``H//7`` and the like are unknowns of their own."""
    match node:
        case Number(value):
            return poly.constant(value)
        case Name(name):
            return {((name, 1),): 1}
        case Operation("+" | "-" | "*" as op, left, right):
            a, b = _expanded(left), _expanded(right)
            if a is None or b is None:
                return None
            return poly.multiply(a, b) if op == "*" else poly.add(a, b, 1 if op == "+" else -1)
        case Operation("**", base, Number(exponent)) if 0 <= exponent <= 8:
            inner = _expanded(base)
            return None if inner is None else poly.power(inner, exponent)
        case Operation("//", _, _) | Call("ceil" | "floor", _):
            return {((to_text(node), 1),): 1}
        case Operation("%", left, right) if _is_whole(left) and _is_whole(right):
            return {((to_text(node), 1),): 1}
        case Call(_, parts) if all(map(_is_whole, parts)):
            return {((to_text(node), 1),): 1}
    return None


def _is_whole(node: Node) -> bool:
    return _expanded(node) is not None


def _text(monomial: Monomial) -> tuple[str, ...]:
    return tuple(name for name, exponent in monomial for _ in range(exponent))


def _sides(difference: Polynomial, bound: int) -> Comparison:
    """``difference == bound`` without negative terms."""
    left = [(m, int(c)) for m, c in difference.items() if c > 0]
    right = [(m, -int(c)) for m, c in difference.items() if c < 0]
    if bound:
        (right if bound > 0 or not right else left).append((ONE, abs(bound)))
    if bound < 0 and right and right[-1][0] == ONE:
        right[-1] = (ONE, bound)
    return Comparison("==", _sum(left), _sum(right))


def _sum(terms: Iterable[tuple[Monomial, int]]) -> Node:
    texts = []
    for monomial, coefficient in sorted(terms, key=lambda term: (not term[0], _text(term[0]))):
        factors = [f"({name})" if not name.isidentifier() else name for name in _text(monomial)]
        if coefficient != 1 or not factors:
            factors.insert(0, str(coefficient))
        texts.append("*".join(factors))
    return parse(" + ".join(texts) or "0")
