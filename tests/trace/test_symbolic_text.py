"""From torch's expressions to ours: the same values, and conditions that are equivalent."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._sympy import functions as ts

from blocktool.analysis import expressions
from blocktool.trace.symbolic_conditions import Conditions
from blocktool.trace.symbolic_text import Unexpressed, Writer

H, W = sympy.symbols("s1 s2", integer=True, positive=True)
NAMES = {H: "H", W: "W"}


def extend(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    numbers = st.integers(1, 9).map(sympy.Integer)
    return (
        st.builds(lambda a, b: a + b, children, children)
        | st.builds(lambda a, b: a * b, children, children)
        | st.builds(lambda a, n: a - n, children, numbers)
        | st.builds(ts.FloorDiv, children, numbers)
        | st.builds(lambda a, n: ts.FloorDiv(a, n) + 1, children, numbers)
        | st.builds(ts.PythonMod, children, numbers)
        | st.builds(ts.Max, children, children)
    )


EXPRESSIONS = st.recursive(
    st.sampled_from([H, W]) | st.integers(1, 12).map(sympy.Integer), extend, max_leaves=6
)
RELATIONS = st.sampled_from([sympy.Eq, sympy.Ne, sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge])
PLACES = [(h, w) for h in (2, 3, 4, 7, 8, 15, 32, 33) for w in (2, 5, 6, 9, 30)]


def at(expression: Any, h: int, w: int) -> Any:
    return expression.xreplace({H: sympy.Integer(h), W: sympy.Integer(w)}).doit()


def value(text: Any, h: int, w: int) -> Any:
    return expressions.evaluate(expressions.parse(str(text)), {"H": h, "W": w})


@settings(max_examples=120, deadline=None, derandomize=True)
@given(EXPRESSIONS, st.booleans())
def test_texts_have_the_same_value(expression: Any, short: bool) -> None:
    text = Writer(NAMES, short=short).expression(expression)
    for h, w in PLACES:
        assert value(text, h, w) == at(expression, h, w)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(RELATIONS, EXPRESSIONS, EXPRESSIONS), min_size=1, max_size=3))
def test_simplified_conditions_are_equivalent(parts: list[tuple[Any, Any, Any]]) -> None:
    given_ = [kind(a, b) for kind, a, b in parts]
    given_ = [each for each in given_ if each not in (sympy.true, sympy.false)]
    conditions = Conditions()
    conditions.add(given_)
    texts = Writer(NAMES).conditions(conditions)
    for h, w in PLACES:
        wanted = all(bool(at(each, h, w)) for each in given_)
        assert all(value(text, h, w) for text in texts) == wanted, (given_, texts)


SMALL = st.integers(1, 6).map(sympy.Integer)
ATOMS = (
    st.sampled_from([H, W, H * W])
    | st.builds(lambda s, k, n: ts.FloorDiv(s + k, n), st.sampled_from([H, W]), SMALL, SMALL)
    | st.builds(lambda s, k, n: ts.FloorDiv(s - k, n), st.sampled_from([H, W]), SMALL, SMALL)
    | st.builds(lambda s, k, n: ts.PythonMod(s + k, n), st.sampled_from([H, W]), SMALL, SMALL)
    | st.builds(lambda k, n: ts.FloorDiv(H, k) * ts.FloorDiv(W + 1, n), SMALL, SMALL)
)
TERMS = st.builds(lambda c, a, k: c * a + k, st.integers(1, 3), ATOMS, st.integers(-9, 30))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(RELATIONS, TERMS, TERMS | st.integers(0, 20).map(sympy.Integer)),
        min_size=1,
        max_size=3,
    )
)
def test_simplified_bounds_and_remainders_are_equivalent(parts: list[tuple[Any, ...]]) -> None:
    assert_equivalent([kind(a, b) for kind, a, b in parts])


def assert_equivalent(conditions: list[Any]) -> None:
    """Whether the simplified conditions hold for the same sizes."""
    given_ = [each for each in conditions if each not in (sympy.true, sympy.false)]
    simplified = Conditions()
    simplified.add(given_)
    texts = Writer(NAMES).conditions(simplified)
    nodes = [expressions.parse(text) for text in texts]
    compiled = sympy.lambdify((H, W), sympy.And(*given_) if given_ else sympy.true, FUNCTIONS)
    for h in range(2, 44):
        for w in (2, 3, 4, 5, 9, 14, 30):
            found = all(expressions.evaluate(node, {"H": h, "W": w}) for node in nodes)
            assert found == bool(compiled(h, w)), (given_, texts)


@pytest.mark.parametrize("divisor", [2, 3, 4, 6])
@pytest.mark.parametrize("remainder", [0, 1, 3])
@pytest.mark.parametrize("other", [2, 3, 4, 8])
def test_known_remainders(divisor: int, remainder: int, other: int) -> None:
    known = sympy.Eq(ts.PythonMod(H, divisor), remainder % divisor, evaluate=False)
    half = ts.FloorDiv(H + 5, other)
    for shift in range(-1, 2):
        assert_equivalent([known, sympy.Eq(ts.PythonMod(H + 9, other), 1, evaluate=False)])
        assert_equivalent([known, sympy.Eq(other * half, H + shift, evaluate=False)])
        assert_equivalent([known, sympy.Ge(2 * ts.FloorDiv(H + 7, divisor), half + shift + 8)])


FUNCTIONS = {
    "FloorDiv": lambda a, b: a // b,
    "PythonMod": lambda a, b: a % b,
    "Mod": lambda a, b: a % b,
}


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        (sympy.Eq(2 * ts.FloorDiv(H - 1, 2) + 2, H), ("H % 2 == 0",)),
        (ts.FloorDiv(H, 32) > 1, ("H >= 64",)),
        (sympy.Le(4, H), ("H >= 4",)),
        (sympy.Ne(ts.FloorDiv(H, 4), 0), ("H >= 4",)),
        (sympy.And(H >= 4, H >= 9, W >= 2), ("H >= 9",)),
        (sympy.Ne(96 * H, 96 * H * ts.FloorDiv(W + 3, 2)), ()),
        (sympy.Eq(ts.PythonMod(H + 6, 7), 6), ("H % 7 == 0",)),
        (sympy.Gt(H, W), ("H >= W + 1",)),
        (sympy.Eq(H, W), ("H == W",)),
        (7 * ts.FloorDiv(H + 6, 7) >= H, ()),
    ],
)
def test_conditions_as_they_are_read(condition: Any, texts: tuple[str, ...]) -> None:
    conditions = Conditions()
    conditions.add([condition])
    assert Writer(NAMES).conditions(conditions) == texts


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (ts.FloorDiv(H - 1, 2) + 1, "(H + 1)//2"),
        (ts.FloorDiv(ts.FloorDiv(H - 1, 2) + 6, 7), "(H + 11)//14"),
        (H - 1, "H - 1"),
        (7 - ts.PythonMod(H, 7), "7 - H % 7"),
        (ts.TruncToInt(ts.IntTrueDiv(H, 2)), "floor(H/2)"),
        (ts.CeilToInt(sympy.Float(0.5) * ts.ToFloat(H)), "ceil(1/2*H)"),
        (ts.ModularIndexing(H, 2, 3), "H//2 % 3"),
    ],
)
def test_expressions_as_they_are_read(expression: Any, text: str) -> None:
    assert Writer(NAMES).expression(expression) == text


def test_what_cannot_be_said_is_refused() -> None:
    writer = Writer(NAMES)
    with pytest.raises(Unexpressed, match="inexact"):
        writer.expression(ts.FloorToInt(sympy.Float(1.3) * ts.ToFloat(H)))
    with pytest.raises(Unexpressed, match="not known before"):
        writer.expression(sympy.Symbol("u0", integer=True) + 1)
