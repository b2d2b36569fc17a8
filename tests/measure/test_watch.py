"""The load is made here, and read by psutil as well; arithmetic is tested with made-up files."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from blocktool.measure import processor, watch
from blocktool.measure.watch import Watch
from blocktool.results.watched import Watched

CPU = torch.device("cpu")
BUSY = "while True: pass"

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")


@pytest.fixture
def pinned() -> Iterator[int]:
    """This thread, and what it starts, on one CPU."""
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    os.sched_setaffinity(0, {cpu})
    yield cpu
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """Another process that computes without end."""
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", BUSY]) as process:
        other = psutil.Process(process.pid)
        while other.cpu_times().user < 0.05:
            time.sleep(0.01)
        yield other
        process.kill()


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def seen(watch: Watch) -> Watched:
    assert watch.watched is not None
    return watch.watched


@linux
def test_what_others_use(busy: psutil.Process) -> None:
    before = busy.cpu_times().user
    with Watch(CPU) as look:
        time.sleep(0.4)
    used = busy.cpu_times().user - before
    found = seen(look)
    # Both are counted in ticks of 10 ms, at slightly different moments; more processes may run.
    assert found.others_cpu_seconds is not None
    assert found.others_cpu_seconds > used - 0.1
    assert found.own_cpu_seconds < 0.2
    assert found.cpus == len(psutil.Process().cpu_affinity())


@linux
def test_a_thread_runs_or_waits_for_its_core(pinned: int, busy: psutil.Process) -> None:
    with Watch(CPU) as look:
        spin(0.4)
    found = seen(look)
    if found.waited_seconds is None:
        pytest.skip("this kernel does not count it")
    assert found.cpus == 1
    # Whatever else runs: a thread that never sleeps either has the core or waits for it.
    stolen = found.steal_seconds or 0.0
    accounted = found.own_cpu_seconds + found.waited_seconds + stolen
    assert accounted == pytest.approx(found.wall_seconds, rel=0.15)
    assert found.waited_share is not None
    assert found.waited_share > 0.1


def test_own_time_includes_children_that_have_ended() -> None:
    with Watch(CPU) as look:
        burn = "import time\nwhile time.process_time() < 0.2: pass"
        subprocess.run([sys.executable, "-S", "-E", "-c", burn], check=True)
    assert seen(look).own_cpu_seconds >= 0.19


def test_it_can_be_sent_and_stays_when_the_block_raises() -> None:
    look = Watch(CPU)
    assert look.watched is None
    with pytest.raises(MemoryError), look:
        raise MemoryError
    found = seen(look)
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.wall_seconds > 0


def test_where_there_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((watch, "_PROC"), (processor, "_PROC"), (processor, "_CPUS")):
        monkeypatch.setattr(module, name, tmp_path / "none")
    with Watch(CPU) as look:
        spin(0.01)
    found = seen(look)
    assert found.own_cpu_seconds > 0
    assert found == Watched(found.wall_seconds, found.own_cpu_seconds, found.cpus)
    assert found.others_share is found.steal_share is found.waited_share is None


def test_ticks_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PROC", tmp_path)
    second = os.sysconf("SC_CLK_TCK")
    lines = [
        "cpu  9999 9999 9999 9999 9999 9999 9999 9999 0 0",  # the sum over all, not ours
        "cpu0 1 2 3 1000 1000 4 5 6 70 80",
        "cpu1 10 20 30 1000 1000 40 50 60 700 800",
        "cpu2 5000 0 0 0 0 0 0 0 0 0",
        "intr 77 0",
    ]
    (tmp_path / "stat").write_text("\n".join(lines))
    busy, stolen = watch._ticks(frozenset({0, 1})) or (0, 0)
    # User, nice, system, irq and softirq; idle and waiting for disks is free, guests are users.
    assert busy * second == 1 + 2 + 3 + 4 + 5 + 10 + 20 + 30 + 40 + 50
    assert stolen * second == 6 + 60
    (tmp_path / "stat").write_text("cpu0 1 2")
    assert watch._ticks(frozenset({0})) is None


def test_differences_by_hand() -> None:
    before = watch._Reading(
        wall=10.0,
        cpu=1.0,
        cpus=frozenset({0, 1}),
        waited={"1": 5, "2": 10**9},
        ticks=(100.0, 3.0),
        quota=(40, 2),
        clock=None,
        heat=5,
    )
    after = watch._Reading(
        wall=12.0,
        cpu=2.5,
        cpus=frozenset({0, 1}),
        waited={"1": 10**8 + 5, "3": 2 * 10**8},  # one thread ended, one began
        ticks=(103.0, 3.5),
        quota=(60, 12),
        clock=processor.CoreClock(3100.0, 2000.0),
        heat=5,
    )
    found = watch._between(before, after, None)
    assert found == Watched(
        wall_seconds=2.0,
        own_cpu_seconds=1.5,
        cpus=2,
        waited_seconds=pytest.approx(0.3),
        others_cpu_seconds=1.5,
        steal_seconds=0.5,
        quota_periods=20,
        quota_stops=10,
        mhz_after=3100.0,
        base_mhz=2000.0,
        thermal_throttles=0,
    )
    assert found.others_share == 1.5 / 4
    assert found.steal_share == 0.5 / 4
    assert found.waited_share == pytest.approx(0.3 / 1.8)
