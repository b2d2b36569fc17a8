"""Errors of outputs, against arithmetic by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from blocktool.measure.comparing import Incomparable, variant_error

REFERENCE = torch.tensor([3.0, -4.0], dtype=torch.float64)


def error(reference: Any, got: Any, eager: Any = None) -> Any:
    return variant_error("float64", reference, reference if eager is None else eager, got)


def test_by_hand() -> None:
    found = error(REFERENCE, torch.tensor([3.0, -3.5]), eager=torch.tensor([3.0, -4.125]))
    assert found.reference == "float64"
    assert found.max_relative_error == pytest.approx(0.5 / 4)
    assert found.sqnr_db == pytest.approx(20 * math.log10(5 / 0.5))
    assert found.eager_relative_error == pytest.approx(0.125 / 4)
    assert found.same_top1 is None


def test_the_worst_of_all_outputs() -> None:
    reference = {"a": REFERENCE, "b": [REFERENCE, torch.tensor([7])]}
    got = {"a": REFERENCE + 0.1, "b": [REFERENCE + torch.tensor([0.0, 0.4]), torch.tensor([9])]}
    found = error(reference, got)
    assert found.max_relative_error == pytest.approx(0.1)
    assert found.sqnr_db == pytest.approx(20 * math.log10(5 / 0.4))


def test_equal() -> None:
    found = error(REFERENCE, REFERENCE.clone())
    assert (found.max_relative_error, found.sqnr_db) == (0.0, None)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_not_finite(wrong: float) -> None:
    got = torch.tensor([3.0, wrong])
    found = error([REFERENCE, REFERENCE], [REFERENCE, got], eager=[got, REFERENCE])
    assert found.max_relative_error is None
    assert found.sqnr_db is None
    assert found.eager_relative_error is None


def test_zeros() -> None:
    zeros = torch.zeros(3)
    assert error(zeros, zeros.half()).max_relative_error == 0.0
    # Nothing is relative to zeros: it is the difference itself.
    assert error(zeros, torch.tensor([0.0, 1e-30, -1e-7])).max_relative_error == pytest.approx(1e-7)
    assert error(torch.zeros(0), torch.zeros(0)).max_relative_error == 0.0
    tiny = torch.full((1,), 1e-160, dtype=torch.float64)
    assert error(tiny, torch.full((1,), 1e150, dtype=torch.float64)).max_relative_error > 1e300
    both = error([zeros, REFERENCE], [zeros, REFERENCE * 1.25])
    assert both.max_relative_error == pytest.approx(0.25)


def test_complex_outputs() -> None:
    found = error(torch.tensor([3 + 4j]), torch.tensor([3 + 3j]))
    assert found.max_relative_error == pytest.approx(0.2)


@pytest.mark.parametrize("got", [REFERENCE[:1], (REFERENCE, REFERENCE), {"a": REFERENCE}])
def test_another_structure(got: Any) -> None:
    with pytest.raises(Incomparable, match="structure or shape"):
        error(REFERENCE, got)


def test_same_class() -> None:
    reference = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
    got = torch.tensor([[0.4, 0.6], [0.1, 0.2], [0.2, 0.8], [0.4, 0.6]])
    assert error(reference, got).same_top1 == pytest.approx(2 / 3)  # the last has no largest class
    assert error([reference, reference], [reference, got]).same_top1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3, 2)])
def test_no_classes(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    assert error(x, x).same_top1 is None


def test_only_ties() -> None:
    assert error(torch.ones(4, 3), torch.rand(4, 3)).same_top1 is None
