"""Whose the time is, on a clock that stands still except where the test's modules move it."""

from __future__ import annotations

import contextlib

import pytest
import torch
from measure.slow_modules import Net, Spin, World, by_path, figures, timed
from torch import nn

from blocktool.measure.call_clock import EventStamps, HostStamps
from blocktool.measure.module_times import own_cost
from blocktool.results.profile import RunMode


def test_a_module_owns_what_its_children_do_not() -> None:
    world = World()
    times = timed(Net(world), world, whole_ms=16)
    assert figures(times) == {
        "": (17, 2, 1),
        "stem": (3, 3, 1),
        "body": (12, 0, 1),
        "body.0": (5, 5, 1),
        "body.1": (7, 7, 1),
    }
    assert [row.path for row in times.rows] == ["", "stem", "body", "body.0", "body.1"]
    assert [row.depth for row in times.rows] == [0, 1, 1, 2, 2]
    assert by_path(times)["body.1"].share == pytest.approx(7 / 17)
    assert (times.whole_ms, times.instrumented_ms) == (16, 17)
    assert times.overhead == pytest.approx(1 / 16)
    assert times.attributed == pytest.approx(15 / 17)


def test_it_runs_for_as_long_as_it_is_told_and_three_times() -> None:
    world = World()
    assert timed(Net(world), world, seconds=0.1).runs == 6  # the sixth begins after 85 ms
    assert timed(Net(world), world, seconds=0.0).runs == 3


def test_rates_are_those_of_the_trace_over_the_time() -> None:
    class SlowLinear(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            world.ms += 4
            return super().forward(x)

    world = World()
    module = nn.Sequential(SlowLinear(64, 32), nn.Identity())
    row = by_path(timed(module, world, x=torch.ones(16, 64)))["0"]
    macs, nbytes = 16 * 64 * 32, 4 * (16 * 64 + 64 * 32 + 32 + 16 * 32)
    assert (row.type, row.macs, row.moved_bytes) == ("SlowLinear", macs, nbytes)
    assert row.gflops == pytest.approx(2 * macs / 4e-3 / 1e9)
    assert row.gbps == pytest.approx(nbytes / 4e-3 / 1e9)


def test_a_module_that_is_used_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shared = Spin(world, 3)
            self.act = Spin(world, 2)
            self.a, self.b = nn.Sequential(shared), nn.Sequential(shared)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.a(self.act(self.b(self.b(x)))))

    world = World()
    assert figures(timed(Twice(), world)) == {
        "": (13, 0, 1),
        "act": (4, 4, 2),
        "a": (3, 0, 1),
        "a.0": (3, 3, 1),
        "b": (6, 0, 2),
        "b.0": (6, 6, 2),
    }


def test_modules_that_the_forward_makes_have_one_name_in_all_runs() -> None:
    class Makes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Spin(world, 2)(Spin(world, 1)(x))

    world = World()
    assert figures(timed(Makes(), world, seconds=0.05)) == {
        "": (3, 0, 1),
        "<Spin>": (1, 1, 1),
        "<Spin>#2": (2, 2, 1),
    }


def test_a_list_of_modules_has_the_time_of_those_in_it() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Spin(world, 1), Spin(world, 2)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(x)
            return x

    world = World()
    times = timed(Listed(), world)
    assert figures(times)["blocks"] == (3, 0, 0)
    assert by_path(times)["blocks.1"].depth == 1
    assert times.attributed == 1


def test_the_cost_of_the_clock_is_subtracted() -> None:
    world = World(tick=0.5)
    cost = own_cost(HostStamps(world.read), backward=True)
    assert (cost.inside, cost.outside, cost.node) == pytest.approx((0.5, 0.5, 0.5), rel=0.01)
    times = timed(Net(world), world, "training")
    rows = by_path(times)
    assert rows["stem"].own_ms == pytest.approx(9, abs=0.05)
    assert rows["body.1"].own_ms == pytest.approx(21, abs=0.05)
    assert rows["body"].own_ms == pytest.approx(0, abs=0.05)
    assert times.instrumented_ms > 51 + 0.5 * 2 * 5  # as it was
    assert "500.00 µs a node" in times.notes[0]


def hooks_of(module: nn.Module) -> list[int]:
    names = [name for name in vars(module) if name.endswith("_hooks")]
    assert "_forward_pre_hooks" in names
    return [len(getattr(each, name)) for each in module.modules() for name in names]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_an_error_comes_through_and_leaves_nothing(mode: RunMode) -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(Spin(world, 1, 1), nn.Identity())
            self.scale = nn.Parameter(torch.ones(1))
            self.left = 3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.left -= 1
            if not self.left:
                raise ValueError("as asked")
            return self.body(x * self.scale)

    world = World()
    module = Fails()
    call, hooks, attributes = nn.Module.__call__, hooks_of(module), sorted(vars(module))
    with pytest.raises(ValueError, match="as asked"):
        timed(module, world, mode)
    assert module.left == 0
    assert nn.Module.__call__ is call
    assert hooks_of(module) == hooks
    assert sorted(vars(module)) == attributes
    readings = world.readings
    module(torch.ones(1, 1))
    assert world.readings == readings
    expected = {"inference": 1, "training": 2}[mode]
    assert figures(timed(module, world, mode))["body.0"] == (expected, expected, 1)


def test_an_error_that_the_module_catches() -> None:
    class Raises(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = Spin(world, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.deep(x)
            raise LookupError

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Sequential(Raises()), Spin(world, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with contextlib.suppress(LookupError):
                self.first(x)
            return self.second(x)

    world = World()
    assert figures(timed(Catches(), world)) == {
        "": (5, 0, 1),
        "first": (2, 0, 1),
        "first.0": (2, 0, 1),
        "first.0.deep": (2, 2, 1),
        "second": (3, 3, 1),
    }


def test_events_are_used_again_in_the_next_run() -> None:
    class Event:
        def record(self) -> None:
            self.at = world.ms

        def elapsed_time(self, other: Event) -> float:
            return other.at - self.at

    made: list[Event] = []
    waits: list[int] = []

    def event() -> Event:
        made.append(Event())
        return made[-1]

    world = World()
    stamps = EventStamps(event, lambda: waits.append(1))
    times = timed(Net(world), world, seconds=0.1, stamps=stamps)
    assert figures(times)["body"] == (12, 0, 1)
    assert len(made) == 2 + 2 * 5  # the phase, and each of the modules that are called
    assert len(waits) == times.runs == 6
    assert "the device" in times.notes[0]
