"""Counts against plain evaluation of the same expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.count_reading import Reader
from blocktool.analysis.counts import Count
from blocktool.analysis.expressions import Call, Name, Node, Number, Operation, evaluate, parse
from blocktool.analysis.formulas import undominated, value
from blocktool.analysis.growth import Growth

NAMES = ("B", "H", "W")


def sums(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(Operation, st.sampled_from("+-*"), children, children)


def quotients(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(
        Operation, st.sampled_from(["//", "%"]), children, st.integers(1, 9).map(Number)
    )


def calls(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(
        Call, st.sampled_from(["max", "min"]), st.tuples(children, children)
    ) | st.builds(
        lambda function, left, n: Call(function, (Operation("/", left, Number(n)),)),
        st.sampled_from(["ceil", "floor"]),
        children,
        st.integers(1, 9),
    )


LEAVES = st.sampled_from(NAMES).map(Name) | st.integers(0, 20).map(Number)
NODES = st.recursive(
    LEAVES, lambda children: sums(children) | quotients(children) | calls(children), max_leaves=7
)
SIZES = st.fixed_dictionaries({name: st.integers(2, 60) for name in NAMES})


@settings(max_examples=150, deadline=None, derandomize=True)
@given(NODES, st.lists(SIZES, min_size=3, max_size=3))
def test_a_count_has_the_value_of_its_expression(node: Node, places: list[dict[str, int]]) -> None:
    count = Reader(Growth(dict.fromkeys(NAMES, 2)).choose).read(node)
    for sizes in places:
        wanted = evaluate(node, sizes)
        assert value(count, sizes) == wanted
        assert evaluate(parse(count.text()), sizes) == wanted


@settings(max_examples=150, deadline=None, derandomize=True)
@given(NODES, NODES)
def test_never_below_is_so(a: Node, b: Node) -> None:
    reader = Reader()
    growth = Growth({"B": 2, "H": 5, "W": 3})
    if growth.never_below(reader.read(a), reader.read(b)):
        for step in range(60):
            sizes = {"B": 2 + step % 3, "H": 5 + 7 * step % 41, "W": 3 + 11 * step % 29}
            assert evaluate(a, sizes) >= evaluate(b, sizes)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [
        ("7*((H//4 + 6)//7)", "H//4"),
        ("H", "(H + 1)//2"),
        ("2*((H + 1)//2)", "H"),
        ("B*H*W", "B*((H + 1)//2)*((W + 1)//2)"),
        ("max(H, W)", "H"),
        ("4*B*H*W", "4*B*(H - 1)*(W - 1)"),
    ],
)
def test_what_is_known_to_be_larger(larger: str, smaller: str) -> None:
    reader = Reader()
    growth = Growth(dict.fromkeys(NAMES, 2))
    assert growth.never_below(reader.read(parse(larger)), reader.read(parse(smaller)))
    assert not growth.never_below(reader.read(parse(smaller)), reader.read(parse(larger)) + 1)


def test_quotients_that_differ_by_a_number_are_one_atom() -> None:
    reader = Reader()
    first = reader.read(parse("(H + 1)//2"))
    assert reader.read(parse("(H - 1)//2 + 1")) == first
    assert reader.read(parse("(H + 3)//2")).text() == "(H + 1)//2 + 1"
    assert reader.read(parse("(2*H + 6)//4")).text() == "(2*H + 2)//4 + 1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4*(2176*H*W*B)", "8704*B*H*W"),
        ("2*C + 9*C**2", "9*C**2 + 2*C"),
        ("B*H*W + 3*B*H + 2*B*W", "B*(H*W + 3*H + 2*W)"),
        ("3 - H", "3 - H"),
        ("H - H", "0"),
        ("(H + 1)*(H - 1)", "H**2 - 1"),
        ("B*((H + 1)//2)*W", "B*W*((H + 1)//2)"),
    ],
)
def test_text(text: str, shown: str) -> None:
    assert Reader().read(parse(text)).text() == shown


def test_fractions_and_negative_powers() -> None:
    count = Count({(("C", 2), ("G", -1)): 9, (("C", 1),): 2})
    assert count.text() == "9*C**2/G + 2*C"
    assert value(count, {"C": 12, "G": 4}) == 9 * 36 + 24
    assert Count({(("C", 1),): 3}).divided(4).text() == "3*C/4"
    growth = Growth({"C": 16, "G": 1})
    assert growth.never_below(count, Count.of(1))


def test_undominated_keeps_every_maximum() -> None:
    reader = Reader()
    texts = ("3*B*H + 40", "4*B*H", "2*B*H + 100", "2*B*H + 60", "B*H", "B*((H + 1)//2) + 99")
    counts = [reader.read(parse(text)) for text in texts]
    kept = undominated(counts, {"B": 2, "H": 2})
    assert len(kept) == 3
    for height in range(2, 90):
        sizes = {"B": 2, "H": height}
        assert max(value(c, sizes) for c in kept) == max(value(c, sizes) for c in counts)
