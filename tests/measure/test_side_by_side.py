"""Two targets in one run: in turn, in pairs of processes, and what goes wrong in one of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from blocktool.analysis.significance import FALSE_ALARM, LOOKS, fewest_pairs
from blocktool.errors import TargetError
from blocktool.measure import side_by_side
from blocktool.measure.request import CaseSpec, Request, Rule
from blocktool.measure.runner import Listener
from blocktool.measure.side_by_side import DEFAULT_RULE, run_both
from blocktool.measure.workers import Progress
from blocktool.results.profile import Profile, ProfileCase
from blocktool.targets.inputs import parse_inputs

QUICK = Rule(min_seconds=0.004, max_seconds=0.004, precision=0.5, processes=3)

NETS = """
    import os
    import time

    from torch import nn


    class Net(nn.Module):
        '''Notes which process runs it, and can be told to fail in some of them.'''

        def __init__(self, name="old", fails=0, seconds=0.0):
            super().__init__()
            self.linear = nn.Linear(8, 8)
            self.name, self.fails, self.seconds = name, fails, seconds
            self.noted = False

        def forward(self, x):
            if not x.is_meta:
                if not self.noted:
                    self.noted = True
                    with open("log", "a") as log:
                        print(self.name, x.shape[0], os.getpid(), file=log)
                    runs = open("log").read().count(f"{self.name} {x.shape[0]} ")
                    if runs == self.fails:
                        raise ValueError("not this time")
                time.sleep(self.seconds)
            return self.linear(x)
"""


@pytest.fixture
def nets(project: Project) -> Path:
    project.write("nets.py", NETS)
    return project.root


def request(name: str, *arguments: str, batches: tuple[int, ...] = (2,)) -> Request:
    return Request(
        target="nets.py:Net",
        arguments=(f"name={name}", *arguments),
        inputs=parse_inputs(["2x8"]),
        device="cpu",
        batches=batches,
        threads=1,
    )


def log(root: Path) -> list[tuple[str, int, int]]:
    """Who ran, at which batch and in which process; the copies that are made of a module (for its
    memory, say) once."""
    lines = (line.split() for line in (root / "log").read_text().splitlines())
    return list(dict.fromkeys((name, int(batch), int(pid)) for name, batch, pid in lines))


def only(profile: Profile) -> ProfileCase:
    (case,) = profile.cases
    return case


def test_in_turn_and_each_in_a_new_process(nets: Path) -> None:
    profiles = run_both(request("old"), request("new"), QUICK)
    ran = log(nets)
    assert [name for name, _, _ in ran] == ["old", "new", "new", "old", "old", "new"]
    assert len({pid for _, _, pid in ran}) == 6
    assert os.getpid() not in {pid for _, _, pid in ran}
    old, new = profiles
    assert old.protocol.paired == new.protocol.paired is not None
    assert old.protocol.processes == 3
    for each in profiles:
        case = only(each)
        assert case.latency_ms is not None
        assert len(case.process_medians_ms) == 3
        assert min(case.process_medians_ms) <= case.latency_ms.p50 <= max(case.process_medians_ms)
        assert case.macs == 2 * 8 * 8
        assert case.peak_bytes is not None
        assert each.ceilings is None


def test_a_pair_that_fails_is_dropped_on_both_sides(nets: Path) -> None:
    """The second process of the new one fails: the times of the old one in that pair go too."""
    old, new = run_both(request("old", "seconds=0.001"), request("new", "fails=2"), QUICK)
    assert [name for name, _, _ in log(nets)].count("old") == 3
    for each in (old, new):
        assert len(only(each).process_medians_ms) == 2
    assert any("not timed in another process" in note for note in only(new).notes)
    assert only(old).outcome == only(new).outcome == "passed"


def test_a_case_that_fails_at_first_leaves_the_other_alone(nets: Path) -> None:
    old, new = run_both(request("old", "fails=1"), request("new"), QUICK)
    assert (only(old).outcome, only(old).kind) == ("failed", "error")
    assert only(new).outcome == "passed"
    assert only(new).process_medians_ms == ()
    assert only(new).latency_ms is not None


def test_cases_of_one_side_alone_are_measured_once(nets: Path) -> None:
    both = request("old", batches=(2, 3)), request("new", batches=(4, 2))
    old, new = run_both(*both, replace(QUICK, processes=2))
    assert [(case.batch, len(case.process_medians_ms)) for case in old.cases] == [(2, 2), (3, 0)]
    assert [(case.batch, len(case.process_medians_ms)) for case in new.cases] == [(2, 2), (4, 0)]
    assert {case.outcome for case in (*old.cases, *new.cases)} == {"passed"}


def test_what_cannot_be_told_gets_more_processes(nets: Path) -> None:
    """Of one pair, or of two, nothing can be told; after three it ends all the same."""
    both = request("old"), request("new", "seconds=0.002")
    profiles = run_both(*both, replace(QUICK, processes=1), until=0.05)
    assert [len(only(each).process_medians_ms) for each in profiles] == [LOOKS, LOOKS]


def test_what_is_known_gets_no_more(nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "FALSE_ALARM", float(LOOKS))  # one pair is enough then
    both = request("old"), request("new", "seconds=0.002")
    profiles = run_both(*both, replace(QUICK, processes=1), until=0.05)
    assert [only(each).process_medians_ms for each in profiles] == [(), ()]


def test_an_interrupt_keeps_whole_pairs(nets: Path) -> None:
    """Interrupted in the fifth process, before the other one of its pair."""
    heard: list[str] = []

    def listen(done: int, total: int, spec: CaseSpec | None, said: Progress) -> None:
        heard.append(said.doing)
        if said.doing.startswith("old, pair 3 of 3"):
            raise KeyboardInterrupt

    slow = replace(QUICK, min_seconds=0.9, max_seconds=0.9)
    old, new = run_both(
        request("old", "seconds=0.001", batches=(2, 3)),
        request("new", "seconds=0.001", batches=(2, 3)),
        slow,
        listener=Listener(listen),
    )
    assert [name for name, _, _ in log(nets)][:4] == ["old", "new", "new", "old"]
    for each in (old, new):
        assert each.interrupted
        measured, left = each.cases
        assert len(measured.process_medians_ms) == 2
        assert (left.kind, left.reason) == ("interrupted", "not begun")
    assert any(said.startswith("new, pair 2 of 3") for said in heard)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_target_that_is_not_there(nets: Path, broken: int) -> None:
    requests: list[Any] = [request("old"), request("new")]
    requests[broken] = replace(requests[broken], target="nets.py:Nett")
    with pytest.raises(TargetError, match="Nett"):
        run_both(*requests, QUICK)


def test_the_defaults_are_enough_for_a_hundred_cases() -> None:
    assert DEFAULT_RULE.processes >= fewest_pairs(FALSE_ALARM / LOOKS / 100)
