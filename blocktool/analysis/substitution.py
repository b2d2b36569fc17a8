"""Expressions with others in place of names."""

from __future__ import annotations

from collections.abc import Mapping

from blocktool.analysis.expressions import Call, Comparison, Logic, Name, Node, Number, Operation


def substitute(node: Node, values: Mapping[str, Node]) -> Node:
    """``node`` with expressions in place of names."""
    match node:
        case Number():
            return node
        case Name(name):
            return values.get(name, node)
        case Operation(op, left, right):
            return Operation(op, substitute(left, values), substitute(right, values))
        case Comparison(op, left, right):
            return Comparison(op, substitute(left, values), substitute(right, values))
        case Call(function, parts):
            return Call(function, tuple(substitute(part, values) for part in parts))
        case Logic(op, parts):
            return Logic(op, tuple(substitute(part, values) for part in parts))
