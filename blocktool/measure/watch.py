"""Looks at the machine before and after something is timed; nothing runs meanwhile."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

from blocktool.measure.gpu_state import GpuState, busy_at_first, gpu_state
from blocktool.measure.processor import (
    CoreClock,
    allowed_cpus,
    core_clock,
    cpu_quotas,
    read,
    thermal_throttles,
)
from blocktool.results.watched import Watched, WatchedGpu

_PROC = Path("/proc")


class Watch:
    """Around the timing of one case; afterwards ``watched`` says what the machine did meanwhile.

    ``watched`` is there also when the block raised. Each look takes less than 1 ms, with a GPU
    the time of one or two calls of ``nvidia-smi`` more, and is no part of the time that is watched.
    """

    def __init__(self, device: torch.device) -> None:
        self.watched: Watched | None = None
        self._device = device
        self._before: _Reading | None = None
        self._gpu_before: GpuState | None = None

    def __enter__(self) -> Watch:
        self._gpu_before = gpu_state(self._device, processes=True)
        self._before = _reading()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        after = _reading()
        gpu = None
        if self._gpu_before is not None:
            busy = busy_at_first(self._device)
            gpu = _gpu(self._gpu_before, gpu_state(self._device), busy)
        if self._before is not None:
            self.watched = _between(self._before, after, gpu)


@dataclass(frozen=True)
class _Reading:
    """All counters at one moment; each since a start of its own. ``ticks`` are busy and stolen
    seconds of the allowed CPUs, ``waited`` nanoseconds by thread."""

    wall: float
    cpu: float
    cpus: frozenset[int]
    waited: dict[str, int]
    ticks: tuple[float, float] | None
    quota: tuple[int, int] | None
    clock: CoreClock | None
    heat: int | None


def _reading() -> _Reading:
    cpus = allowed_cpus()
    return _Reading(
        wall=time.perf_counter(),
        cpu=_own_cpu_seconds(),
        cpus=cpus,
        waited=_waited(),
        ticks=_ticks(cpus),
        quota=_quota(),
        clock=core_clock(),
        heat=thermal_throttles(),
    )


def _own_cpu_seconds() -> float:
    """Of all threads, and of children that have ended (a compiler, say)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _waited() -> dict[str, int]:
    """Nanoseconds that each thread has been ready to run without a core so far (Linux,
    Documentation/scheduler/sched-stats.rst: the second figure of ``schedstat``)."""
    waited = {}
    try:
        threads = os.listdir(_PROC / "self" / "task")
    except OSError:
        return {}
    for thread in threads:
        words = (read(_PROC / "self" / "task" / thread / "schedstat") or "").split()
        if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            waited[thread] = int(words[1])
    return waited


def _ticks(cpus: frozenset[int]) -> tuple[float, float] | None:
    """Busy and stolen seconds of these CPUs since the machine was started (proc(5), /proc/stat).

    Time of guests is part of the user's. It is counted in ticks, mostly of 10 ms.
    """
    busy = stolen = 0
    found = False
    for line in (read(_PROC / "stat") or "").splitlines():
        name, _, rest = line.partition(" ")
        if not (name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus):
            continue
        ticks = [int(word) for word in rest.split()]
        if len(ticks) < 7:
            return None
        user, nice, system, _, _, irq, softirq, *more = ticks
        busy += user + nice + system + irq + softirq
        stolen += more[0] if more else 0
        found = True
    second = os.sysconf("SC_CLK_TCK") if found else 1
    return (busy / second, stolen / second) if found else None


def _quota() -> tuple[int, int] | None:
    """Periods and stops of all quotas together."""
    counted = [quota.counted() for quota in cpu_quotas()]
    return (max(c[0] for c in counted), sum(c[1] for c in counted)) if counted else None


def _between(before: _Reading, after: _Reading, gpu: WatchedGpu | None) -> Watched:
    own = max(after.cpu - before.cpu, 0.0)
    others = stolen = waited = None
    if before.ticks is not None and after.ticks is not None and before.cpus == after.cpus:
        others = max(after.ticks[0] - before.ticks[0] - own, 0.0)
        stolen = max(after.ticks[1] - before.ticks[1], 0.0)
    if before.waited and after.waited:
        since = [now - before.waited.get(thread, 0) for thread, now in after.waited.items()]
        waited = sum(max(each, 0) for each in since) / 1e9
    quota = None if before.quota is None or after.quota is None else (before.quota, after.quota)
    return Watched(
        wall_seconds=after.wall - before.wall,
        own_cpu_seconds=own,
        cpus=len(after.cpus),
        waited_seconds=waited,
        others_cpu_seconds=others,
        steal_seconds=stolen,
        quota_periods=None if quota is None else max(quota[1][0] - quota[0][0], 0),
        quota_stops=None if quota is None else max(quota[1][1] - quota[0][1], 0),
        mhz_after=None if after.clock is None else after.clock.mhz,
        base_mhz=None if after.clock is None else after.clock.base_mhz,
        thermal_throttles=_more(before.heat, after.heat),
        gpu=gpu,
    )


def _more(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(after - before, 0)


def _gpu(before: GpuState, after: GpuState | None, busy: float | None) -> WatchedGpu:
    """What the driver counted between two readings, and the later one."""
    shown = after or before
    counted = {} if after is None else after.limited_seconds
    known = before.limited_seconds
    limited = {why: max(counted[why] - known[why], 0.0) for why in counted if why in known}
    return WatchedGpu(
        limited_seconds={why: seconds for why, seconds in limited.items() if seconds > 0},
        limited_now=() if counted or after is None else after.limited_now,
        others=before.others,
        busy_before=busy,
        sm_mhz=shown.number("clocks.sm"),
        max_sm_mhz=shown.number("clocks.max.sm"),
        temperature_c=shown.number("temperature.gpu"),
        power_watts=shown.number("power.draw"),
        power_limit_watts=shown.number("enforced.power.limit"),
    )
