"""Exact interpolation, and when it refuses."""

from __future__ import annotations

from fractions import Fraction

import pytest

from blocktool.analysis.counts import Count
from blocktool.analysis.formulas import value
from blocktool.analysis.interpolation import Interpolation

GRID = [{"C": c, "G": g} for c in (12, 24, 48, 60, 120) for g in (1, 2, 3, 4, 6)]
POWERS = {"C": (0, 1, 2), "G": (-1, 0, 1)}


def test_finds_a_laurent_polynomial() -> None:
    over = Interpolation(GRID, POWERS)
    counts = [
        Count.of(9 * s["C"] ** 2 // s["G"] + 2 * s["C"]) * Count.unknown("B") + s["G"] for s in GRID
    ]
    found = over.count(counts)
    assert found is not None
    assert found.text() == "9*B*C**2/G + 2*B*C + G"
    held_out = {"B": 3, "C": 360, "G": 5}
    assert value(found, held_out) == 3 * (9 * 360**2 // 5 + 720) + 5


def test_fractions_are_exact() -> None:
    samples = [{"C": c} for c in (4, 8, 12, 16, 20, 24, 28)]
    over = Interpolation(samples, {"C": (0, 1, 2)})
    found = over.count([Count.of(17 * s["C"] ** 2 // 16 + 3 * s["C"]) for s in samples])
    assert found is not None
    assert found.terms == {(("C", 2),): Fraction(17, 16), (("C", 1),): 3}


@pytest.mark.parametrize("figure", [lambda c: c // 3, lambda c: max(8, c // 8), lambda c: c**4])
def test_what_is_no_such_polynomial_has_no_formula(figure: object) -> None:
    samples = [{"C": c} for c in (4, 7, 12, 16, 20, 24, 300)]
    over = Interpolation(samples, {"C": (0, 1, 2)})
    assert callable(figure)
    assert over.count([Count.of(figure(s["C"])) for s in samples]) is None


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        Interpolation([{"C": c} for c in (1, 2, 3, 4)], {"C": (0, 1, 2)})
    with pytest.raises(ValueError, match="apart"):
        Interpolation([{"C": 2}] * 8, {"C": (0, 1, 2)})
    # On three values of G every function of G is a quadratic: nothing would be checked.
    grid = [{"C": c, "G": g} for c in range(2, 12) for g in (1, 2, 3)]
    with pytest.raises(ValueError, match="no value of G"):
        Interpolation(grid, {"C": (0, 1), "G": (0, 1, 2)})


def test_as_many_values_to_check_against_as_to_solve_with() -> None:
    """Four divisors of 8 are enough for what has two powers; three are not."""
    groups = [{"G": g} for g in (1, 2, 4, 8)]
    over = Interpolation(groups, {"G": (-1, 0)})
    found = over.count([Count.of(576 // s["G"] + 16) for s in groups])
    assert found is not None
    assert found.text() == "16 + 576/G"
    assert over.count([Count.of(v) for v in (592, 304, 160, 89)]) is None
    with pytest.raises(ValueError, match="too few"):
        Interpolation(groups[:3], {"G": (-1, 0)})
