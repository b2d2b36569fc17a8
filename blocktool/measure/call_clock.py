"""Reads a clock at the entrance and the exit of every module call, and at every backward node."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from blocktool.analysis.module_times import RunTimes
from blocktool.measure.attribution import Begins, Ends, Left, Mark, Marks, Node, OwnCost, attributed
from blocktool.measure.clocks import collector_paused
from blocktool.measure.compiled import class_name
from blocktool.measure.devices import synchronize, timed_event
from blocktool.measure.step import Step
from blocktool.trace.calls import CallFollower, ModulePaths, named_modules
from blocktool.trace.structure import named_tensors

_LEFT = Left()
_ENDS = Ends()
_REENTRANT = "CheckpointFunctionBackward"  # of torch.utils.checkpoint


class Stamps(Protocol):
    """A clock that is read often, and understood afterwards."""

    def take(self) -> Any:
        """A stamp of now."""
        ...

    def ms(self, stamps: Sequence[Any]) -> list[float]:
        """When each was taken, in ms since the first."""
        ...


class HostStamps:
    """For work that is done when the call returns. ``now`` gives whole nanoseconds."""

    def __init__(self, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.take = now

    def ms(self, stamps: Sequence[int]) -> list[float]:
        """When each was taken, in ms since the first."""
        return [(stamp - stamps[0]) / 1e6 for stamp in stamps]


class EventStamps:
    """For devices that work through a queue: events in it. ``event`` makes one with ``record()``
    and ``elapsed_time(other)`` in ms; they are used again in the next run."""

    def __init__(self, event: Callable[[], Any], wait: Callable[[], None]) -> None:
        self._event = event
        self._wait = wait
        self._events: list[Any] = []
        self._used = 0

    def take(self) -> Any:
        """An event in the queue of the current stream."""
        if self._used == len(self._events):
            self._events.append(self._event())
        event = self._events[self._used]
        self._used += 1
        event.record()
        return event

    def ms(self, stamps: Sequence[Any]) -> list[float]:
        """When the device reached each, in ms since the first. Waits until it has."""
        self._wait()
        self._used = 0
        return [stamps[0].elapsed_time(stamp) for stamp in stamps]


def stamps_for(device: torch.device) -> Stamps:
    """The clock for work on ``device``."""
    if device.type == "cpu":
        return HostStamps()
    return EventStamps(partial(timed_event, device), partial(synchronize, device))


class CallClock(CallFollower):
    """Runs a step with a clock at each module call.

    Between runs nothing of it is left but the interception of ``nn.Module.__call__``, which lasts
    as long as :meth:`tracking`. With ``backward`` a training step is followed into its backward:
    autograd numbers its nodes as the forward makes them, so that each belongs to the call during
    which it was made. A hook on each node of this run's graph reads the clock before it; there is
    none on modules or tensors.
    """

    def __init__(self, root: nn.Module, stamps: Stamps, *, backward: bool = False) -> None:
        super().__init__()
        registered = named_modules(root)
        self.types = {path: class_name(module) for path, module in registered}
        """The class of each module, by path; also of those that ran but are not registered."""
        self.reentrant = False
        """Whether a checkpoint was met that runs a backward inside the backward."""
        self._root = root
        self._backward = backward
        self._paths = ModulePaths(root)
        self._owners: dict[int, str] = {}
        for path, module in registered:
            for parameter in module.parameters(recurse=False):
                self._owners.setdefault(id(parameter), path)
        self._stamps = stamps
        self._take = stamps.take
        self._number: Callable[[], int] = torch._C._autograd._get_sequence_nr if backward else int
        self._marks = Marks()
        self._taken: list[Any] = []
        self._outputs: list[Any] = []

    def call(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Call ``original`` on a module between two readings of the clock."""
        marks, taken = self._marks, self._taken
        marks.what.append(module)
        marks.numbers.append(self._number())
        taken.append(self._take())
        try:
            out = original(module, *args, **kwargs)
        finally:
            taken.append(self._take())
            marks.what.append(_LEFT)
            marks.numbers.append(self._number())
        if self._backward and module is self._root:
            self._outputs.append(out)
        return out

    def run(self, step: Step, cost: OwnCost) -> RunTimes:
        """One step, inside :meth:`tracking`. What it raises comes through."""
        handles: list[Any] = []
        try:
            with collector_paused():
                for phase in step.phases:
                    if self._backward and phase.name == "backward":
                        handles = self._hooks()
                    self._mark(Begins(phase.name))
                    phase.run()
                    self._mark(_ENDS)
            at_ms = self._stamps.ms(self._taken)
            run = attributed(self._marks, at_ms, self._paths, self._owners, cost)
            for path, module in self._paths.unregistered.items():
                self.types.setdefault(path, class_name(module))
            return run
        finally:
            for handle in handles:
                handle.remove()
            for noted in (self._marks.what, self._marks.numbers, self._taken, self._outputs):
                noted.clear()
            self._paths.forget_unregistered()

    def _mark(self, mark: Mark) -> None:
        self._taken.append(self._take())
        self._marks.what.append(mark)
        self._marks.numbers.append(self._number())

    def _hooks(self) -> list[Any]:
        """A hook on every node of the graph behind what the root returned."""
        pending: list[Any] = [tensor.grad_fn for _, tensor in named_tensors(self._outputs)]
        self._outputs.clear()
        handles = []
        seen: set[Any] = set()
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            self.reentrant |= node.name() == _REENTRANT
            variable = getattr(node, "variable", None)
            mark = Node(node._sequence_nr(), None if variable is None else id(variable))
            handles.append(node.register_prehook(partial(self._begin, mark)))
            pending += [following for following, _ in node.next_functions]
        return handles

    def _begin(self, mark: Node, gradients: Any) -> None:
        self._mark(mark)
        # The engine has threads of its own for some devices; modules run there to recompute.
        self.follow_this_thread()
