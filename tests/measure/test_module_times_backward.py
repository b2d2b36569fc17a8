"""Whose the time of a training step is, into its backward."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
import torch
from measure.slow_modules import CPU, Net, Spin, World, by_path, figures, summary_of, timed
from torch import nn
from torch.utils.checkpoint import checkpoint

from blocktool.measure.module_times import module_times
from blocktool.measure.step import Phase, Step
from blocktool.measure.steps import step_for
from blocktool.trace.inputs import CallArguments


def test_a_training_step_with_its_backward() -> None:
    world = World()
    module = Net(world)
    forward = step_for(module, CallArguments((torch.ones(1, 1),), {}), "training", CPU)

    def optimizer() -> None:
        world.ms += 8
        forward.phases[2].run()

    step = Step((*forward.phases[:2], Phase("optimizer", optimizer)), CPU)
    times = timed(module, world, "training", step=step)
    assert figures(times) == {
        "": (3 * 17 + 8, 3 * 2, 1),
        "stem": (9, 9, 1),
        "body": (36, 0, 1),
        "body.0": (15, 15, 1),
        "body.1": (21, 21, 1),
        "(optimizer)": (8, 8, 0),
    }
    rows = by_path(times)
    backward = {path: rows[path].backward_ms for path in ("", "stem", "body", "(optimizer)")}
    assert backward == pytest.approx({"": 34, "stem": 6, "body": 24, "(optimizer)": 0})
    optimizer_row = rows["(optimizer)"]
    assert (optimizer_row.type, optimizer_row.depth) == ("phase", 1)
    # One parameter of 4 bytes: it and its gradient are read, and it is written.
    assert optimizer_row.moved_bytes == 12


def test_what_no_module_made_is_the_backward_s() -> None:
    world = World()
    module = Spin(world, 1, 2)
    loss = Spin(world, 3, 5).forward  # not called as a module
    x = torch.ones(1, requires_grad=True)
    made: list[torch.Tensor] = []
    step = Step(
        (
            Phase("forward", lambda: made.append(loss(module(x)))),
            Phase("backward", lambda: made.pop().backward()),
        ),
        CPU,
    )
    times = timed(module, world, "training", step=step)
    assert figures(times) == {"": (11, 3, 1), "(forward)": (3, 3, 0), "(backward)": (5, 5, 0)}


@pytest.mark.parametrize("threaded", [False, True])
def test_what_is_recomputed_belongs_to_the_modules(threaded: bool) -> None:
    class Saves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.body = nn.Sequential(Spin(world, 3, 5), nn.SiLU())

        def forward(self, x: torch.Tensor) -> Any:
            return checkpoint(self.body, x * self.scale, use_reentrant=False)

    world = World()
    module = Saves()
    plain = step_for(module, CallArguments((torch.ones(1, 1),), {}), "training", CPU)

    def elsewhere() -> None:
        thread = threading.Thread(target=plain.phases[1].run)
        thread.start()
        thread.join()

    backward = Phase("backward", elsewhere) if threaded else plain.phases[1]
    times = timed(
        module, world, "training", step=Step((plain.phases[0], backward, plain.phases[2]), CPU)
    )
    assert figures(times) == {
        "": (11, 0, 1),
        "body": (11, 0, 2),
        "body.0": (11, 11, 2),
        "body.1": (0, 0, 2),
    }
    assert by_path(times)["body.0"].backward_ms == pytest.approx(8)
    assert not any("reentrant" in note for note in times.notes)


def test_a_reentrant_checkpoint_is_told_of() -> None:
    class Saves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.body = Spin(world, 3, 5)

        def forward(self, x: torch.Tensor) -> Any:
            return checkpoint(self.body, x * self.scale, use_reentrant=True)

    world = World()
    times = timed(Saves(), world, "training")
    assert figures(times) == {"": (11, 5, 1), "body": (6, 6, 2)}
    assert any("reentrant" in note for note in times.notes)


class Ticks:
    """A clock that moves by 1 ms whenever it is read, so that intervals are counted."""

    def __init__(self) -> None:
        self._ms = 0.0

    def take(self) -> float:
        self._ms += 1
        return self._ms

    def ms(self, stamps: Any) -> list[float]:
        return [stamp - stamps[0] for stamp in stamps]


class Mixed(nn.Module):
    """Residual, shared, functional, in place, by view; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        x = self.act(self.norm(self.stem(x)))
        x = self.act(self.norm(x) + nn.functional.gelu(x))
        tokens = x.flatten(2).transpose(1, 2)
        mixed, weights = self.attention(tokens, tokens, tokens)
        return self.head(mixed.mean(1)), {"weights": weights}


def nodes_by_profiler(module: nn.Module, step: Step) -> Counter[str]:
    """How many nodes of the backward each module's forward made, as torch.profiler tells it:
    operations of the forward and functions of the backward share a number."""
    names = {each: path for path, each in module.named_modules()}
    ranges: list[Any] = []

    def enter(each: nn.Module, *_: Any) -> None:
        ranges.append(torch.profiler.record_function(f"module {names[each]}"))
        ranges[-1].__enter__()

    def leave(*_: Any) -> None:
        ranges.pop().__exit__(None, None, None)

    handles = [each.register_forward_pre_hook(enter) for each in names]
    handles += [each.register_forward_hook(leave) for each in names]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        step.run()
    for handle in handles:
        handle.remove()
    made: dict[int, str] = {}
    events = list(profiler.events())
    for event in events:
        above = event.cpu_parent
        while above is not None and not above.name.startswith("module "):
            above = above.cpu_parent
        if event.sequence_nr >= 0 and above is not None:
            made[event.sequence_nr] = above.name.removeprefix("module ")
    ran = [e for e in events if e.name.startswith("autograd::engine::evaluate_function")]
    ran = [e for e in ran if not e.name.endswith("GraphRoot")]  # the list of gradients given
    accumulated = [e for e in ran if e.name.endswith("AccumulateGrad")]
    assert len(accumulated) == len(list(module.parameters()))
    counted = Counter(made[e.sequence_nr] for e in ran if e not in accumulated)
    for name, _ in module.named_parameters():
        counted[name.rpartition(".")[0]] += 1
    return counted


def test_nodes_of_the_backward_belong_where_torch_profiler_puts_them() -> None:
    torch.manual_seed(0)
    module = Mixed()
    x = torch.randn(2, 3, 4, 4)
    step = step_for(module, CallArguments((x,), {}), "training", CPU)
    times = timed(module, World(), "training", step=step, x=x, stamps=Ticks())
    own: Counter[str] = Counter()
    for row in times.rows:
        below = sum(r.backward_ms for r in times.rows if r.path.rpartition(".")[0] == row.path)
        own[row.path] = round(row.backward_ms - (0 if row.path else below - row.backward_ms))
    expected = nodes_by_profiler(module, step)
    # The projection of nn.MultiheadAttention has parameters, but is not called.
    expected["attention"] += expected.pop("attention.out_proj")
    assert own.pop("(backward)") == 1  # before the first node
    assert +own == expected


def test_no_hook_stays_on_the_graph() -> None:
    world = World()
    module = Net(world)
    kept: list[torch.Tensor] = []

    def forward() -> None:
        kept[:] = [module(torch.ones(1, 1))]

    phases = (
        Phase("forward", forward),
        Phase("backward", lambda: kept[0].backward(retain_graph=True)),
    )
    timed(module, world, "training", step=Step(phases, CPU))
    readings = world.readings
    kept[0].backward()
    assert world.readings == readings


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    module = Mixed().to(device)
    x = torch.randn(2, 3, 64, 64, device=device)
    step = step_for(module, CallArguments((x,), {}), "training", device)
    summary = summary_of(Mixed(), x.cpu(), "training")
    for _ in range(3):
        step.run()
    times = module_times(module, step, 1.0, summary, 0.2)
    rows = by_path(times)
    assert rows["stem"].backward_ms > 0
    assert rows["(optimizer)"].own_ms > 0
    assert sum(row.own_ms for row in times.rows) == pytest.approx(rows[""].total_ms)
    assert rows[""].total_ms == pytest.approx(times.instrumented_ms, rel=0.2)
