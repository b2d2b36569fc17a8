from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from blocktool.analysis.where import Seen, failing_rule

EXTENTS = (
    *((1, 1), (2, 2), (3, 5), (7, 7), (8, 8), (12, 20), (16, 24), (31, 31), (32, 32)),
    *((45, 30), (48, 40), (64, 96), (32, 31), (31, 32)),
)


def seen(fails: Callable[[int, int, int, str, str], bool]) -> list[Seen]:
    return [
        Seen({"B": b, "H": h, "W": w}, dtype, mode, fails(b, h, w, dtype, mode))
        for (h, w), b, dtype, mode in product(
            EXTENTS, (1, 2), ("float32", "bfloat16"), ("eval", "train")
        )
    ]


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda b, h, w, d, m: True, "always"),
        (lambda b, h, w, d, m: h % 2 or w % 2, "H or W is odd"),
        (lambda b, h, w, d, m: w % 2, "W is odd"),
        (lambda b, h, w, d, m: h % 8 or w % 8, "H or W is no multiple of 8"),
        (lambda b, h, w, d, m: h != w, "H differs from W"),
        (lambda b, h, w, d, m: b == 1, "B is 1"),
        (lambda b, h, w, d, m: b > 1, "B is above 1"),
        (lambda b, h, w, d, m: m == "train", "in train mode"),
        (lambda b, h, w, d, m: d == "bfloat16", "in bfloat16"),
        (lambda b, h, w, d, m: h < 5 or w < 5, "H or W is at most 3 (7 holds)"),
        (lambda b, h, w, d, m: h > 31 or w > 31, "H or W is at least 32"),
        (lambda b, h, w, d, m: h > 50 or w > 50, "H or W is at least 96 (48 holds)"),
        (lambda b, h, w, d, m: h != 32 or w != 32, "H or W is not 32"),
        (lambda b, h, w, d, m: m == "train" and b == 1, "in train mode where B is 1"),
        (lambda b, h, w, d, m: h == 31 and w == 32 and b == 1, None),
    ],
)
def test_the_rule_that_separates(
    fails: Callable[[int, int, int, str, str], bool], words: str | None
) -> None:
    assert failing_rule(seen(lambda *args: bool(fails(*args)))) == words


def test_nothing_fails() -> None:
    assert failing_rule(seen(lambda *_: False)) is None


def test_a_single_case_shows_no_rule() -> None:
    assert failing_rule([Seen({"B": 1}, "float32", "eval", True)]) is None
