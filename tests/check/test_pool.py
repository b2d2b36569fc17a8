from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blocktool.check.pool import DiedError, run_all, run_alone


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def pid(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def wait_long(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def raise_it(number: int) -> int:
    raise ValueError(f"no {number}")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_piece_is_done(jobs: int) -> None:
    assert sorted(run_all(square, range(20), jobs)) == [(i, i * i) for i in range(20)]


def test_one_job_runs_here_and_two_do_not() -> None:
    assert {each for _, each in run_all(pid, range(3), 1)} == {os.getpid()}
    others = {each for _, each in run_all(pid, range(6), 2)}
    assert os.getpid() not in others


def test_a_piece_that_kills_its_process_does_not_take_the_rest() -> None:
    done = dict(run_all(square_or_die, range(8), 2))
    assert isinstance(done.pop(3), DiedError)
    assert done == {i: i * i for i in range(8) if i != 3}
    assert isinstance(run_alone(square_or_die, 3), DiedError)
    assert run_alone(square_or_die, 4) == 16


def test_what_a_piece_raises_comes_out() -> None:
    with pytest.raises(ValueError, match="no 0"):
        list(run_all(raise_it, [0], 2))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_nothing_is_left_running_when_it_is_closed(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{i}") for i in range(2)]
    results = run_all(wait_long, [*files], 2)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        results.close()  # type: ignore[attr-defined]
    started = [int(Path(file).read_text()) for file in files if Path(file).exists()]
    assert started
    deadline = time.monotonic() + 10
    while any(map(is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, started))


@pytest.mark.skipif(sys.platform != "linux", reason="by a signal of Linux")
def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    files = [str(tmp_path / f"{i}") for i in range(2)]
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "import os\n"
        "from blocktool.check.pool import run_all\n"
        "def work(path):\n"
        "    Path(path).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        f"list(run_all(work, {files!r}, 2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 20
    while not all(Path(file).exists() for file in files) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)
    parent.kill()
    parent.wait()
    started = [int(Path(file).read_text()) for file in files]
    while any(map(is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, started))
