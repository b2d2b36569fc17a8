"""Whether an error says that memory ran out. Needs no torch."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from blocktool.trace.limits import text_of

_CLASSES = ("MemoryError", "OutOfMemoryError")
"""Python's; torch.OutOfMemoryError, also under the names that it had before (it is a RuntimeError).
By name, because an error may have come from a process that has torch to one that has not."""

_MESSAGES = re.compile(
    "|".join(
        (
            r"\bout of memory\b",  # CUDA, HIP, XPU, "MPS backend out of memory"
            r"DefaultCPUAllocator: (?:can't allocate|not enough) memory",
            r"\bcannot allocate memory\b",  # strerror(ENOMEM)
            r"\bstd::bad_alloc\b|^bad allocation$",
            r"could not create a memory\b",  # oneDNN
            r"^could not create a primitive$",  # oneDNN: its code or its scratchpad found no room
            r"CUBLAS_STATUS_ALLOC_FAILED|CUSOLVER_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED",
            r"CUSPARSE_STATUS_INSUFFICIENT_RESOURCES|CUSPARSE_STATUS_ALLOC_FAILED",
            r"CUDNN_STATUS_ALLOC_FAILED|CUDNN_STATUS_INTERNAL_ERROR_\w+_ALLOCATION_FAILED",
            r"MIOPEN_?STATUS_?ALLOC_?FAILED",
            r"OUT_OF_(?:DEVICE|HOST)_MEMORY",  # SYCL and Level Zero, Vulkan
        )
    ),
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Whether this error, or one that it was raised from, is for want of memory."""
    return any(_of_memory(each) for each in _causes(error))


def _of_memory(error: BaseException) -> bool:
    if any(cls.__name__ in _CLASSES for cls in type(error).__mro__):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = f"{text_of(error)}\n{getattr(error, 'reason', None) or ''}"
    return any(_MESSAGES.search(line.strip()) for line in text.splitlines())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and the members of groups; each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        # What torch.compile raises carries the error of the user's code beside the usual chain.
        others = (one.__cause__, getattr(one, "inner_exception", None))
        waiting += [other for other in others if isinstance(other, BaseException)]
        if one.__context__ is not None and not one.__suppress_context__:
            waiting.append(one.__context__)
