from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from blocktool.measure import processor

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")


class Tree:
    """A folder that stands for the system's files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str | int) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(processor, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(processor, "_CPUS", tmp_path / "cpu")
    monkeypatch.setattr(processor, "_CGROUP", tmp_path / "cgroup")
    return Tree(tmp_path)


def allow(monkeypatch: pytest.MonkeyPatch, cpus: int) -> None:
    monkeypatch.setattr(processor, "allowed_cpus", lambda: frozenset(range(cpus)))


@linux
def test_what_psutil_says() -> None:
    assert processor.allowed_cpus() == set(psutil.Process().cpu_affinity())
    memory = processor.memory_bytes()
    assert memory is not None
    assert 0 < memory <= psutil.virtual_memory().total
    assert 1 <= processor.usable_cores() <= psutil.cpu_count()


def test_the_name(tree: Tree) -> None:
    tree.write(
        "proc/cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A Chip @ 2:4\nflags : x"
    )
    if sys.platform != "darwin":
        assert processor.cpu_name() == "A Chip @ 2:4"


def test_without_any_file(tree: Tree) -> None:
    assert processor.cpu_name()
    assert processor.cpu_quotas() == ()
    assert processor.governor() is None
    assert processor.core_clock() is None
    assert processor.thermal_throttles() is None
    assert processor.usable_cores() == len(processor.allowed_cpus())


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        # Version 2, in a container: the group is the root that it sees.
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "250000 100000"}, 2),
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "max 100000"}, 8),
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "50000 100000"}, 1),
        # A limit of a group above counts as well, the least one decides.
        (
            {
                "proc/self/cgroup": "0::/a.slice/b",
                "cgroup/a.slice/cpu.max": "300000 100000",
                "cgroup/a.slice/b/cpu.max": "600000 100000",
            },
            3,
        ),
        # The path is the host's, which the container does not see.
        ({"proc/self/cgroup": "0::/docker/4f", "cgroup/cpu.max": "400000 100000"}, 4),
        # Version 1, with controllers mounted together or apart; -1 is no limit.
        (
            {
                "proc/self/cgroup": "4:memory:/x\n2:cpu,cpuacct:/x\n0::/",
                "cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": 200000,
                "cgroup/cpu,cpuacct/x/cpu.cfs_period_us": 100000,
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/",
                "cgroup/cpu/cpu.cfs_quota_us": -1,
                "cgroup/cpu/cpu.cfs_period_us": 100000,
            },
            8,
        ),
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "what is this"}, 8),
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "100 0"}, 8),
        # A quota of more than there is.
        ({"proc/self/cgroup": "0::/", "cgroup/cpu.max": "6400000 100000"}, 8),
    ],
)
def test_cores_of_a_container(
    files: dict[str, str | int], cores: int, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, 8)
    for path, text in files.items():
        tree.write(path, text)
    assert processor.usable_cores() == cores


def test_stops_of_a_quota(tree: Tree) -> None:
    tree.write("proc/self/cgroup", "0::/")
    tree.write("cgroup/cpu.max", "100000 100000")
    tree.write("cgroup/cpu.stat", "usage_usec 5\nnr_periods 40\nnr_throttled 7\nthrottled_usec 9")
    (quota,) = processor.cpu_quotas()
    assert (quota.cores, quota.counted()) == (1.0, (40, 7))


def test_memory_of_a_container(tree: Tree) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    tree.write("proc/self/cgroup", "0::/a")
    tree.write("cgroup/a/memory.max", "max")
    assert processor.memory_bytes() == whole
    tree.write("cgroup/memory.max", 2**20)
    assert processor.memory_bytes() == 2**20


def test_clock_and_heat(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 4)
    # The 39th field of proc(5)'s stat, after a name that is meant to confuse.
    before = " ".join(str(number) for number in range(4, 39))
    tree.write("proc/self/stat", f"77 (a) b 9) R {before} 3 0 0")
    for core in range(4):
        tree.write(f"cpu/cpu{core}/cpufreq/scaling_cur_freq", 1000000 * (core + 1))
        tree.write(f"cpu/cpu{core}/cpufreq/scaling_governor", "schedutil")
        tree.write(f"cpu/cpu{core}/thermal_throttle/core_throttle_count", core)
        tree.write(f"cpu/cpu{core}/thermal_throttle/package_throttle_count", 100)
    assert processor.core_clock() == processor.CoreClock(4000.0, None)
    tree.write("cpu/cpu3/acpi_cppc/nominal_freq", 2450)
    assert processor.core_clock() == processor.CoreClock(4000.0, 2450.0)
    tree.write("cpu/cpu3/cpufreq/base_frequency", 2900000)
    assert processor.core_clock() == processor.CoreClock(4000.0, 2900.0)
    assert processor.governor() == "schedutil"
    assert processor.thermal_throttles() == 0 + 1 + 2 + 3 + 100
