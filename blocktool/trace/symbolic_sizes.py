"""Symbols for sizes: how they are made, and what was decided about them on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch import _prims_common
from torch.fx.experimental import _config, symbolic_shapes
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy import functions

from blocktool.analysis import expressions
from blocktool.errors import InputError
from blocktool.trace.guard import quiet

_LOGGERS = (
    "torch.fx.experimental.symbolic_shapes",
    "torch._subclasses.fake_tensor",
    "torch.fx.experimental.recording",
    "torch.utils._sympy.value_ranges",
)


class _Environment(ShapeEnv):
    """Notes what is decided without becoming a condition: how tensors lie in memory."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols

    def _log_guard(self, prefix: str, g: Any, forcing_spec: bool) -> None:
        if "suppressed" in prefix:
            self._symbols.assumed[g] = None


def size_error(size: str, error: expressions.ExpressionError) -> InputError:
    """What to say of a size that is no expression of the symbols."""
    return InputError(
        f"size '{size}': {error.reason}",
        hint=error.hint or "a size is a number, a name or an expression of names, such as 2*H",
    )


def tidied(size: Any) -> Any:
    """A size that was rounded up to a multiple, as such a multiple: what divides it then needs no
    condition. ``H + (7 - H % 7) % 7`` becomes ``7*((H + 6)//7)``."""
    if not isinstance(size, torch.SymInt):
        return size
    expression = size.node.expr
    if not isinstance(expression, sympy.Add):
        return size
    tidy = _rounded_up(expression)
    if tidy is expression:
        return size
    return size.node.shape_env.create_symintnode(tidy, hint=size.node.hint)


@lru_cache(1024)
def _rounded_up(expression: sympy.Add) -> sympy.Expr:
    for term in expression.args:
        if isinstance(term, (functions.Mod, functions.PythonMod)) and term.args[1].is_Integer:
            added, multiple = term.args
            rest = expression - term
            whole = sympy.expand((rest + added).replace(_is_remainder, _as_floor))
            if all(
                (part.as_coeff_Mul()[0] / multiple).is_Integer
                for part in sympy.Add.make_args(whole)
            ):
                return multiple * functions.FloorDiv(rest + multiple - 1, multiple)
    return expression


def _is_remainder(value: sympy.Basic) -> bool:
    return isinstance(value, (functions.Mod, functions.PythonMod))


def _as_floor(value: sympy.Expr) -> sympy.Expr:
    base, divisor = value.args
    return base - divisor * functions.FloorDiv(base, divisor)


class Symbols:
    """Sizes as symbols, each with a hint: the size at which decisions are made.

    A symbol stands for every size of at least 2; a hint of 1 (or 0) stays a number, and is a
    condition.
    """

    def __init__(self, hints: Mapping[str, int]) -> None:
        from torch._dynamo.source import ConstantSource

        self.hints = dict(hints)
        self.env = _Environment(self)
        self.sizes: dict[str, Any] = {}
        self.names: dict[sympy.Symbol, str] = {}
        self.assumed: dict[sympy.Basic, None] = {}
        """What was taken for granted; each holds at the hints."""
        self.fixed: list[str] = []
        """Conditions for hints that are too small to stand for other sizes."""
        for name, hint in self.hints.items():
            if hint < 2:
                self.sizes[name] = hint
                self.fixed.append(f"{name} == {hint}")
                continue
            symbol = self.env.create_symbol(
                hint,
                ConstantSource(name),
                dynamic_dim=DimDynamic.DYNAMIC,
                constraint_dim=None,
            )
            self.sizes[name] = self.env.create_symintnode(symbol, hint=hint)
            self.names[symbol] = name

    def size(self, expression: int | str) -> Any:
        """A size of an input: a number, or an expression of the symbols.

        Raises InputError for what is no expression, or has a value below 1 or none at the hints.
        """
        if isinstance(expression, int):
            return expression
        try:
            node = expressions.parse(expression, frozenset(self.hints))
            value = expressions.evaluate(node, self.hints)
        except expressions.ExpressionError as error:
            raise size_error(expression, error) from error
        except expressions.NotWholeError as error:
            raise InputError(f"size '{expression}' has no value: {error}") from error
        if not isinstance(value, int) or value < 1:
            raise InputError(f"size '{expression}' is {value}; sizes are whole and positive")
        return self._value(node)

    def _value(self, node: expressions.Node) -> Any:
        match node:
            case expressions.Number(value):
                return value
            case expressions.Name(name):
                return self.sizes[name]
            case expressions.Operation(op, left, right):
                return self._operate(op, left, right)
            case expressions.Call("max" | "min" as function, parts):
                choose: Any = torch.sym_max if function == "max" else torch.sym_min
                first, *others = map(self._value, parts)
                for other in others:
                    first = choose(first, other)
                return first
            case expressions.Call("ceil", (expressions.Operation("/", left, right),)):
                return -(-self._value(left) // self._value(right))
            case expressions.Call("floor", (expressions.Operation("/", left, right),)):
                return self._value(left) // self._value(right)
        raise InputError(
            f"a size cannot be '{expressions.to_text(node)}'",
            hint="sizes are made with + - * // %, ceil(a/b), floor(a/b), max and min",
        )

    def _operate(self, op: str, left: expressions.Node, right: expressions.Node) -> Any:
        a, b = self._value(left), self._value(right)
        match op:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return a * b
            case "//":
                return a // b
            case "%":
                return a % b
            case "/":
                torch._check(a % b == 0)
                return a // b
        return a**b

    def renamed(self, text: str) -> str:
        """A message of torch's, with the symbols called as they are called here."""
        names = {str(symbol): name for symbol, name in self.names.items()}
        return re.sub(r"s\d+", lambda match: names.get(match[0], match[0]), text)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Note what torch takes for granted meanwhile: where it would rather assume than ask
        (mostly that an intermediate size is not 1), it assumes, if that is true at the hints."""
        before = _config.backed_size_oblivious, symbolic_shapes._guard_or
        order = _prims_common.compute_elementwise_output_logical_to_physical_perm

        def order_assumed(*tensors: Any, **settings: Any) -> Any:
            with self.env.suppress_guards():
                return order(*tensors, **settings)

        with ExitStack() as stack:
            for name in _LOGGERS:
                stack.enter_context(quiet(name))
            _config.backed_size_oblivious = True
            symbolic_shapes._guard_or = self._decide  # type: ignore[assignment]
            _prims_common.compute_elementwise_output_logical_to_physical_perm = order_assumed
            try:
                yield
            finally:
                _config.backed_size_oblivious, symbolic_shapes._guard_or = before
                _prims_common.compute_elementwise_output_logical_to_physical_perm = order

    def _decide(self, condition: Any, default: bool) -> bool:
        if isinstance(condition, bool):
            return condition
        known = symbolic_shapes._static_eval_sym_bool(condition)
        if known is not None:
            return known
        expression = condition.node.expr
        true_here = bool(self.env.guarding_hint_or_throw(expression))
        if true_here is not default:
            return bool(condition)  # what is mostly so is not so here: that is a way of its own
        self.assumed[expression if default else sympy.Not(expression)] = None
        return default
