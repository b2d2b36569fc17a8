from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.conftest import Blocktool
from conftest import Project

NETS = """
    import torch
    from torch import nn

    class Net(nn.Module):
        example_inputs = "1x3x32x32"
        def __init__(self, width=8, stride=1):
            super().__init__()
            self.conv = nn.Conv2d(3, width, 3, stride, padding=1)
        def forward(self, x):
            print("hello from forward")
            return self.conv(x)

    class Skips(Net):
        def forward(self, x):
            half = nn.functional.max_pool2d(self.conv(x), 2)
            return self.conv(x) + nn.functional.interpolate(half, scale_factor=2)

    class NoInputs(nn.Module):
        def forward(self, x):
            return x
"""


@pytest.fixture
def nets(project: Project) -> str:
    project.write("nets.py", NETS)
    return "nets.py:Net"


def test_a_module_that_holds(blocktool: Blocktool, nets: str) -> None:
    done = blocktool("check-shapes", nets)
    assert done.code == 0
    assert "B, 8, H, W (found)" in done.out
    assert "0 failed" in done.out.splitlines()[-1]
    assert "hello" not in done.out


def test_a_module_that_does_not(blocktool: Blocktool, nets: str) -> None:
    done = blocktool("check-shapes", "nets.py:Skips", "--mode", "eval", "--dtype", "float32")
    assert done.code == 1
    assert "where H or W is odd" in done.out
    assert "return self.conv(x) + nn.functional.interpolate" in done.out
    line = next(each for each in done.out.splitlines() if "blocktool check-shapes" in each)
    again = blocktool(*line.split()[1:])
    assert again.code == 1
    fine = blocktool("check-shapes", "nets.py:Skips", "--where", "H % 2 == 0 and W % 2 == 0")
    assert fine.code == 0


def test_the_contract_of_the_json(blocktool: Blocktool, nets: str) -> None:
    done = blocktool(
        *("check-shapes", nets, "width=4,8", "--expect", "B, width, H, W", "--batch", "1,2"),
        *("--size", "32,33,64x48", "--dtype", "float32,bfloat16", "--mode", "eval,train"),
        *("-f", "json"),
    )
    assert done.code == 0
    report = json.loads(done.out)
    assert (report["schema_version"], report["kind"]) == ("1", "check-shapes")
    assert report["proofs"] == []
    case = report["cases"][0]
    for key in ("target", "arguments", "inputs", "dtype", "mode", "outcome", "kind", "reproduce"):
        assert key in case
    assert case["arguments"] == {"width": 4}
    shapes = {tuple(case["inputs"][0]["shape"]) for case in report["cases"]}
    assert shapes == {
        (b, 3, h, w) for b in (1, 2) for h, w in ((32, 32), (33, 33), (64, 48))
    }  # fmt: skip
    assert {case["dtype"] for case in report["cases"]} == {"float32", "bfloat16"}
    assert {case["outcome"] for case in report["cases"]} == {"passed"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nets.py:Missing"], "has no attribute 'Missing'"),
        (["nets.py:NoInputs"], "has no default input"),
        (["nets.py:Net", "heigth=3"], "takes no argument 'heigth'"),
        (["nets.py:Net", "--size", "3a"], "--size: '3a' is not a size"),
        (["nets.py:Net", "--batch", "0"], "--batch: '0'"),
        (["nets.py:Net", "--dtype", "flaot32"], "unknown dtype"),
        (["nets.py:Net", "--mode", "evil"], "--mode"),
        (["nets.py:Net", "--expect", "B, foo(H)"], "unknown function 'foo'"),
        (["nets.py:Net", "--expect", "B, X"], "unknown size 'X'"),
        (["nets.py:Net", "--where", "H %% 2"], "--where: not an expression"),
        (["nets.py:Net", "--where", "H > 100000"], "no sizes are left"),
        (["nets.py:Net", "--device", "cuda:99"], "cuda:99"),
        (["nets.py:Net", "-f", "yaml"], "has no format 'yaml'"),
        (["nets.py:Net", "-j", "0"], "--jobs"),
        (["nets.py:Net", "--memory-format", "nhwc"], "--memory-format"),
        (["nets.py:Net", "--skip", "shapes"], "--skip"),
        (["nets.py:Net", "--nonsense"], "no such option"),
        (["other/*.yaml"], "no configuration matches"),
        (["stride=2"], "an argument of no target"),
        (["convv"], "unknown block"),
    ],
)
def test_bad_input(blocktool: Blocktool, nets: str, words: list[str], message: str) -> None:
    done = blocktool("check-shapes", *words)
    assert done.code == 2
    assert done.out == ""
    assert any(line.startswith("error: ") for line in done.err.splitlines())
    assert message in done.err
    assert "Traceback" not in done.err
    assert "defect" not in done.err


def test_an_existing_file_is_left_alone(blocktool: Blocktool, nets: str) -> None:
    Path("report.xml").write_text("mine")
    done = blocktool("check-shapes", nets, "-o", "report.xml")
    assert done.code == 2
    assert Path("report.xml").read_text() == "mine"
    assert blocktool("check-shapes", nets, "-o", "report.xml", "--force").code == 0
    assert Path("report.xml").read_text().startswith("<?xml")


def test_the_summary_of_a_github_job(
    blocktool: Blocktool, nets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert blocktool("check-shapes", nets, "--size", "8", "-f", "github").code == 0
    text = Path("summary.md").read_text()
    assert text.startswith("before\n")
    assert "Shapes hold" in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    done = blocktool("check-shapes", nets, "--size", "8")
    assert done.code == 0
    assert "warning: cannot write the step summary" in done.err


def test_defaults_of_the_project(
    blocktool: Blocktool, project: Project, nets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "pyproject.toml",
        """
        [tool.blocktool]
        mode = "training"
        batch = 2

        [tool.blocktool.sweeps."nets.py:Net"]
        size = [8, 9]
        arguments = { width = [4, 8] }
        expect = "B, width, H, W"
        """,
    )
    report = json.loads(blocktool("check-shapes", "-f", "json").out)
    assert {case["target"] for case in report["cases"]} == {nets}
    assert {case["mode"] for case in report["cases"]} == {"train"}
    assert {case["inputs"][0]["shape"][0] for case in report["cases"]} == {2}
    monkeypatch.setenv("BLOCKTOOL_EXPECT", "B, 9, H, W")
    assert blocktool("check-shapes", nets).code == 1


def test_fail_fast_says_so(blocktool: Blocktool, nets: str) -> None:
    done = blocktool("check-shapes", nets, "conv", "--expect", "B, 1", "--fail-fast", "-j", "1")
    assert done.code == 1
    assert "stopped" in done.out + done.err


def test_ctrl_c_keeps_what_was_done(project: Project) -> None:
    project.write(
        "slow.py",
        """
        import os, time
        from torch import nn

        class Slow(nn.Module):
            example_inputs = "1x3x8x8"
            def forward(self, x):
                time.sleep(0.3)
                os.close(os.open(f"ran-{time.monotonic_ns()}", os.O_CREAT))
                return x * 2
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "blocktool", "check-shapes", "slow.py:Slow", "-o", "r.json", "-j2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 60
        while len(list(project.root.glob("ran-*"))) < 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    report = json.loads(Path("r.json").read_text())
    assert report["stopped_early"] is True
    assert 0 < len(report["cases"]) < 60
    count = len(list(project.root.glob("ran-*")))
    time.sleep(1)
    assert len(list(project.root.glob("ran-*"))) == count  # nothing is left running
