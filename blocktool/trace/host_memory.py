"""How much memory a run with values takes, and how much this process may still take."""

from __future__ import annotations

from pathlib import Path

from blocktool.results.trace import OpTrace

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can still be allocated without swapping, within the limit of the container where
    there is one; None where the platform does not say (it is read from Linux's files)."""
    found = [value for value in (_of_the_machine(), _of_the_container()) if value is not None]
    return min(found, default=None)


def _of_the_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _of_the_container() -> int | None:
    """Control groups, version 2: the limit less what is in use and cannot be dropped."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = (_CGROUP / "memory.stat").read_text().splitlines()
        droppable = next(int(s.split()[1]) for s in statistics if s.startswith("inactive_file "))
        return None if limit == "max" else max(int(limit) - used + droppable, 0)
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def memory_needed(trace: OpTrace) -> int:
    """Bytes that a run of the traced forward on CPU takes: its parameters and buffers, its inputs,
    and the largest sum of what its operations hold at one time."""
    forward = sum(op.phase == "forward" for op in trace.ops)
    change = [0] * (forward + 1)
    before = 0
    for storage in trace.storages:
        if storage.born >= forward:
            continue
        if storage.born < 0:
            before += storage.nbytes
        else:
            change[storage.born] += storage.nbytes
            if storage.died is not None and storage.died < forward:
                change[storage.died + 1] -= storage.nbytes
    now = most = 0
    for step in change:
        now += step
        most = max(most, now)
    return before + most
