"""How much memory a run may take, and holding it to that."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from blocktool.measure.out_of_memory import out_of_memory
from blocktool.measure.processor import control_groups, number, read

__all__ = ["free_memory", "limited", "out_of_memory"]

_PROC = Path("/proc")
_SHARE = 0.9
"""Of what a machine or a container has left. At the very end the system takes back its caches, and
with them its programs, before it gives up; and :func:`limited` leaves room on top."""
_BESIDE = 128 * 1024**2
_BESIDE_PER_THREAD = 32 * 1024**2
"""Address space for what is no tensor: code, stacks (8 MiB), packed operands. A training step of
ResNet-50 or ViT-S on two threads needed 20 to 30 MiB beside its live bytes, with the threads there
already (torch 2.13, glibc 2.36)."""
_MALLOC_SETTINGS = ((-3, 64 * 1024), (-8, 1))
"""``M_MMAP_THRESHOLD`` and ``M_ARENA_MAX`` of glibc's malloc.h. Left to itself malloc keeps most of
what is given back, and takes 64 MiB of address space for each thread: those steps then needed up to
1.5 times their live bytes."""

Limit = tuple[int, str]
"""Bytes, and who says so."""


def free_memory(device: torch.device) -> Limit | None:
    """Bytes that a run on ``device`` may take, parameters included, and who says so; None where
    nothing says it.

    On a CPU it is the least of what the machine, the container and the address space of this
    process have left (read from Linux's files), on other devices what is free and what this
    process's allocator holds.
    """
    if device.type == "cpu":
        found = [*_machine(), *_container(), *_address_space()]
        return min(found, default=None)
    try:
        free, _ = torch.accelerator.get_memory_info(device)
        held = torch.accelerator.memory_reserved(device)
    except (RuntimeError, NotImplementedError):
        if device.type != "mps":
            return None
        return int(torch.mps.recommended_max_memory()), "the device's recommended maximum"
    return free + held, "the device's free memory"


def _machine() -> Iterator[Limit]:
    for line in (read(_PROC / "meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            with suppress(ValueError, IndexError):
                yield (
                    int(_SHARE * int(line.split()[1]) * 1024),
                    f"{_SHARE:.0%} of the available memory",
                )


def _container() -> Iterator[Limit]:
    """The limit of each control group less what is in use there and cannot be dropped.

    Version 1 says "no limit" with a number near 2**63.
    """
    for folder in control_groups("memory"):
        for limit, used, droppable in (
            ("memory.max", "memory.current", "inactive_file "),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        ):
            most, now = number(folder / limit), number(folder / used)
            if most is None or now is None or most >= 2**62:
                continue
            for line in (read(folder / "memory.stat") or "").splitlines():
                if line.startswith(droppable):
                    now -= int(line.split()[1])
            yield (
                int(_SHARE * max(most - now, 0)),
                f"{_SHARE:.0%} of what the container's limit leaves",
            )


def _address_space() -> Iterator[Limit]:
    most, taken = _allowed_address_space(), address_space()
    if most is not None and taken is not None:
        yield max(most - taken - _beside(), 0), "the limit of the address space (ulimit -v)"


def _beside() -> int:
    return _BESIDE + torch.get_num_threads() * _BESIDE_PER_THREAD


def _allowed_address_space() -> int | None:
    """The soft limit of this process, None where there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft in (resource.RLIM_INFINITY, -1) else soft


def address_space() -> int | None:
    """Bytes of address space that this process has taken; None where the system does not say."""
    for line in (read(_PROC / "self" / "status") or "").splitlines():
        if line.startswith("VmSize:"):
            return int(line.split()[1]) * 1024
    return None


@contextmanager
def limited(device: torch.device, nbytes: int) -> Iterator[bool]:
    """Let this process take no more than ``nbytes`` from now on, so that a run that is too large
    raises instead of waking the system's out-of-memory killer. Gives whether that can be had.

    On a CPU it is the address space that is limited, with room for what is no tensor; close to the
    limit some libraries crash rather than raise. malloc is told to take larger pieces straight from
    the system and to give them back at once, which makes the address space follow the live bytes;
    that stays, and makes the process slower, so do not time anything in it. On other devices it is
    the share of the device's memory that torch's allocator may take.
    """
    if device.type == "cpu":
        with _limited_address_space(nbytes) as can:
            yield can
    else:
        with _limited_share(device, nbytes) as can:
            yield can


@contextmanager
def _limited_address_space(nbytes: int) -> Iterator[bool]:
    taken = address_space()
    if taken is None:
        yield False
        return
    import resource

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            for setting, value in _MALLOC_SETTINGS:
                ctypes.CDLL(None).mallopt(setting, value)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = _allowed_address_space()
    wanted = taken + nbytes + _beside()
    resource.setrlimit(resource.RLIMIT_AS, (min(wanted, allowed or wanted), hard))
    try:
        yield True
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _limited_share(device: torch.device, nbytes: int) -> Iterator[bool]:
    module = getattr(torch, device.type, None)
    set_share = getattr(module, "set_per_process_memory_fraction", None)
    if set_share is None:
        yield False
        return
    if device.type == "mps":
        total = int(torch.mps.recommended_max_memory())
    else:
        _, total = torch.accelerator.get_memory_info(device)
    of_device = () if device.type == "mps" else (device,)
    set_share(min(nbytes / total, 1.0), *of_device)
    try:
        yield True
    finally:
        with suppress(RuntimeError):  # of a device that answers nothing any more
            set_share(1.0, *of_device)
