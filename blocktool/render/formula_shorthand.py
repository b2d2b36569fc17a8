"""Names for the quotients that a model's formulas are full of: ``h4`` for ``(H + 3)//4``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blocktool.analysis.expressions import (
    Call,
    Comparison,
    Logic,
    Name,
    Node,
    Number,
    Operation,
    names_in,
    parse,
    to_text,
)
from blocktool.results.formulas import Formulas


class Shorthand:
    """Short names for every quotient of one size in ``texts``."""

    def __init__(self, texts: Iterable[str], taken: Iterable[str]) -> None:
        self._names: dict[Node, str] = {}
        self._definitions: list[tuple[str, Node]] = []
        self._taken = set(taken)
        self._order: dict[str, tuple[int, str]] = {}
        for text in dict.fromkeys(texts):
            for quotient in _quotients(parse(text)):
                self._name(quotient)

    def _name(self, quotient: Operation) -> str:
        known = self._names.get(quotient)
        if known is not None:
            return known
        definition = Operation("//", self._replaced(quotient.left), quotient.right)
        (symbol,) = names_in(quotient)
        base = f"{symbol.lower()}{_divisor(quotient)}"
        name, extra = base, ord("b")
        while name in self._taken:
            name, extra = f"{base}{chr(extra)}", extra + 1
        self._taken.add(name)
        self._names[quotient] = name
        self._definitions.append((name, definition))
        self._order[name] = (_divisor(quotient), name)
        return name

    @property
    def definitions(self) -> tuple[tuple[str, Node], ...]:
        """Names with what they stand for, each after those that it is made of."""
        return tuple(sorted(self._definitions, key=lambda each: self._order[each[0]]))

    def node(self, text: str) -> Node:
        """The expression with names for its quotients."""
        return self._replaced(parse(text))

    def text(self, text: str) -> str:
        """The same, as text."""
        return to_text(self.node(text))

    def _replaced(self, node: Node) -> Node:
        if isinstance(node, Operation) and _is_short(node):
            return Name(self._name(node))
        match node:
            case Operation(op, left, right):
                return Operation(op, self._replaced(left), self._replaced(right))
            case Comparison(op, left, right):
                return Comparison(op, self._replaced(left), self._replaced(right))
            case Call(function, parts):
                return Call(function, tuple(map(self._replaced, parts)))
            case Logic(op, parts):
                return Logic(op, tuple(map(self._replaced, parts)))
        return node


def shorthand_of(formulas: Formulas) -> Shorthand:
    """Names for the quotients in all figures of a report."""
    return Shorthand(texts_of(formulas), (symbol.name for symbol in formulas.symbols))


def texts_of(formulas: Formulas) -> Iterator[str]:
    """Every formula of a report."""
    for source in (formulas.totals, *formulas.modules):
        for name in FIGURES:
            text = getattr(source, name, None)
            if text is not None:
                yield text


FIGURES = (
    "params",
    "param_bytes",
    "macs",
    "flops",
    "elementwise_flops",
    "activation_bytes",
    "read_bytes",
    "written_bytes",
    "peak_live_bytes",
)

TITLES = {
    "params": "Params",
    "param_bytes": "Parameter bytes",
    "macs": "MACs",
    "flops": "FLOPs",
    "elementwise_flops": "Elementwise FLOPs",
    "activation_bytes": "Activation bytes",
    "read_bytes": "Read bytes",
    "written_bytes": "Written bytes",
    "peak_live_bytes": "Peak live bytes",
}


def _quotients(node: Node) -> Iterator[Operation]:
    match node:
        case Operation(_, left, right):
            if _is_short(node):
                yield node
            else:
                yield from _quotients(left)
                yield from _quotients(right)
        case Comparison(_, left, right):
            yield from _quotients(left)
            yield from _quotients(right)
        case Call(_, parts) | Logic(_, parts):
            for part in parts:
                yield from _quotients(part)


def _is_short(node: Operation) -> bool:
    return node.op == "//" and isinstance(node.right, Number) and len(names_in(node)) == 1


def _divisor(node: Node) -> int:
    """By how much the size is divided in all."""
    match node:
        case Operation("//", left, Number(divisor)):
            return divisor * _divisor(left)
        case Operation(_, left, right):
            return max(_divisor(left), _divisor(right))
        case Call(_, parts) | Logic(_, parts):
            return max(map(_divisor, parts))
    return 1
