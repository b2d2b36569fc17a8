"""Comparisons in one form hold where they did, and equal ones have equal forms."""

from __future__ import annotations

from itertools import product

import pytest

from blocktool.analysis.differences import normal
from blocktool.analysis.expressions import Comparison, evaluate, parse, to_text


def read(text: str) -> Comparison:
    node = parse(text)
    assert isinstance(node, Comparison)
    return node


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        (["H > W", "H >= W + 1", "W < H", "W <= H - 1", "W + 1 <= H", "0 < H - W"], "H == W"),
        (["H <= W", "W >= H", "H < W + 1", "W - H >= 0"], "H == W"),
        (["H*W == 196", "196 == W*H", "H*W - 196 == 0", "H*W != 196"], "H*W == 196"),
        (["H*W > 3", "H*W >= 4", "4 <= W*H", "3 - H*W < 0"], "H*W == 4"),
        (["49*(H//7)*(W//7) == H*W", "H*W == (W//7)*49*(H//7)"], None),
        (["H + 5 <= W", "W - H >= 5", "H - W < -4"], None),
        (["H - W >= -3", "H + 4 > W", "W <= H + 3"], None),
        (["(H + W)**2 >= 1", "H*H + 2*H*W + W*W > 0"], "H*H + 2*H*W + W*W == 0"),
        (["max(H, W) % 3 == 1", "1 == max(H, W) % 3"], None),
    ],
)
def test_one_form(texts: list[str], key: str | None) -> None:
    forms = [normal(read(text)) for text in texts]
    found = forms[0]
    assert found is not None
    assert {form[0] for form in forms if form is not None} == {found[0]}
    assert None not in forms
    if key is not None:
        assert to_text(found[0]) == key
    for text, form in zip(texts, forms, strict=True):
        assert form is not None
        sides, signs = form
        for h, w in product(range(1, 24), repeat=2):
            sizes = {"H": h, "W": w}
            left, right = evaluate(sides.left, sizes), evaluate(sides.right, sizes)
            sign = (left > right) - (left < right)
            assert (sign in signs) == bool(evaluate(read(text), sizes)), (text, sizes)


def test_what_need_not_be_whole_has_no_such_form() -> None:
    assert normal(read("H/2 > W")) is None
    assert normal(read("(H/2) % 3 > W")) is None
    assert normal(read("H - H < 3")) is None
