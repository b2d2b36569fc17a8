from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.expressions import (
    ExpressionError,
    Node,
    NotWholeError,
    evaluate,
    names_in,
    parse,
    to_text,
)

SIZES = {"B": 2, "C": 48, "H": 33, "W": 20}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*C", 96),
        ("ceil(H/2)", 17),
        ("floor(H/2)", 16),
        ("H//2", 16),
        ("(H + 1)//2", 17),
        ("H % 7", 5),
        ("-H % 7", 2),
        ("H/2", Fraction(33, 2)),
        ("W/2", 10),
        ("max(1, H//64, W - 19)", 1),
        ("min(H, W)", 20),
        ("2**3**2", 512),
        ("H - (W - 1)", 14),
        ("H == 33", 1),
        ("H % 2 == 0", 0),
        ("1 < W <= 20", 1),
        ("not H == W and B > 1", 1),
        ("H == W or W == 20", 1),
        ("CEIL(H/2)", 17),
    ],
)
def test_values(text: str, value: int) -> None:
    assert evaluate(parse(text), SIZES) == value


def python(text: str) -> object:
    """What Python makes of it, with true division exact."""
    names = {**{name: Fraction(size) for name, size in SIZES.items()}, "ceil": ceil, "floor": floor}
    return eval(text, {"__builtins__": {"max": max, "min": min}}, names)


def nodes() -> st.SearchStrategy[str]:
    leaf = st.one_of(st.sampled_from(["B", "C", "H", "W"]), st.integers(1, 64).map(str))

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner)
        return st.one_of(
            pair.map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            st.tuples(st.sampled_from(["ceil", "floor"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
            st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(
                lambda p: f"{p[0]}({p[1]}, {p[2]})"
            ),
        )

    return st.recursive(leaf, deeper, max_leaves=12)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(nodes())
def test_as_python_does(text: str) -> None:
    node = parse(text)
    try:
        expected = python(text)
    except ZeroDivisionError:
        with pytest.raises(NotWholeError):
            evaluate(node, SIZES)
        return
    assert evaluate(node, SIZES) == expected
    assert parse(to_text(node)) == node


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "missing"),
        ("H +", 3, "not an expression"),
        ("2*Q", 2, "unknown size 'Q'"),
        ("H + foo(W)", 4, "unknown function 'foo'"),
        ("1.5*H", 0, "not a whole number"),
        ("'H'", 0, "not a whole number"),
        ("H.real", 0, "only sizes"),
        ("H[0]", 0, "only sizes"),
        ("[H]", 0, "only sizes"),
        ("lambda: H", 0, "only sizes"),
        ("H if W else B", 0, "only sizes"),
        ("(H := 3)", 1, "only sizes"),
        ("H is W", 0, "only =="),
        ("ceil(H, 2)", 0, "one argument"),
        ("max(H)", 0, "two arguments"),
        ("W + H//0", 7, "division by zero"),
        ("H % 0", 4, "division by zero"),
        ("max(H, *W)", 7, "only sizes"),
        ("  H + Ä", 6, "unknown size 'Ä'"),
        ("H" + "+H" * 12000, 0, "longer"),
        ("(H", 0, "never closed"),
        ("H % 2 = 0", 6, "invalid syntax"),
        ("(" * 400 + "H" + ")" * 400, 200, "nested"),
        ("-" * 300 + "H", 201, "nested"),
    ],
)
def test_what_is_no_expression(text: str, position: int, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason) as caught:
        parse(text, frozenset("BCHW"))
    if reason != "longer":
        assert caught.value.position == position
        assert caught.value.pointer == (text, " " * position + "^")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch owned')",
        "().__class__",
        "open('owned', 'w')",
        "exec('1')",
        "max.__globals__",
        "f'{H}'",
        "[x for x in H]",
        "yield H",
        "await H",
    ],
)
def test_nothing_in_an_expression_runs(text: str, tmp_path: object, monkeypatch: object) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["H//(W - 20)", "H % (W - 20)", "H/(W - 20)", "H**-1", "2**65", "H**W**W"]
)
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(NotWholeError):
        evaluate(parse(text), SIZES)


def test_a_tower_of_powers_takes_no_time() -> None:
    node: Node = parse("((((2**64)**64)**64)**64)**64")
    with pytest.raises(NotWholeError):
        evaluate(node, {})


def test_names() -> None:
    assert names_in(parse("max(H, 2*W) > B and not C % 2 == 0")) == frozenset("BCHW")
