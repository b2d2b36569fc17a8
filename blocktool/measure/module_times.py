"""Where the time goes by module, from runs with a clock at each module's entrance and exit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

from blocktool.analysis.module_times import RunTimes, phase_path, times_by_module
from blocktool.measure.attribution import OwnCost
from blocktool.measure.call_clock import CallClock, HostStamps, Stamps, stamps_for
from blocktool.measure.compiled import is_compiled, nothing_compiled_anew
from blocktool.measure.devices import current
from blocktool.measure.step import Phase, Step
from blocktool.results.profile import ModuleTimes
from blocktool.results.summary import Summary
from blocktool.trace.calls import named_modules

_LEAST_RUNS = 3
_MOST_RUNS = 1000
_CALIBRATIONS = 7
_CALLS = 200
"""In one calibration."""
_SHOWN = 3
"""Paths that a note names."""


def module_times(
    module: nn.Module,
    step: Step,
    whole_ms: float,
    summary: Summary,
    seconds: float = 0.5,
    *,
    stamps: Stamps | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> ModuleTimes:
    """Run ``step``, which calls ``module``, for ``seconds`` and at least three times.

    Call it inside the scope of the step, when the step has run before. ``whole_ms`` is the median
    of the step without instruments, ``summary`` the static counts in the step's mode. On a CPU the
    clock's own cost, measured first, is subtracted from the modules' times. What the step raises
    comes through; nothing is left on the module or on torch. ``now`` gives seconds.
    """
    backward = any(phase.name == "backward" for phase in step.phases)
    stamps = stamps or stamps_for(step.device)
    host = isinstance(stamps, HostStamps)
    cost = own_cost(stamps, backward=backward) if host else OwnCost()
    clock = CallClock(module, stamps, backward=backward)
    runs: list[RunTimes] = []
    with nothing_compiled_anew(step), current(step.device), clock.tracking():
        start = now()
        while len(runs) < _LEAST_RUNS or (now() - start < seconds and len(runs) < _MOST_RUNS):
            runs.append(clock.run(step, cost))
    notes = (
        *_notes_on_clock(runs[-1], cost, host=host),
        *_notes_on_modules(module, runs),
        *_notes_on_backward(clock, backward=backward),
    )
    return times_by_module(runs, clock.types, summary, whole_ms, notes)


def own_cost(stamps: Stamps, *, backward: bool = False) -> OwnCost:
    """What a reading of the clock costs, on a module and on nodes that do nothing: the least of
    several calibrations, which take some ms. What is subtracted is thus rather too little."""
    identity = nn.Identity()
    nothing = torch.empty(0)

    def calls() -> None:
        for _ in range(_CALLS):
            identity(nothing)

    step = Step((Phase("forward", calls),), torch.device("cpu"))
    plain = min(_duration(stamps, calls) for _ in range(_CALIBRATIONS)) / _CALLS
    clock = CallClock(identity, stamps)
    with clock.tracking():
        runs = [clock.run(step, OwnCost()) for _ in range(_CALIBRATIONS)]
    fastest = min(runs, key=lambda run: run.whole_ms)
    whole = max(fastest.whole_ms / _CALLS - plain, 0.0)
    inside = min(max(fastest.own_ms[""] / _CALLS - plain, 0.0), whole)
    node = _cost_of_node(stamps) if backward else 0.0
    return OwnCost(inside, whole - inside, node)


def _cost_of_node(stamps: Stamps) -> float:
    class Chain(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(_CALLS):
                x = x.neg()
            return x

    chain = Chain()
    made: list[torch.Tensor] = []

    def forward() -> None:
        made.append(chain(leaf))

    def backward() -> None:
        torch.autograd.grad(made.pop(), leaf)

    step = Step((Phase("forward", forward), Phase("backward", backward)), torch.device("cpu"))
    clock = CallClock(chain, stamps, backward=True)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.zeros((), requires_grad=True)
        plain = []
        for _ in range(_CALIBRATIONS):
            forward()
            plain.append(_duration(stamps, backward))
        with clock.tracking():
            runs = [clock.run(step, OwnCost()) for _ in range(_CALIBRATIONS)]
    followed = min(sum(run.backward_ms.values()) for run in runs)
    return max((followed - min(plain)) / _CALLS, 0.0)


def _duration(stamps: Stamps, run: Callable[[], None]) -> float:
    start = stamps.take()
    run()
    return stamps.ms([start, stamps.take()])[1]


def _notes_on_clock(run: RunTimes, cost: OwnCost, *, host: bool) -> Iterator[str]:
    if not host:
        yield (
            "times are those between two events in the device's queue: where the device waits for "
            "the host, the wait is in them"
        )
        return
    calls = sum(run.calls.values())
    each = 1e3 * (cost.inside + cost.outside)
    text = f"{each:.2f} µs a call ({calls:,} calls)"
    if cost.node:
        text += f" and {1e3 * cost.node:.2f} µs a node of the backward"
    yield f"the clock's own cost is subtracted: {text}"


def _notes_on_modules(module: nn.Module, runs: list[RunTimes]) -> Iterator[str]:
    for how, is_one in (("compiled", is_compiled), ("scripted", _is_scripted)):
        paths = [path for path, each in named_modules(module) if is_one(each)]
        whole = [
            path
            for path in paths
            if path in runs[-1].calls and not any(_is_under(p, path) for p in runs[-1].calls)
        ]
        if whole:
            names = ", ".join(path or "the root" for path in whole[:_SHOWN])
            more = f" and {len(whole) - _SHOWN} more" if len(whole) > _SHOWN else ""
            yield f"{how}, so that modules inside are not called: {names}{more}"
    if any(run.calls != runs[0].calls for run in runs):
        yield "the runs did not all call the same modules: calls are means"


def _is_scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


def _is_under(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(f"{other}."))


def _notes_on_backward(clock: CallClock, *, backward: bool) -> Iterator[str]:
    if backward:
        yield (
            "a module's time is that of its forward and of the backward of what its forward did; "
            f"{phase_path('backward')} has the rest"
        )
    if clock.reentrant:
        yield (
            "the backward of what a reentrant checkpoint recomputes counts for the module that "
            "calls checkpoint; with use_reentrant=False it counts for the modules inside"
        )
