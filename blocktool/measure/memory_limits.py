"""How much memory a run may take, and whether it ran out of it."""

from __future__ import annotations

import torch

_SIGNS = (
    "can't allocate memory",
    "out of memory",
    "could not create a memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Cannot allocate memory",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device: also where the error was raised from such a one."""
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
