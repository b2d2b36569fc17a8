"""What a proof makes of the ways that it is told of; the modules are made up, without torch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from blocktool.analysis.contracts import parse_contracts
from blocktool.analysis.expressions import evaluate, parse
from blocktool.analysis.ranges import OverdueError, Range, UndecidedError, until
from blocktool.analysis.size_sets import size_set
from blocktool.check.explore import Budget, explore
from blocktool.check.prove import prove
from blocktool.results.shapes import Alternative, Proof
from blocktool.results.symbolic import SymbolicRun, SymbolicTensor

INPUTS = (SymbolicTensor(("H", "W")),)
BASE = {"H": 32, "W": 32}


@dataclass(frozen=True)
class Way:
    """Where ``guards`` hold (and are sure: ``assumed``), ``output`` comes out or ``error``."""

    guards: tuple[str, ...]
    output: str | None
    assumed: tuple[str, ...] = ()
    error: str | None = None
    limit: str | None = None


def follow(ways: Sequence[Way], seen: list[dict[str, int]] | None = None) -> Callable[..., Any]:
    """A run with symbols that takes the first way whose guards hold at the hints."""

    def run(hints: dict[str, int]) -> SymbolicRun:
        if seen is not None:
            seen.append(hints)
        ones = tuple(f"{name} == 1" for name, size in hints.items() if size == 1)
        for way in ways:
            if all(evaluate(parse(text), hints) for text in way.guards):
                shape = tuple(way.output.split(", ")) if way.output else ()
                return SymbolicRun(
                    hints=dict(hints),
                    inputs=INPUTS,
                    outputs=(SymbolicTensor(shape),) if way.output else (),
                    guards=(*ones, *way.guards),
                    assumptions=way.assumed,
                    error=way.error if way.output or way.limit else way.error or "ValueError",
                    limit=way.limit,
                )
        raise AssertionError(f"no way at {hints}")

    return run


def numeric(ways: Sequence[Way]) -> Callable[[Mapping[str, int]], Any]:
    """The same with numbers."""

    def run(sizes: Mapping[str, int]) -> Any:
        for way in ways:
            if all(evaluate(parse(text), sizes) for text in way.guards):
                if way.output is None:
                    return way.error or "ValueError"
                return (tuple(evaluate(parse(text), sizes) for text in way.output.split(", ")),)
        raise AssertionError(f"no way at {sizes}")

    return run


def proof_of(
    ways: Sequence[Way], *, truth: Sequence[Way] | None = None, expect: str = "", **more: Any
) -> Proof:
    return prove(
        follow(ways),
        INPUTS,
        BASE,
        numeric=numeric(truth or ways),
        contract=parse_contracts([expect]) if expect else None,
        **more,
    )


EVEN = (
    Way(("H % 2 == 0",), "H//2, W"),
    Way(("H % 2 != 0",), None, error="RuntimeError: odd"),
)


def test_an_error_bounds_the_sizes() -> None:
    proof = proof_of(EVEN)
    assert proof.verdict == "proved"
    assert proof.constraints == ("H % 2 == 0",)
    assert proof.output == "H//2, W"
    (condition,) = proof.conditions
    assert condition.words == "H is even"
    assert condition.sampled_inside > 3
    assert condition.sampled_outside > 3
    assert any(re.fullmatch(r"at H=\d*[13579], W=\d+: RuntimeError: odd", n) for n in proof.notes)


def test_runs_that_say_otherwise_are_contradictions() -> None:
    liar = (Way((), "H//2, W"),)
    proof = proof_of(liar, truth=EVEN)
    assert proof.verdict == "not proved"
    assert proof.contradictions
    assert "raises RuntimeError: odd" in proof.contradictions[0]
    wrong_output = proof_of((Way((), "H, W"),), truth=(Way((), "H, W + H//40"),))
    assert wrong_output.verdict == "not proved"
    assert wrong_output.contradictions


def test_a_limit_is_named_and_never_holds() -> None:
    nothing = proof_of((Way((), None, limit="aten.nonzero cannot be traced"),))
    assert (nothing.verdict, nothing.output) == ("not proved", None)
    assert nothing.reason == "aten.nonzero cannot be traced"
    somewhere = (
        Way(("H >= 9",), "H, W"),
        Way(("H < 9",), "H, W", limit="aten.nonzero cannot be traced"),
    )
    proof = proof_of(somewhere, truth=(Way((), "H, W"),))
    assert proof.verdict == "not proved"
    assert proof.reason == "at some sizes (H=8, W=32): aten.nonzero cannot be traced"


@pytest.mark.parametrize(
    ("small", "constraints"),
    [
        (Way(("H < 9",), "H, W"), ()),
        (Way(("H < 4",), None), ("H >= 4",)),
        (Way(("H == 3",), None), ("H != 3",)),
    ],
)
def test_small_sizes_are_run_where_symbols_are_not_sure(
    small: Way, constraints: tuple[str, ...]
) -> None:
    rough = (Way((), "H, W", assumed=("H >= 9",)),)
    truth = (small, Way((), "H, W"))
    proof = proof_of(rough, truth=truth, budget=Budget(runs=1))
    assert proof.constraints == constraints
    assert proof.verdict == "proved"
    (note,) = [note for note in proof.notes if note.startswith("followed")]
    assert note == (
        "followed with symbols for H >= 9 and W >= 2; every smaller size was run with numbers"
    )


def test_small_sizes_that_no_rule_explains_are_not_proved() -> None:
    rough = (Way((), "H, W", assumed=("H >= 9", "W >= 9")),)
    joined = (Way(("H <= 5", "W <= 5"), None), Way((), "H, W"))
    proof = proof_of(rough, truth=joined, budget=Budget(runs=1))
    assert proof.verdict == "not proved"
    assert "it runs by the conditions, but raises ValueError" in (proof.reason or "")
    other_output = (Way(("H == 3",), "H, W + 1"), Way((), "H, W"))
    proof = proof_of(rough, truth=other_output, budget=Budget(runs=1))
    assert proof.verdict == "not proved"
    assert re.match(r"at H=3, W=\d+ the output is ", proof.reason or ""), proof.reason


def test_a_spent_budget_is_said() -> None:
    many = tuple(Way((f"H % 5 == {r}",), f"H + {r}, W") for r in range(5))
    proof = proof_of(many, budget=Budget(runs=2))
    assert proof.verdict == "not proved"
    assert proof.reason is not None
    assert proof.reason.startswith("not every size was followed after 2 runs, for example H=")
    large = (Way(("H <= 900",), "H, W"), Way(("H > 900",), "H, W"))
    half = proof_of((large[0], Way(("H > 900",), "H, W")), budget=Budget(runs=1))
    assert half.verdict == "not proved"


@pytest.mark.parametrize(
    ("expect", "verdict", "reason"),
    [
        ("H//2, W", "proved", None),
        ("H/2, W", "proved", None),
        ("ceil(H/2), W", "proved", None),
        ("H - H//2, W", "proved", None),
        ("H//2, K*W", "refuted", r"at H=\d+, W=\d+ the output is \(.*\), expected \(.*\) = "),
        ("H//2, H", "refuted", "expected"),
        ("max(H//2, 4), W", "refuted", r"at H=[246], "),
        ("H//2, W, 1", "refuted", "expected"),
    ],
)
def test_a_contract_follows_or_has_a_counterexample(
    expect: str, verdict: str, reason: str | None
) -> None:
    proof = proof_of(EVEN, expect=expect, constants={"K": 2})
    assert proof.verdict == verdict, proof.reason
    if reason is None:
        assert proof.reason is None
    else:
        assert re.search(reason, proof.reason or ""), proof.reason


def test_a_contract_only_for_some_sizes() -> None:
    halves = (Way((), "(H + 1)//2, W"),)
    assert proof_of(halves, expect="H/2, W").verdict == "refuted"
    assert proof_of(halves, expect="H/2, W", where="H % 2 == 0").verdict == "proved"


def test_what_is_beyond_the_algebra_is_not_proved() -> None:
    # The period of all together, 323323, is beyond bounds; that of each alone is not.
    coprime = [f"H % {prime} != 0" for prime in (7, 11, 13, 17, 19)]
    ways = (
        Way(tuple(coprime), "H, W"),
        Way((f"not ({' and '.join(coprime)})",), None, error="ValueError"),
    )
    proof = proof_of(ways)
    assert proof.verdict == "not proved"
    assert "period of 323323" in (proof.reason or ""), proof.reason


def test_a_dimension_with_one_size_is_fixed() -> None:
    ways = (
        Way(("H == 32",), "H*W, 2"),
        Way(("H != 32",), None, error="AssertionError: 32 only"),
    )
    proof = proof_of(ways)
    assert proof.fixed == {"H": 32}
    assert proof.constraints == ("H == 32",)
    assert proof.output == "32*W, 2"


def test_ways_with_one_formula_become_one() -> None:
    padded = (
        Way(("H % 7 == 0",), "H, W"),
        Way(("H % 7 != 0", "H < 300"), "H + 7 - H % 7, W"),
        Way(("H % 7 != 0", "H >= 300"), "((H + 6)//7)*7, W"),
    )
    proof = proof_of(padded)
    assert (proof.verdict, proof.constraints) == ("proved", ())
    assert proof.output == "7*ceil(H/7), W"
    assert not any("the output" in note for note in proof.notes)


def test_joined_conditions() -> None:
    square = (Way(("H == W",), "H, W"), Way(("H != W",), None))
    assert proof_of(square).constraints == ("H == W",)
    area = (Way(("H*W == 1024",), "H, W"), Way(("H*W != 1024",), None))
    assert proof_of(area).constraints == ("H*W == 1024",)
    either = (
        Way(("H % 2 == 0",), "H, W"),
        Way(("H % 2 != 0", "W >= 5"), "H, W"),
        Way(("H % 2 != 0", "W < 5"), None),
    )
    assert proof_of(either).constraints == ("H % 2 == 0 or W >= 5",)


GRID = [*range(1, 40), 255, 256]


@pytest.mark.parametrize(
    "conditions",
    [
        ["H >= 8", "W % 4 == 0"],
        ["H <= W"],
        ["H % 3 != 1", "H != 6"],
        ["H == W or H % 2 == 0"],
        ["H % 8 == 0 or W % 8 == 0"],
        ["H*W % 6 == 0"],
        ["(H//4)*(W//4) >= 4"],
    ],
)
def test_constraints_are_those_of_the_module(conditions: list[str]) -> None:
    nodes = [parse(text) for text in conditions]

    def run(hints: dict[str, int]) -> SymbolicRun:
        ones = [f"{name} == 1" for name, size in hints.items() if size == 1]
        error = None
        for text, node in zip(conditions, nodes, strict=True):
            if not evaluate(node, hints):
                ones.append(f"not ({text})")
                error = "ValueError"
                break
            ones.append(text)
        outputs = () if error else INPUTS
        return SymbolicRun(dict(hints), INPUTS, outputs, tuple(ones), (), error)

    def plain(sizes: Mapping[str, int]) -> Any:
        fine = all(evaluate(node, sizes) for node in nodes)
        return (tuple(sizes.values()),) if fine else "ValueError"

    proof = prove(run, INPUTS, BASE, numeric=plain)
    assert proof.verdict == "proved", proof.reason
    claimed = [parse(text) for text in proof.constraints]
    for h, w in product(GRID, repeat=2):
        sizes = {"H": h, "W": w}
        assert all(evaluate(node, sizes) for node in claimed) == (not isinstance(plain(sizes), str))


def test_exploration_visits_each_way_once_and_usual_sizes_first() -> None:
    seen: list[dict[str, int]] = []
    found = explore(follow(EVEN, seen), {"H": 1, "W": 32}, Budget())
    assert seen[0] == {"H": 2, "W": 32}
    assert len(found.ways) == len(seen) == len({tuple(each.items()) for each in seen})
    assert found.spent is None
    assert list(found.open()) == []
    for sizes in product(range(1, 20), repeat=2):
        at = dict(zip("HW", sizes, strict=True))
        assert sum(way.region.holds(at) for way in found.ways) == 1


@pytest.mark.parametrize(
    ("where", "verdict", "reason"),
    [
        (None, "proved", None),
        ("H % 2 == 0", "proved", None),
        ("H % K == 0", "proved", None),
        ("H >= 3", "refuted", r"at H=\d*[13579], W=\d+, which is meant, it raises RuntimeError"),
        ("H == W", "refuted", r"at H=(\d*[13579]), W=\1, which is meant, it raises RuntimeError"),
        ("H % 2 == 1", "refuted", "it raises RuntimeError: odd"),
    ],
)
def test_what_is_meant_has_to_run(where: str | None, verdict: str, reason: str | None) -> None:
    proof = proof_of(EVEN, expect="H//2, W", where=where, constants={"K": 4})
    assert (proof.verdict, proof.where) == (verdict, where)
    assert proof.reason is None if reason is None else re.search(reason, proof.reason or "")
    # Without a contract that it runs is still what is meant.
    assert proof_of(EVEN, where=where, constants={"K": 4}).verdict == verdict


def test_small_sizes_that_are_meant_have_to_run() -> None:
    rough = (Way((), "H, W", assumed=("H >= 9",)),)
    truth = (Way(("H < 4",), None, error="ValueError: too small"), Way((), "H, W"))

    def verdict(where: str) -> tuple[str, str | None]:
        budget = Budget(runs=1)
        proof = proof_of(rough, truth=truth, expect="H, W", where=where, budget=budget)
        return proof.verdict, proof.reason

    assert verdict("H >= 4") == ("proved", None)
    refuted, reason = verdict("H >= 3")
    assert refuted == "refuted"
    assert re.fullmatch(
        r"at H=3, W=\d+, which is meant, it raises ValueError: too small", reason or ""
    )


def test_output_shape_is_held_to_the_sizes_that_are_meant() -> None:
    halves, up = (Way((), "H//2, W"),), follow((Way((), "(H + 1)//2, W"),))
    assert proof_of(halves, promised=up).verdict == "refuted"
    assert proof_of(halves, promised=up, where="H % 2 == 0").verdict == "proved"
    # Both refuse, which is as promised; but not where it is meant.
    assert proof_of(EVEN, promised=follow(EVEN)).verdict == "proved"
    assert proof_of(EVEN, promised=follow(EVEN), where="H >= 8").verdict == "refuted"


def test_conditions_are_only_given_where_all_sizes_are_accounted_for() -> None:
    # As x.split(10) has them: a way for every ten sizes.
    def run(hints: dict[str, int]) -> SymbolicRun:
        part = (hints["H"] + 9) // 10
        guards = (f"(H + 9)//10 == {part}", *(f"{n} == 1" for n in hints if hints[n] == 1))
        return SymbolicRun(dict(hints), INPUTS, (SymbolicTensor(("H", part)),), guards, ())

    def plain(sizes: Mapping[str, int]) -> Any:
        return ((sizes["H"], (sizes["H"] + 9) // 10),)

    proof = prove(run, INPUTS, BASE, numeric=plain, budget=Budget(runs=9))
    assert (proof.verdict, proof.complete) == ("not proved", False)
    assert (proof.constraints, proof.conditions, proof.fixed) == ((), (), None)
    (note,) = proof.notes
    assert re.fullmatch(r"ways were followed for (\d+ <= H <= |H <= )\d+ and W >= 2", note), note
    assert len(proof.outputs) == 8
    assert proof.output is not None
    assert proof.output.endswith(", and 3 more")
    for h, w in product(range(1, 200), (2, 3, 32)):
        sizes = {"H": h, "W": w}
        for each in proof.outputs:
            if all(evaluate(parse(text), sizes) for text in each.constraints):
                assert each.output == f"H, {(h + 9) // 10}"

    somewhere = (Way(("H >= 9",), "H, W"), Way(("H < 9",), None, limit="aten.nonzero"))
    blocked = proof_of(somewhere, truth=(Way((), "H, W"),))
    assert (blocked.complete, blocked.constraints) == (False, ())
    assert "ways were followed for H >= 9" in blocked.notes[0]


def test_ways_that_differ_say_each_where_it_holds() -> None:
    large = (Way(("H > 100", "W > 4"), "2, W"), Way(("not (H > 100 and W > 4)",), "H, W"))
    proof = proof_of(large)
    assert (proof.verdict, proof.complete, proof.constraints) == ("proved", True, ())
    assert proof.outputs == (
        Alternative("H, W", ("not (H >= 101 and W >= 5)",)),
        Alternative("2, W", ("H >= 101", "W >= 5")),
    )
    assert proof.output == "H, W, but 2, W where H >= 101 and W >= 5"
    (alone,) = proof_of(EVEN).outputs
    assert alone == Alternative("H//2, W", ())


class Clock:
    """Stands for ``time``: every look at it takes two milliseconds, and nothing else does."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.002
        return self.now


def test_the_time_of_a_proof_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for room in ("analysis.ranges", "check.claims", "check.explore", "check.prove", "check.tested"):
        monkeypatch.setattr(f"blocktool.{room}.time", clock)

    # Each way halves once more: unlike outputs on periods that double.
    def run(hints: dict[str, int]) -> SymbolicRun:
        text, guards = "H", [f"{n} == 1" for n in hints if hints[n] == 1]
        while evaluate(parse(text), hints) > 4:
            guards.append(f"{text} > 4")
            text = f"({text})//2"
        guards.append(f"{text} <= 4")
        return SymbolicRun(dict(hints), INPUTS, (SymbolicTensor((text, "W")),), tuple(guards), ())

    def plain(sizes: Mapping[str, int]) -> Any:
        size = sizes["H"]
        while size > 4:
            size //= 2
        return ((size, sizes["W"]),)

    budget = Budget(seconds=2.0)
    proof = prove(run, INPUTS, BASE, numeric=plain, budget=budget)
    # After the end each part looks at the clock once more, or a few times, and stops.
    assert budget.seconds < clock.now < budget.in_all + 0.2
    assert proof.verdict == "not proved"
    assert proof.constraints == ()


def test_after_its_time_the_algebra_stops() -> None:
    with until(time.monotonic() - 1), pytest.raises(OverdueError):
        size_set(parse("(H + 1)//3 % 11 == 4"))
    assert 12 in size_set(parse("(H + 1)//3 % 11 == 4"))
    with pytest.raises(UndecidedError, match="period of 1000000"):
        Range().refined(1_000_000)


def test_a_slow_module_is_run_a_few_times_only() -> None:
    runs = []

    def slow(sizes: Mapping[str, int]) -> Any:
        runs.append(sizes)
        time.sleep(0.02)
        return numeric(EVEN)(sizes)

    proof = prove(follow(EVEN), INPUTS, BASE, numeric=slow, budget=Budget(seconds=0.3))
    assert proof.verdict == "proved", proof.reason
    assert 16 <= len(runs) <= 25


def test_sizes_that_are_too_large_to_run_are_not_run() -> None:
    far = (Way((f"H <= {2**61}",), "H, W"), Way((f"H > {2**61}",), "H, W + 1"))

    def plain(sizes: Mapping[str, int]) -> Any:
        assert max(sizes.values()) < 2**41
        return numeric(far)(sizes)

    proof = prove(follow(far), INPUTS, BASE, numeric=plain)
    assert proof.verdict == "proved", proof.reason
    expect = parse_contracts(["H, W"])
    proof = prove(follow(far), INPUTS, BASE, numeric=plain, contract=expect)
    assert proof.verdict == "not proved"
    assert "which is too large to run" in (proof.reason or "")


@pytest.mark.parametrize("seconds", [0.0, 0.15])
def test_what_is_not_worked_out_in_time_is_not_proved(seconds: float) -> None:
    def slow(hints: dict[str, int]) -> SymbolicRun:
        time.sleep(0.1)
        return follow(EVEN)(hints)

    proof = prove(slow, INPUTS, BASE, numeric=numeric(EVEN), budget=Budget(seconds=seconds))
    assert (proof.verdict, proof.complete, proof.constraints) == ("not proved", False, ())
    assert (
        proof.reason
        == f"what its ways show was not worked out in {Budget(seconds=seconds).in_all:g} s"
    )
    assert proof.paths <= 1
