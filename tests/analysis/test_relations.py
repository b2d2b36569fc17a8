from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from blocktool.analysis.contracts import contract_text, mismatch
from blocktool.analysis.relations import Observation, find_relation
from blocktool.results.specs import TensorSpec

EXTENTS = (
    *((1, 1), (2, 2), (3, 5), (7, 7), (12, 20), (31, 31), (32, 32), (33, 33)),
    *((45, 30), (48, 40), (64, 96), (224, 224)),
)
Shape = Callable[[int, int, int], tuple[int, ...]]


def observed(shape: Shape) -> list[Observation]:
    return [
        Observation({"B": b, "H": h, "W": w}, (TensorSpec(shape(b, h, w)),))
        for (h, w), b in product(EXTENTS, (1, 2, 3))
    ]


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            lambda b, h, w: (b, 8, (h - 1) // 2 + 1, (w - 1) // 4 + 1),
            "B, 8, (H + 1)//2, (W + 3)//4",
        ),
        (lambda b, h, w: (b, 10), "B, 10"),
        (lambda b, h, w: (b, 8, h + 2, w - 0), "B, 8, H + 2, W"),
        (lambda b, h, w: (b, 8, 2 * ((h + 1) // 2), w), "B, 8, 2*((H + 1)//2), W"),
        (lambda b, h, w: (b, 8, w, h), "B, 8, W, H"),
        (lambda b, h, w: (b * h * w, 8), "B*H*W, 8"),
        (lambda b, h, w: (b, h * w + 1, 64), "B, H*W + 1, 64"),
        (lambda b, h, w: (b, 8, 2 * h - 1, 3 * w // 2), "B, 8, 2*H - 1, 3*W//2"),
        (lambda b, h, w: (b, 8, max(1, h // 32), w), "B, 8, max(1, H//32), W"),
        (lambda b, h, w: (b, 8, (h + 4 - 7) // 3 + 1, w), "B, 8, H//3, W"),
    ],
)  # fmt: skip
def test_the_formula_behind_sizes(shape: Shape, text: str) -> None:
    relation = find_relation(observed(shape))
    assert relation is not None
    assert contract_text(relation) == text


def test_what_no_formula_of_the_family_gives() -> None:
    assert find_relation(observed(lambda b, h, w: (b, h**2 % 101))) is None
    assert find_relation([]) is None


def test_one_size_that_does_not_follow_is_left_out() -> None:
    seen = observed(lambda b, h, w: (b, 8, h + (h == 33), w))
    relation = find_relation(seen)
    assert relation is not None
    assert contract_text(relation) == "B, 8, H, W"
    odd = [o for o in seen if mismatch(relation, o.outputs, o.sizes) is not None]
    assert {o.sizes["H"] for o in odd} == {33}


def test_a_batch_of_one_that_is_squeezed_away_does_not_hide_the_formula() -> None:
    relation = find_relation(observed(lambda b, h, w: (b, 10) if b > 1 else (10,)))
    assert relation is not None
    assert contract_text(relation) == "B, 10"


def test_several_outputs_keep_their_names() -> None:
    seen = [
        Observation(
            {"B": b, "N": n},
            (TensorSpec((b, n, 32), name="x"), TensorSpec((b, 4, n, n), name="weights")),
        )
        for b, n in product((1, 2, 3), (1, 2, 7, 16, 49))
    ]
    relation = find_relation(seen)
    assert relation is not None
    assert contract_text(relation) == "x: B, N, 32; weights: B, 4, N, N"


@pytest.mark.parametrize("batches", [(2,), (1, 2)])
def test_where_the_runs_leave_it_open_a_size_stays_what_it_is(batches: tuple[int, ...]) -> None:
    seen = [
        Observation({"B": b, "C": 3, "H": 32, "W": 32}, (TensorSpec((b, 8, 32, 16)),))
        for b in batches
    ]
    relation = find_relation(seen, tuple("BCHW"))
    assert relation is not None
    assert contract_text(relation) == "B, 8, H, 16"
