"""What goes wrong in one case is its outcome: the rest goes on, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import Project

from blocktool.measure.request import Request, Rule
from blocktool.measure.runner import Listener, run
from blocktool.results.profile import Profile

QUICK = Rule(min_seconds=0.02, max_seconds=0.05, precision=0.5)
RUNS = "import os, sys\nfrom blocktool.cli import main\nmain()"

EVIL = """
    import ctypes
    import os
    import signal
    import time

    import torch
    from torch import nn


    class At(nn.Module):
        '''Well-behaved, but for one batch size.'''

        def __init__(self, batch=2, how="raise"):
            super().__init__()
            self.linear = nn.Linear(8, 8)
            self.batch, self.how = batch, how

        def forward(self, x):
            if x.shape[0] == self.batch and not x.is_meta:
                getattr(self, f"_{self.how}")(x)
            return self.linear(x)

        def _raise(self, x):
            raise ValueError("two is a crowd")

        def _allocate(self, x):
            torch.empty(1 << 46, dtype=torch.uint8)

        def _crash(self, x):
            ctypes.string_at(0)

        def _hang(self, x):
            open("hanging", "w").close()
            while True:
                time.sleep(0.1)

        def _exit(self, x):
            os._exit(3)

        def _kill(self, x):
            os.kill(os.getpid(), signal.SIGKILL)

        def _leave(self, x):
            raise SystemExit(4)

        def _stop(self, x):
            raise Stop("a class of the user's own, which is no Exception")

        def _interrupt(self, x):
            raise KeyboardInterrupt

        def _fork(self, x):
            import subprocess
            subprocess.Popen(["sleep", "77.7"])
            self._hang(x)

        def _late(self, x):
            self.calls = getattr(self, "calls", 0) + 1
            time.sleep(0.001)
            if self.calls > 150:
                raise ValueError("that is enough")

        def _profiled(self, x):
            if torch.autograd._profiler_enabled():
                raise ValueError("not while someone looks")


    class Stop(BaseException):
        pass
"""


@pytest.fixture
def evil(project: Project) -> Path:
    return project.write("evil.py", EVIL)


def profiled(
    how: str,
    *,
    timeout: float = 60.0,
    batches: tuple[int, ...] = (1, 2, 3),
    rule: Rule = QUICK,
) -> Profile:
    from blocktool.targets.inputs import parse_inputs

    request = Request(
        target="evil.py:At",
        arguments=(f"how={how}",),
        inputs=parse_inputs(["1x8"]),
        device="cpu",
        batches=batches,
        ceilings=False,
        threads=1,
    )
    return run(request, rule, timeout=timeout)


def outcomes(profile: Profile) -> list[tuple[int | None, str, str | None]]:
    return [(case.batch, case.outcome, case.kind) for case in profile.cases]


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("raise", "error", "ValueError: two is a crowd"),
        ("crash", "crash", "SIGSEGV"),
        ("exit", "exited", "exit code 3"),
        ("leave", "error", "SystemExit: 4"),
        ("stop", "error", "Stop: a class of the user's own"),
        ("interrupt", "error", "KeyboardInterrupt"),
    ],
)
def test_a_case_that_fails_does_not_stop_the_others(
    evil: Path, how: str, kind: str, words: str
) -> None:
    profile = profiled(how)
    assert outcomes(profile) == [(1, "passed", None), (2, "failed", kind), (3, "passed", None)]
    bad = profile.cases[1]
    assert bad.reason is not None
    assert words in bad.reason
    assert bad.latency_ms is None
    assert profile.cases[2].latency_ms is not None


def test_samples_before_an_exception_are_kept(evil: Path) -> None:
    (case,) = profiled("late", batches=(2,), rule=Rule(min_seconds=5.0)).cases
    assert (case.outcome, case.kind) == ("failed", "error")
    assert "that is enough" in (case.reason or "")
    assert case.latency_ms is not None
    assert len(case.latency_ms.samples) >= 3
    assert case.latency_ms.p50 >= 1


def test_times_are_kept_where_the_memory_cannot_be_measured(evil: Path) -> None:
    (case,) = profiled("profiled", batches=(2,)).cases
    assert case.outcome == "passed"
    assert case.latency_ms is not None
    assert case.peak_bytes is None
    assert any("memory" in note and "not while someone looks" in note for note in case.notes)


@pytest.mark.parametrize("how", ["raise", "crash"])
def test_the_users_line_is_told(evil: Path, how: str) -> None:
    bad = profiled(how, batches=(2,)).cases[0]
    assert any("evil.py" in line and f"_{how}" in line for line in bad.details), bad.details


@pytest.mark.parametrize(
    ("how", "kind"), [("allocate", "out-of-memory"), ("hang", "timeout"), ("kill", "killed")]
)
def test_larger_batches_have_no_hope(evil: Path, how: str, kind: str) -> None:
    profile = profiled(how, timeout=3.0 if how == "hang" else 60.0, batches=(2, 3))
    assert outcomes(profile) == [(2, "failed", kind), (3, "skipped", "hopeless")]
    assert "batch 2" in (profile.cases[1].reason or "")
    if how == "hang":
        details = profile.cases[0].details
        assert any("evil.py" in line and "_hang" in line for line in details), details


def test_a_smaller_batch_after_a_failure_still_runs(evil: Path) -> None:
    profile = profiled("allocate", batches=(2, 1))
    assert outcomes(profile) == [(2, "failed", "out-of-memory"), (1, "passed", None)]


def test_the_profile_so_far_is_told_after_each_case(evil: Path) -> None:
    from blocktool.targets.inputs import parse_inputs

    seen: list[int] = []
    request = Request(
        "evil.py:At",
        inputs=parse_inputs(["1x8"]),
        device="cpu",
        batches=(1, 3),
        ceilings=False,
        threads=1,
    )
    run(request, QUICK, listener=Listener(case_done=lambda so_far: seen.append(len(so_far.cases))))
    assert seen == [1, 2]


def command(*args: str, preload: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"{preload}\n{RUNS}", "profile", "evil.py:At", "-i", "1x8", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(session: int) -> Iterator[int]:
    """Processes of a session that still run, by the kernel's own tables."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                yield int(entry.name)


def gone(session: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not list(processes_of(session)):
            return True
        time.sleep(0.05)
    return False


def wait_for(path: Path, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} was never written"
        time.sleep(0.05)


LONG = ("--batch", "1,2,3", "how=hang", "--no-ceilings", "--min-time", "0.05", "-d", "cpu")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads Linux's process table")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_measured_is_kept_and_nothing_is_left_running(
    evil: Path, project: Project, sent: signal.Signals
) -> None:
    output = project.root / "out.json"
    process = command(*LONG, "-o", str(output))
    wait_for(project.root / "hanging")
    os.kill(process.pid, sent)
    process.communicate(timeout=60)
    ends = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert process.returncode == ends[sent]
    assert gone(process.pid)
    report = json.loads(output.read_text())
    assert report["cases"][0]["outcome"] == "passed"
    assert report["cases"][0]["latency_ms"]["samples"]
    if sent != signal.SIGKILL:
        assert report["interrupted"]
        assert [case["kind"] for case in report["cases"][1:]] == ["interrupted", "interrupted"]


def test_what_a_hanging_module_started_ends_with_it(evil: Path) -> None:
    (case,) = profiled("fork", timeout=3.0, batches=(2,)).cases
    assert case.kind == "timeout"
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "77.7"] not in commands


def test_a_process_that_cannot_start_is_one_line(evil: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (250 << 20, 250 << 20))"
    process = command("--batch", "1", "--no-ceilings", preload=limit)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "cannot be prepared" in stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="sets a limit that only Linux keeps")
def test_more_memory_than_the_address_space_has(project: Project) -> None:
    project.write(
        "evil.py",
        """
        import torch
        from torch import nn


        class At(nn.Module):
            def forward(self, x):
                return torch.zeros(x.shape[0] << 24, dtype=torch.uint8)
        """,
    )
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))"
    process = command("--batch", "1,400,500", "--no-ceilings", "-f", "json", preload=limit)
    stdout, stderr = process.communicate(timeout=120)
    cases = json.loads(stdout)["cases"]
    assert [case["kind"] for case in cases] == [None, "out-of-memory", "hopeless"], stderr
    assert process.returncode == 1


def test_an_exception_of_an_unknown_class_can_be_read(project: Project) -> None:
    from blocktool.measure.in_worker import WorkerError
    from blocktool.measure.workers import Workers

    project.write(
        "odd.py",
        """
        class Odd(Exception):
            def __init__(self, *, width):
                super().__init__(f"width {width}")

        def fail(width):
            raise Odd(width=width)
        """,
    )
    sys.path.insert(0, str(project.root))
    with (
        Workers("odd") as workers,
        pytest.raises(WorkerError, match="Odd: width 3") as caught,
    ):
        workers.call("fail", 3)
    assert any("odd.py" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("seconds", [0.5, 1.2])
def test_an_early_interrupt_is_quiet(evil: Path, seconds: float) -> None:
    process = command("--batch", "1,2", "--no-ceilings", "--min-time", "5")
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of the group
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert gone(process.pid)


def test_a_measured_case_is_kept_when_its_other_processes_are_interrupted(evil: Path) -> None:
    from blocktool.targets.inputs import parse_inputs

    request = Request(
        "evil.py:At", inputs=parse_inputs(["1x8"]), device="cpu", ceilings=False, threads=1
    )

    def interrupt(*said: object) -> None:
        if "another process" in getattr(said[-1], "doing", ""):
            raise KeyboardInterrupt

    rule = Rule(min_seconds=3.0, max_seconds=3.0, processes=3)
    profile = run(request, rule, listener=Listener(progress=interrupt))
    assert profile.interrupted
    (case,) = profile.cases
    assert case.outcome == "passed"
    assert case.latency_ms is not None
    assert case.peak_bytes is not None
