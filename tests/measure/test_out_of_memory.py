from __future__ import annotations

import errno
import sys

import pytest
import torch
from torch import nn

from blocktool.errors import ModuleError
from blocktool.measure.out_of_memory import out_of_memory


def raised(run: object) -> BaseException:
    assert callable(run)
    try:
        run()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_what_torch_and_python_raise() -> None:
    assert out_of_memory(raised(lambda: torch.empty(1 << 46, dtype=torch.uint8)))
    assert out_of_memory(raised(lambda: bytearray(1 << 60)))
    assert out_of_memory(torch.OutOfMemoryError("no more"))


# As they were seen: in reports of users, and on machines whose address space was limited.
MESSAGES = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 12845056 bytes. Error code 12 (Cannot allocate memory)",
    "[enforce fail at alloc_cpu.cpp:73] . DefaultCPUAllocator: not enough memory: you tried to "
    "allocate 8589934592 bytes.",
    "could not create a memory object",
    "could not create a primitive",
    "std::bad_alloc",
    "bad allocation",
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.1 GiB",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
    "CUDA driver error: out of memory",
    "HIP out of memory. Tried to allocate 20.00 MiB",
    "XPU out of memory. Tried to allocate 20.00 GiB",
    "MPS backend out of memory (MPS allocated: 17.72 GB, other allocations: 384.00 KB)",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
)


@pytest.mark.parametrize("message", MESSAGES)
def test_messages(message: str) -> None:
    assert out_of_memory(RuntimeError(message))


OTHERS = (
    RuntimeError("could not create a primitive descriptor for a matmul primitive"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    RuntimeError("out of resource: shared memory, Required: 131072, Hardware limit: 101376"),
    ValueError("the memory bank has 12 entries"),
    OSError(errno.ENOENT, "No such file"),
    IndexError("index out of range in self"),
)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: str(error)[:30])
def test_other_errors(error: Exception) -> None:
    assert not out_of_memory(error)


def test_the_cause_counts() -> None:
    def explained() -> None:
        try:
            torch.empty(1 << 46, dtype=torch.uint8)
        except RuntimeError as error:
            raise ModuleError("Net raised", reason="RuntimeError") from error

    def in_passing() -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise KeyError("cleaning up") from None

    assert out_of_memory(raised(explained))
    assert not out_of_memory(raised(in_passing))
    assert out_of_memory(ExceptionGroup("two", [ValueError("one"), MemoryError()]))
    assert out_of_memory(OSError(errno.ENOMEM, "mmap"))
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not out_of_memory(one)


def test_the_reason_of_an_error_of_ours_counts() -> None:
    error = ModuleError("Net raised", reason="RuntimeError: CUDA out of memory. Tried to allocate")
    assert out_of_memory(error)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_convolution_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from blocktool.measure import memory_limits
    from blocktool.measure.memory_limits import limited

    monkeypatch.setattr(memory_limits, "_MALLOC_SETTINGS", ())  # which would stay
    conv, x = nn.Conv2d(64, 64, 3, padding=1), torch.zeros(32, 64, 224, 224)

    def run() -> None:
        with torch.no_grad(), limited(torch.device("cpu"), 1 << 20):
            conv(x)

    assert out_of_memory(raised(run))
