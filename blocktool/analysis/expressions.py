"""Expressions of sizes: ``2*C``, ``ceil(H/2)``, ``(H + 1)//2``, ``H % 7 == 0``.

The language of contracts (``--expect``), of constraints and of formulas. It has whole numbers,
names, ``+ - * / // % **``, ``ceil floor max min``, comparisons and ``and or not``. Division is
exact: ``H/8`` is a whole number or the size does not fit. An expression is read into the
dataclasses below and evaluated by walking them; nothing of it is ever handed to Python.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

Value = int | Fraction

FUNCTIONS = ("ceil", "floor", "max", "min")
_MAX_LENGTH = 20_000
_MAX_DEPTH = 200
_MAX_POWER = 64
_MAX_BITS = 4096


class ExpressionError(ValueError):
    """Text that is no expression; ``position`` is the place in ``text`` (from 0)."""

    def __init__(self, reason: str, text: str, position: int, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text
        self.position = position
        self.hint = hint

    @property
    def pointer(self) -> tuple[str, str]:
        """The text, and below it a caret at the place."""
        return self.text, " " * self.position + "^"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""

    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A size: ``B``, ``H``."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """``op`` is one of ``+ - * / // % **``."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Call:
    """``function`` is one of ``FUNCTIONS``."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``op`` is one of ``== != < <= > >=``."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """``op`` is ``and``, ``or`` or ``not`` (with one part)."""

    op: str
    parts: tuple[Node, ...]


Node = Number | Name | Operation | Call | Comparison | Logic

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def parse(text: str, names: frozenset[str] | None = None) -> Node:
    """Read an expression; ``names`` are those that it may use (None: any).

    Raises ExpressionError, pointing at the place, for anything else.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"longer than {_MAX_LENGTH} characters", text[:60], 0)
    if not text.strip():
        raise ExpressionError("an expression is missing", text, 0)
    lead = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        reason = (error.msg or "").partition(". ")[0]
        # Offset 0 points at nothing: something is missing at the end.
        place = lead + error.offset - 1 if error.offset else len(text.rstrip())
        raise ExpressionError(f"not an expression: {reason}", text, place) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("not an expression", text, 0) from None
    return _Reader(text, lead, names).read(tree.body, 0)


@dataclass(frozen=True)
class _Reader:
    text: str
    lead: int
    names: frozenset[str] | None

    def error(self, node: ast.AST, reason: str, hint: str | None = None) -> ExpressionError:
        # ast counts in bytes of UTF-8.
        column = getattr(node, "col_offset", 0)
        shown = self.text[self.lead :].encode()[:column].decode(errors="ignore")
        return ExpressionError(reason, self.text, self.lead + len(shown), hint)

    def read(self, node: ast.expr, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise self.error(node, "too deeply nested")
        deeper = depth + 1
        match node:
            case ast.Constant(value=value):
                if type(value) is int:
                    return Number(value)
                raise self.error(node, f"{value!r} is not a whole number", "write 1/2 for a half")
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                divisor = self.read(right, deeper)
                if divisor == Number(0) and _OPERATORS[type(op)] in ("/", "//", "%"):
                    raise self.error(right, "a division by zero")
                return Operation(_OPERATORS[type(op)], self.read(left, deeper), divisor)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand, deeper)
                if isinstance(inner, Number):
                    return Number(-inner.value)
                return Operation("*", Number(-1), inner)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand, deeper)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Logic("not", (self.read(operand, deeper),))
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                return Logic(word, tuple(self.read(value, deeper) for value in values))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self.comparison(node, [left, *others], ops, deeper)
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                return self.call(node, function, args, deeper)
        raise self.error(
            node,
            "only sizes, whole numbers, + - * / // % **, comparisons and "
            f"{', '.join(FUNCTIONS)} may stand here",
        )

    def name(self, node: ast.expr, name: str) -> Node:
        if self.names is None or name in self.names:
            return Name(name)
        near = difflib.get_close_matches(name, self.names, 1) or [
            known for known in self.names if known.lower() == name.lower()
        ]
        known = ", ".join(sorted(self.names, key=lambda each: (len(each), each)))
        hint = f"did you mean {near[0]}?" if near else f"sizes here: {known}"
        raise self.error(node, f"unknown size '{name}'", hint)

    def comparison(
        self, node: ast.Compare, terms: list[ast.expr], ops: list[ast.cmpop], depth: int
    ) -> Node:
        if any(type(op) not in _COMPARISONS for op in ops):
            raise self.error(node, "only == != < <= > >= compare sizes")
        read = [self.read(term, depth) for term in terms]
        pairs = tuple(
            Comparison(_COMPARISONS[type(op)], left, right)
            for op, left, right in zip(ops, read[:-1], read[1:], strict=True)
        )
        return pairs[0] if len(pairs) == 1 else Logic("and", pairs)

    def call(self, node: ast.Call, function: str, args: list[ast.expr], depth: int) -> Node:
        name = function.lower()
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name, FUNCTIONS, 1)
            hint = f"did you mean {near[0]}?" if near else f"functions: {', '.join(FUNCTIONS)}"
            raise self.error(node, f"unknown function '{function}'", hint)
        single = name in ("ceil", "floor")
        if (single and len(args) != 1) or (not single and len(args) < 2):
            wanted = "one argument" if single else "at least two arguments"
            raise self.error(node, f"{name} takes {wanted}")
        return Call(name, tuple(self.read(arg, depth) for arg in args))


class NotWholeError(ArithmeticError):
    """A value that has none: a division by zero, a power that is no number of a size."""


def evaluate(node: Node, sizes: Mapping[str, int]) -> Value:
    """The value, exactly; comparisons give 0 or 1.

    Raises NotWholeError for a division by zero, and KeyError for a name without a size.
    """
    match node:
        case Number(value):
            return value
        case Name(name):
            return sizes[name]
        case Operation(op, left, right):
            return _operate(op, evaluate(left, sizes), evaluate(right, sizes))
        case Call(function, arguments):
            return _call(function, [evaluate(argument, sizes) for argument in arguments])
        case Comparison(op, left, right):
            return int(_COMPARE[op](evaluate(left, sizes), evaluate(right, sizes)))
        case Logic("not", (part,)):
            return int(not evaluate(part, sizes))
        case Logic("and", parts):
            return int(all(evaluate(part, sizes) for part in parts))
        case Logic(_, parts):
            return int(any(evaluate(part, sizes) for part in parts))


_COMPARE: dict[str, Callable[[Value, Value], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _operate(op: str, a: Value, b: Value) -> Value:
    if op == "+":
        return a + b
    if op == "-":
        return a - b
    if op == "*":
        return a * b
    if op == "**":
        # Bounded, so that no expression takes the machine's time or memory.
        if not (isinstance(b, int) and 0 <= b <= _MAX_POWER) or _bits(a) * b > _MAX_BITS:
            raise NotWholeError("a power that is too large or no whole number")
        return a**b
    if b == 0:
        raise NotWholeError("a division by zero")
    if op == "//":
        return math.floor(Fraction(a) / b)
    if op == "%":
        return a - b * math.floor(Fraction(a) / b)
    result = Fraction(a) / b
    return int(result) if result.denominator == 1 else result


def _bits(value: Value) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _call(function: str, values: list[Value]) -> Value:
    if function == "ceil":
        return math.ceil(values[0])
    if function == "floor":
        return math.floor(values[0])
    return max(values) if function == "max" else min(values)


def names_in(node: Node) -> frozenset[str]:
    """The sizes that an expression depends on."""
    match node:
        case Number():
            return frozenset()
        case Name(name):
            return frozenset((name,))
        case Operation(_, left, right) | Comparison(_, left, right):
            return names_in(left) | names_in(right)
        case Call(_, parts) | Logic(_, parts):
            return frozenset().union(*map(names_in, parts))


_RANK = {"or": 1, "and": 2, "not": 3, "==": 4, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6}


def to_text(node: Node) -> str:
    """The expression as it is read: ``parse(to_text(node))`` is equal to ``node``."""
    return _text(node, 0)


def _text(node: Node, outside: int) -> str:
    match node:
        case Number(value):
            return f"({value})" if value < 0 and outside > _RANK["+"] else str(value)
        case Name(name):
            return name
        case Call(function, arguments):
            return f"{function}({', '.join(_text(argument, 0) for argument in arguments)})"
        case Operation("**", left, right):
            return f"{_text(left, 9)}**{_text(right, 8)}"
        case Operation(op, left, right):
            own = _RANK[op]
            space = " " if own == _RANK["+"] or op == "%" else ""
            text = f"{_text(left, own)}{space}{op}{space}{_text(right, own + 1)}"
        case Comparison(op, left, right):
            own = _RANK["=="]
            text = f"{_text(left, own + 1)} {op} {_text(right, own + 1)}"
        case Logic("not", (part,)):
            own = _RANK["not"]
            text = f"not {_text(part, own)}"
        case Logic(op, parts):
            own = _RANK[op]
            text = f" {op} ".join(_text(part, own + 1) for part in parts)
    return f"({text})" if own < outside else text
