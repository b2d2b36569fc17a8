"""Expressions and conditions of one size, for tests of the algebra."""

from __future__ import annotations

from hypothesis import strategies as st

number = st.sampled_from("1 2 3 4 6 7 8".split())
size_expression = st.recursive(
    st.sampled_from(["H", "H", "H", "1", "3", "7", "40"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, st.sampled_from(["//", "%"]), number).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(st.sampled_from(["ceil", "floor"]), inner, number).map(
            lambda p: f"{p[0]}({p[1]}/{p[2]})"
        ),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
    ),
    max_leaves=6,
)
comparison = st.tuples(
    size_expression, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), size_expression
).map(" ".join)
condition = st.recursive(
    comparison,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda p: f"(not {p})"),
    ),
    max_leaves=3,
)
