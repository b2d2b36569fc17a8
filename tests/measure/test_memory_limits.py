from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from blocktool.measure import memory_limits, processor
from blocktool.measure.memory_limits import address_space, free_memory, limited

CPU = torch.device("cpu")
GIB = 1024**3
NONE = 9223372036854771712
"""What control groups of version 1 say where there is no limit."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")
Machine = Callable[[dict[str, str]], None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Files of a machine in place of the real ones; ``proc/...`` and ``cgroup/...``."""
    monkeypatch.setattr(memory_limits, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(processor, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(processor, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory_limits, "_allowed_address_space", lambda: None)

    def made(files: dict[str, str]) -> None:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return made


def nine_tenths(nbytes: int) -> int:
    return nbytes * 9 // 10


MEMINFO = "MemTotal:       33554432 kB\nMemFree:  1 kB\nMemAvailable:   20971520 kB\n"


def test_the_machine(machine: Machine) -> None:
    machine({"proc/meminfo": MEMINFO})
    assert free_memory(CPU) == (nine_tenths(20 * GIB), "90% of the available memory")


def test_a_container_of_version_2(machine: Machine) -> None:
    machine(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/a/b\n",
            "cgroup/a/b/memory.max": "max\n",
            "cgroup/a/b/memory.current": "12345\n",
            "cgroup/a/memory.max": f"{8 * GIB}\n",
            "cgroup/a/memory.current": f"{3 * GIB}\n",
            "cgroup/a/memory.stat": f"anon 1\nfile 2\ninactive_file {GIB}\nactive_file 7\n",
        }
    )
    limit = (nine_tenths(6 * GIB), "90% of what the container's limit leaves")
    assert free_memory(CPU) == limit


def test_a_container_of_version_1(machine: Machine) -> None:
    # The path is the host's; inside, the container's own group is what is mounted.
    machine(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "5:cpu:/docker/1f\n4:memory:/docker/1f\n",
            "cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
            "cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
            "cgroup/memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}\n",
        }
    )
    limit = (nine_tenths(3 * GIB), "90% of what the container's limit leaves")
    assert free_memory(CPU) == limit


def test_no_limit_of_version_1(machine: Machine) -> None:
    machine(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "4:memory:/\n",
            "cgroup/memory/memory.limit_in_bytes": f"{NONE}\n",
            "cgroup/memory/memory.usage_in_bytes": "7\n",
            "cgroup/memory/memory.stat": "total_inactive_file 0\n",
        }
    )
    assert free_memory(CPU) == (nine_tenths(20 * GIB), "90% of the available memory")


def test_the_address_space(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine({"proc/meminfo": MEMINFO, "proc/self/status": f"Name: x\nVmSize:\t{GIB // 1024} kB\n"})
    monkeypatch.setattr(memory_limits, "_allowed_address_space", lambda: 6 * GIB)
    limit = free_memory(CPU)
    assert limit is not None
    assert 4.5 * GIB < limit[0] < 5 * GIB
    assert limit[1] == "the limit of the address space (ulimit -v)"


def test_a_system_that_says_nothing(machine: Machine) -> None:
    assert free_memory(CPU) is None


@linux
def test_this_machine() -> None:
    psutil = pytest.importorskip("psutil")
    limit = free_memory(CPU)
    assert limit is not None
    assert 0 < limit[0] <= psutil.virtual_memory().total
    assert address_space() == pytest.approx(psutil.Process().memory_info().vms, rel=0.01)


@linux
def test_what_is_too_large_raises_and_what_is_not_runs() -> None:
    # In a process of its own: malloc stays as it was told to be.
    code = """
import resource
import torch
from blocktool.measure.memory_limits import limited

before = resource.getrlimit(resource.RLIMIT_AS)
with limited(torch.device("cpu"), 1 << 30) as can:
    assert can
    # Given back and taken again, it is no more than it was.
    for _ in range(20):
        pieces = [torch.empty(1 << 20, dtype=torch.uint8) for _ in range(1000)]
        del pieces
        pieces = [torch.empty(40 << 20, dtype=torch.uint8) for _ in range(25)]
        del pieces
    try:
        torch.empty(1300 << 20, dtype=torch.uint8)
    except RuntimeError:
        print("raised")
assert resource.getrlimit(resource.RLIMIT_AS) == before
torch.empty(1300 << 20, dtype=torch.uint8)
print("free again")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert run.stdout.split("\n")[:2] == ["raised", "free again"], run.stderr


@linux
def test_a_lower_limit_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(memory_limits, "_MALLOC_SETTINGS", ())  # which would stay

    taken = address_space()
    assert taken is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + GIB, hard))
    try:
        with limited(CPU, 1 << 44):
            assert resource.getrlimit(resource.RLIMIT_AS)[0] == taken + GIB
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == taken + GIB
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.gpu
def test_a_gpu() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    held = torch.empty(1 << 20, device=device)
    limit = free_memory(device)
    free, total = torch.cuda.mem_get_info(device)
    assert limit is not None
    assert free <= limit[0] <= total
    with limited(device, 64 << 20), pytest.raises(torch.OutOfMemoryError):
        torch.empty(128 << 20, dtype=torch.uint8, device=device)
    torch.empty(128 << 20, dtype=torch.uint8, device=device)
    del held
