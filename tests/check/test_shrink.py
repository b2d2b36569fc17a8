from __future__ import annotations

from blocktool.check.plan import PlannedCase
from blocktool.check.shrink import alike, shrink
from blocktool.results.shapes import Failed


def failure(case: PlannedCase) -> Failed | None:
    """Fails where H is odd and W above 4, in the same way but for the numbers."""
    if case.sizes["H"] % 2 and case.sizes["W"] > 4:
        return Failed("error", f"cannot halve {case.sizes['H']}", module="down")
    return Failed("grad", "another failure") if case.sizes["B"] == 1 else None


def test_the_smallest_that_fails_in_the_same_way() -> None:
    case = PlannedCase({"B": 3, "H": 33, "W": 224}, "float32", "eval")
    first = failure(case)
    assert first is not None
    smallest, failed = shrink(case, first, failure)
    assert smallest.sizes == {"B": 1, "H": 1, "W": 5}
    assert (smallest.dtype, smallest.mode) == ("float32", "eval")
    assert failed.message == "cannot halve 1"


def test_a_least_size_between_the_steps_is_found() -> None:
    def fails(case: PlannedCase) -> Failed | None:
        return Failed("error", "too long") if case.sizes["N"] > 70 else None

    case = PlannedCase({"B": 2, "N": 97}, "float32", "eval")
    smallest, _ = shrink(case, Failed("error", "too long"), fails)
    assert smallest.sizes == {"B": 1, "N": 71}


def test_what_fails_otherwise_is_another_cause() -> None:
    failed = Failed("error", "size 33", module="a")
    assert alike(failed, Failed("error", "size 7", module="a"))
    assert not alike(failed, Failed("error", "size 7", module="b"))
    assert not alike(failed, Failed("error", "length 7", module="a"))
    assert not alike(failed, Failed("grad", "size 7", module="a"))


def test_a_case_that_fails_by_chance_ends_after_some_runs() -> None:
    runs = 0

    def never_again(case: PlannedCase) -> Failed | None:
        nonlocal runs
        runs += 1
        return None

    case = PlannedCase({f"D{i}": 4096 for i in range(20)}, "float32", "eval")
    smallest, _ = shrink(case, Failed("error", "x"), never_again)
    assert smallest == case
    assert runs <= 130
