from __future__ import annotations

from collections.abc import Callable

import pytest

from blocktool.measure.max_batch import MOST, Found, find_max_batch
from blocktool.results.profile import TriedBatch


def searched(
    real: Callable[[int], int], said: Callable[[int], int | None], limit: int, *, seen: bool = True
) -> Found:
    """``real`` and ``said`` give the bytes of a batch; without ``seen`` a failure shows no peak."""

    def run(batch: int) -> TriedBatch:
        peak = real(batch)
        fits = peak <= limit
        return TriedBatch(batch, fits, peak if fits or seen else None, None)

    return find_max_batch(said, run, limit)


def line(fixed: int, item: int) -> Callable[[int], int]:
    return lambda batch: fixed + item * batch


@pytest.mark.parametrize("largest", [1, 2, 3, 7, 32, 53, 199])
@pytest.mark.parametrize("seen", [True, False])
def test_an_exact_prediction_takes_two_runs(largest: int, seen: bool) -> None:
    peak = line(1000, 37)
    found = searched(peak, peak, peak(largest) + 5, seen=seen)
    assert (found.predicted, found.batch, found.bounded) == (largest, largest, True)
    assert [tried.batch for tried in found.tried] == [largest, largest + 1]
    assert [tried.predicted_peak_bytes for tried in found.tried] == [
        peak(largest),
        peak(largest + 1),
    ]


@pytest.mark.parametrize("ratio", [0.5, 0.8, 0.97, 1.03, 1.3, 2.5])
@pytest.mark.parametrize("seen", [True, False])
def test_a_wrong_prediction_is_corrected_by_runs(ratio: float, seen: bool) -> None:
    real = line(1000, 37)
    found = searched(real, lambda batch: int(ratio * real(batch)), real(100), seen=seen)
    assert (found.batch, found.bounded) == (100, True)
    assert len(found.tried) <= 5
    batches = [tried.batch for tried in found.tried]
    assert len(set(batches)) == len(batches)


def test_peaks_with_a_kink() -> None:
    def peak(batch: int) -> int:
        return max(50_000 + 100 * batch, 900 * batch)

    found = searched(peak, peak, peak(160))
    assert (found.predicted, found.batch, found.bounded) == (160, 160, True)


@pytest.mark.parametrize("largest", [40, 60, 64, 80, 160])
@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.1])
def test_a_kink_and_a_wrong_prediction(largest: int, ratio: float) -> None:
    def peak(batch: int) -> int:
        return max(50_000 + 100 * batch, 900 * batch)

    found = searched(peak, lambda batch: int(ratio * peak(batch)), peak(largest), seen=False)
    assert (found.batch, found.bounded) == (largest, True)
    assert len(found.tried) <= 4


def test_a_batch_is_predicted_once_and_few_are() -> None:
    asked: list[int] = []

    def said(batch: int) -> int:
        asked.append(batch)
        return 900 + 30 * batch

    found = searched(line(1000, 37), said, 1000 + 37 * 150)
    assert found.batch == 150
    assert len(set(asked)) == len(asked) <= 12


def test_it_comes_to_an_end_where_nothing_is_measured() -> None:
    def run(batch: int) -> TriedBatch:
        return TriedBatch(batch, batch <= 77, None, None)

    found = find_max_batch(lambda batch: None, run, 1000)
    assert (found.batch, found.bounded) == (77, True)
    assert len(found.tried) <= 16


def test_large_batches_are_found_to_half_a_percent() -> None:
    peak = line(10_000, 3)
    found = searched(peak, peak, peak(100_000))
    assert found.bounded
    assert 99_500 <= found.batch <= 100_000
    assert len(found.tried) <= 4


def test_nothing_fits() -> None:
    found = searched(line(1000, 10), line(1000, 10), 500)
    assert (found.predicted, found.batch, found.bounded) == (0, 0, True)
    assert [tried.batch for tried in found.tried] == [1]


def test_everything_fits() -> None:
    found = searched(line(0, 1), line(0, 1), 1 << 60)
    assert found.batch == MOST
    assert not found.bounded


def test_without_a_prediction() -> None:
    found = searched(line(1000, 37), lambda batch: None, 1000 + 37 * 21)
    assert (found.predicted, found.batch, found.bounded) == (None, 21, True)


@pytest.mark.parametrize("largest", [2, 3, 40])
def test_a_least_batch(largest: int) -> None:
    real = line(1000, 37)

    def peak(batch: int) -> int:
        assert batch >= 2, "it refuses a single item"
        return real(batch)

    def run(batch: int) -> TriedBatch:
        return TriedBatch(batch, peak(batch) <= real(largest), peak(batch), None)

    found = find_max_batch(peak, run, real(largest), 2)
    assert (found.predicted, found.batch, found.bounded) == (largest, largest, True)
    nothing = find_max_batch(peak, lambda batch: TriedBatch(batch, False, None, None), 900, 2)
    assert (nothing.batch, [tried.batch for tried in nothing.tried]) == (0, [2])
