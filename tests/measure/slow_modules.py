"""Modules that move a clock of their own, for tests of whose the time is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from blocktool.analysis.summary import summarize_trace
from blocktool.measure.call_clock import HostStamps
from blocktool.measure.module_times import module_times
from blocktool.measure.step import Step
from blocktool.measure.steps import scope, step_for
from blocktool.results.profile import ModuleTime, ModuleTimes, RunMode
from blocktool.results.summary import Summary
from blocktool.trace.inputs import CallArguments
from blocktool.trace.tracer import trace

CPU = torch.device("cpu")


class World:
    """A clock in ms. Each reading takes ``tick`` as well."""

    def __init__(self, tick: float = 0.0) -> None:
        self.ms = 0.0
        self.readings = 0
        self._tick = tick

    def read(self) -> int:
        self.readings += 1
        self.ms += self._tick
        return round(1e6 * self.ms)

    def seconds(self) -> float:
        return self.ms / 1e3


class _Spin(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, world: World, forth: float, back: float) -> torch.Tensor:
        world.ms += forth
        ctx.world, ctx.back = world, back
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        ctx.world.ms += ctx.back
        return grads[0], None, None, None


class Spin(nn.Module):
    """Takes ``forth`` ms, and ``back`` ms in the backward."""

    def __init__(self, world: World, forth: float, back: float = 0.0) -> None:
        super().__init__()
        self.world, self.forth, self.back = world, forth, back

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Spin.apply(x, self.world, self.forth, self.back)


class Net(nn.Module):
    """A stem of 3 ms, a body of 5 and 7, and 2 of its own; twice as long in the backward."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.own = [Spin(world, 2, 4).forward]
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = Spin(world, 3, 6)
        self.body = nn.Sequential(Spin(world, 5, 10), Spin(world, 7, 14))
        self.unused = Spin(world, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.own[0](self.stem(x * self.scale)))


def summary_of(module: nn.Module, x: torch.Tensor, mode: RunMode) -> Summary:
    training = mode == "training"
    record = trace(
        module,
        x,
        mode="training" if training else "forward",
        optimizer="sgd" if training else None,
    )
    return summarize_trace(record)


def timed(
    module: nn.Module,
    world: World,
    mode: RunMode = "inference",
    *,
    step: Step | None = None,
    seconds: float = 0.0,
    whole_ms: float = 1.0,
    x: torch.Tensor | None = None,
    stamps: Any = None,
) -> ModuleTimes:
    x = torch.ones(1, 1) if x is None else x
    summary = summary_of(module, x, mode)
    step = step or step_for(module, CallArguments((x,), {}), mode, CPU)
    stamps = stamps or HostStamps(world.read)
    with scope(mode):
        return module_times(
            module, step, whole_ms, summary, seconds, stamps=stamps, now=world.seconds
        )


def by_path(times: ModuleTimes) -> dict[str, ModuleTime]:
    return {row.path: row for row in times.rows}


def figures(times: ModuleTimes) -> dict[str, tuple[float, float, int]]:
    """Total, own and calls by path."""
    return {
        row.path: (round(row.total_ms, 6), round(row.own_ms, 6), row.calls) for row in times.rows
    }
