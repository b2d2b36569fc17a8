from __future__ import annotations

import pytest

from blocktool.analysis.contracts import (
    Mismatch,
    check_names,
    contract_text,
    mismatch,
    parse_contracts,
)
from blocktool.analysis.expressions import ExpressionError
from blocktool.results.specs import TensorSpec

SIZES = {"B": 2, "C": 32, "H": 33, "W": 16}


def compare(*texts: str, outputs: list[TensorSpec]) -> Mismatch | None:
    return mismatch(parse_contracts(texts), outputs, SIZES)


def test_an_output_as_its_contract_says() -> None:
    text = "B, 2*C, ceil(H/2), max(1, W//2)"
    assert compare(text, outputs=[TensorSpec((2, 64, 17, 8))]) is None
    assert compare(f"({text})", outputs=[TensorSpec((2, 64, 17, 8))]) is None
    assert contract_text(parse_contracts([text])) == text


def test_what_is_wrong_is_told_by_dimension() -> None:
    wrong = compare("B, 2*C, ceil(H/2), W//2", outputs=[TensorSpec((2, 64, 16, 8))])
    assert wrong == Mismatch(
        "(2, 64, 17, 8) = B, 2*C, ceil(H/2), W//2",
        "(2, 64, 16, 8)",
        "output: ceil(H/2) is 17, got 16 (dim 2)",
    )
    wrong = compare("B, 10", outputs=[TensorSpec((2, 11))])
    assert wrong is not None
    assert wrong.message == "output: dim 1 is 11, not 10"
    wrong = compare("B, C", outputs=[TensorSpec((2, 32, 1, 1))])
    assert wrong is not None
    assert wrong.message == "output: 4 dimensions, expected 2"


def test_a_size_that_is_not_whole_is_no_match() -> None:
    wrong = compare("B, C, H/8, W/8", outputs=[TensorSpec((2, 32, 4, 2))])
    assert wrong is not None
    assert "H/8 is 33/8, not a whole number" in wrong.message


def test_outputs_by_name_and_in_turn() -> None:
    outputs = [
        TensorSpec((2, 8, 4, 2), name="p3"),
        TensorSpec((2, 8, 2, 1), name="levels.p4"),
        TensorSpec((2, 5), name="scores"),
    ]
    assert compare("levels.p4: B,8,2,1; p3: B,8,H//8,W//8", outputs=outputs) is None
    assert compare("p3: B,8,H//8,W//8", "scores: B,5", outputs=outputs) is None
    assert compare("B,8,4,2", "B,8,2,1", "B,5", outputs=outputs) is None
    assert compare("2: B,5", outputs=outputs) is None
    wrong = compare("p5: B, 8", outputs=outputs)
    assert wrong is not None
    assert wrong.message == "there is no output 'p5'"
    assert wrong.actual == "outputs: p3, levels.p4, scores"


def test_a_scalar() -> None:
    assert compare("scalar", outputs=[TensorSpec(())]) is None
    assert compare("scalar", outputs=[TensorSpec((1,))]) is not None


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("B, C,, H", 5),
        ("B, H < 3", 2),
        ("B, foo(H)", 3),
        ("p3: B, H +", 10),
        ("B; p4: C +", 10),
        ("p: B; p: C", 0),
    ],
)
def test_the_place_of_a_mistake(text: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_contracts([text])
    assert caught.value.position == position
    assert caught.value.text == text


def test_the_place_of_an_unknown_name() -> None:
    texts = ["Hx1: B, C", "p3: B, Hx"]
    with pytest.raises(ExpressionError, match="unknown size 'Hx'") as caught:
        check_names(parse_contracts(texts), texts, frozenset("BCHW"))
    assert (caught.value.text, caught.value.position) == ("p3: B, Hx", 7)
    assert caught.value.hint == "did you mean H?"
