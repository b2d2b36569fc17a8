"""How much memory a run may take, and whether it ran out of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from blocktool.trace.host_memory import available_memory

_SIGNS = (
    "can't allocate memory",
    "out of memory",
    "could not create a memory",
    "could not create a primitive",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Cannot allocate memory",
)
_SHARE = 0.9
"""Of what is free, on a CPU: the rest is the system's, and what the allocator loses."""
_SLACK_BYTES = 512 * 1024**2
"""Address space beyond the limit: code, thread stacks, kernels' scratchpads."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device; also where the error was raised from such a one."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, (MemoryError, torch.OutOfMemoryError)):
            return True
        if isinstance(link, RuntimeError) and any(sign in str(link) for sign in _SIGNS):
            return True
        link = link.__cause__ or link.__context__
    return False


def free_memory(device: torch.device) -> tuple[int, str] | None:
    """Bytes that a run may take on the device, and where the figure comes from; None where the
    device does not say."""
    if device.type == "cpu":
        return _free_on_cpu()
    asked = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    if asked is not None:
        free, _ = asked(device)
        return int(free), f"free on {device}"
    return None


def _free_on_cpu() -> tuple[int, str] | None:
    found: list[tuple[int, str]] = []
    available = available_memory()
    if available is not None:
        found.append((int(_SHARE * available), f"{_SHARE:.0%} of the memory that is free"))
    space = _address_space_left()
    if space is not None:
        found.append((max(space - _SLACK_BYTES, 0), "limit of the address space (ulimit -v)"))
    return min(found, default=None)


def _address_space_left() -> int | None:
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError, ValueError):
        return None
    used = _address_space_used()
    if soft == resource.RLIM_INFINITY or used is None:
        return None
    return max(soft - used, 0)


def _address_space_used() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        import resource

        return pages * resource.getpagesize()
    except (OSError, ValueError, IndexError, ImportError):
        return None


@contextmanager
def limited(device: torch.device, nbytes: int) -> Iterator[None]:
    """While this lasts, a run that takes far more than ``nbytes`` raises, instead of waking the
    system's killer: on a CPU the address space is limited, on CUDA torch's allocator."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(nbytes / total, 1.0), device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        return
    used = _address_space_used() if sys.platform == "linux" and device.type == "cpu" else None
    if used is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + nbytes + max(nbytes // 4, _SLACK_BYTES)
    if before[0] != resource.RLIM_INFINITY:
        wanted = min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (wanted, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
