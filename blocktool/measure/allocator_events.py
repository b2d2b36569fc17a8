"""What the allocator of a device did while a step ran, from torch.profiler's memory events.

The profiler reports each allocation and release with its address and size. Without shapes, stacks
and a device's activities it costs some percent of a run. Only the calling thread, and those to
which autograd hands its work, are seen: what a module allocates in a Python thread of its own is
not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch.autograd.profiler import profile, record_function

from blocktool.measure.devices import same_device
from blocktool.measure.step import Step

_MEMORY = "[memory]"
_PHASE = "blocktool: "


class Change(NamedTuple):
    """One allocation (``nbytes`` > 0) or release (< 0); ``total`` is the allocator's own sum after
    it, which on a CPU starts with the first profile of the process."""

    ns: int
    address: int
    nbytes: int
    total: int

    @property
    def before(self) -> int:
        """The allocator's sum before it."""
        return self.total - self.nbytes


@dataclass(frozen=True)
class Recording:
    """The changes in the order in which they happened, and when each phase started, in ns."""

    changes: tuple[Change, ...]
    starts: tuple[int, ...]


def recorded(step: Step) -> Recording:
    """Run the step once under the profiler. Raises what the step raises."""
    # Not torch.profiler.profile, which imports the compiler (a second or more) to ask it something.
    with profiler_without_log(), profile(profile_memory=True) as profiler:
        for phase in step.phases:
            with record_function(_PHASE + phase.name):
                phase.run()
        if step.device.type != "cpu":
            torch.accelerator.synchronize(step.device)
    assert profiler.kineto_results is not None
    changes: list[Change] = []
    starts: list[int] = []
    # Not profiler.events(), which makes Python objects of all operations first: ten times slower.
    for event in _all_of(profiler.kineto_results.experimental_event_tree()):
        if event.name == _MEMORY:
            fields = event.extra_fields
            if same_device(fields.device, step.device):
                change = (fields.ptr, fields.alloc_size, fields.total_allocated)
                changes.append(Change(event.start_time_ns, *change))
        elif event.name.startswith(_PHASE):
            starts.append(event.start_time_ns)
    return Recording(tuple(in_order(changes)), tuple(sorted(starts)))


def in_order(changes: Iterable[Change]) -> list[Change]:
    """By time; of those with equal times first the one that continues the allocator's sum."""
    by_time = sorted(changes, key=lambda change: (change.ns, change.nbytes < 0))
    done: list[Change] = []
    for _, group in groupby(by_time, key=lambda change: change.ns):
        tied = list(group)
        while len(tied) > 1:
            # At the very start: the one that continues none of the others.
            sums = {done[-1].total} if done else {c.before for c in tied} - {c.total for c in tied}
            done.append(tied.pop(next((i for i, c in enumerate(tied) if c.before in sums), 0)))
        done += tied
    return done


def running_sum(changes: Sequence[Change]) -> list[int]:
    """Bytes after each change that were allocated in the run and not released yet.

    A release of what was allocated before the run does not count: the profiler reports it only
    where the allocation fell into an earlier profile. An address that is handed out again has been
    released where the profiler does not look.
    """
    live: dict[int, int] = {}
    total = 0
    sums: list[int] = []
    for change in changes:
        total -= live.pop(change.address, 0)
        if change.nbytes > 0:
            live[change.address] = change.nbytes
            total += change.nbytes
        sums.append(total)
    return sums


def _all_of(roots: Sequence[Any]) -> Iterator[Any]:
    waiting = list(reversed(roots))
    while waiting:
        event = waiting.pop()
        yield event
        waiting += reversed(event.children)


@contextmanager
def profiler_without_log() -> Iterator[None]:
    """Kineto, which stands behind the profiler, writes two lines to stderr for each profile, unless
    it is told not to before its first."""
    name = "KINETO_LOG_LEVEL"
    given = os.environ.get(name)
    os.environ[name] = given or "6"
    try:
        yield
    finally:
        if given is None:
            del os.environ[name]
