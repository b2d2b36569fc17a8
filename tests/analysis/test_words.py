"""Conditions of a set say exactly the set, and read well."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.expressions import evaluate, parse
from blocktool.analysis.size_sets import EVERY, NONE, finite, interval, size_set
from blocktool.analysis.words import conditions, in_words

tail = st.tuples(st.integers(1, 9), st.sets(st.integers(0, 8)), st.integers(1, 40))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(tail, st.sets(st.integers(1, 60), max_size=9), st.sets(st.integers(1, 60), max_size=9))
def test_conditions_say_exactly_the_set(
    tail: tuple[int, set[int], int], added: set[int], removed: set[int]
) -> None:
    modulus, residues, start = tail

    def member(size: int) -> bool:
        inside = size >= start and size % modulus in residues
        return (inside or size in added) and size not in removed

    pattern = " or ".join(f"H % {modulus} == {each}" for each in residues) or "H < 1"
    sizes = size_set(parse(pattern)) & interval(start) | finite(added)
    texts = conditions(sizes - finite(removed), "H")
    nodes = [parse(text) for text in texts]
    for size in range(1, 300):
        said = all(evaluate(node, {"H": size}) for node in nodes)
        assert said == member(size), (size, texts)


@pytest.mark.parametrize(
    ("condition", "shortest", "words"),
    [
        ("H % 16 == 0 and H >= 1", ["H % 16 == 0"], ["H is a multiple of 16"]),
        ("H % 4 == 0 and H % 6 == 0", ["H % 12 == 0"], ["H is a multiple of 12"]),
        ("2*((H - 1)//2) + 2 == H", ["H % 2 == 0"], ["H is even"]),
        ("(H + 1) % 2 == 0", ["H % 2 == 1"], ["H is odd"]),
        ("H > 74", ["H >= 75"], ["H is at least 75"]),
        ("H*H == 196", ["H == 14"], ["H is 14"]),
        ("H % 7 == 0 and H >= 14", ["H % 7 == 0", "H >= 14"], None),
        ("H % 7 != 0", ["H % 7 != 0"], ["H is not a multiple of 7"]),
        ("H % 7 == 5", ["H % 7 == 5"], ["H is 5 more than a multiple of 7"]),
        (
            "H % 16 >= 5",
            ["H % 16 >= 5"],
            ["the remainder of H divided by 16 is at least 5"],
        ),
        ("H >= 3 and H <= 8", ["H >= 3", "H <= 8"], ["H is at least 3", "H is at most 8"]),
        ("H == 7 or H == 14", ["H == 7 or H == 14"], ["H is 7 or 14"]),
        ("H == 3 or H == 7 or H == 14", ["H == 3 or H == 7 or H == 14"], ["H is 3, 7 or 14"]),
        ("H != 5 and H >= 3", ["H >= 3", "H != 5"], ["H is at least 3", "H is not 5"]),
        (
            "(H - 1) % 16 >= 12",
            ["(H + 3) % 16 <= 3"],
            ["H is a multiple of 16 or at most 3 less"],
        ),
        ("(H + 3) % 16 <= 5", ["(H + 3) % 16 <= 5"], None),
        ("H % 5 == 1 or H % 5 == 3", ["H % 5 == 1 or H % 5 == 3"], None),
        ("2 <= H % 5 <= 3", ["2 <= H % 5 <= 3"], None),
        (
            "H % 2 == 0 or H == 5",
            ["H % 2 == 0 or H == 5"],
            ["H is even or 5"],
        ),
    ],
)
def test_the_shortest_form_and_its_words(
    condition: str, shortest: list[str], words: list[str] | None
) -> None:
    found = conditions(size_set(parse(condition)), "H")
    assert list(found) == shortest
    if words is not None:
        assert [in_words(text) for text in found] == words


def test_all_sizes_and_none() -> None:
    assert conditions(EVERY, "H") == ()
    assert conditions(NONE, "H") == ("H < 1",)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("H == W", "H equals W"),
        ("W >= H", "W is at least H"),
        ("H*W == 196", "H*W is 196"),
        ("H*W % 49 == 0", "H*W % 49 is 0"),
        ("H == W or H % 2 == 0", "H equals W, or H is even"),
        ("not H == W", "not: H equals W"),
        ("4 <= H <= 8 or H == W", "H is from 4 to 8, or H equals W"),
        ("H % 2 == 0 and (H == W or W >= 9)", "H is even and (H equals W, or W is at least 9)"),
        (
            "(H + 3) % 16 <= 3 or H <= 4",
            "H is a multiple of 16 or at most 3 less, or H is at most 4",
        ),
        ("H == 2*W", "H equals 2*W"),
    ],
)
def test_words_of_relations(condition: str, words: str) -> None:
    assert in_words(condition) == words
