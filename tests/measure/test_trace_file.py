"""Trace files, as a reader of the format sees them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import profile

from blocktool.errors import OutputError
from blocktool.measure.step import Phase, Step
from blocktool.measure.steps import scope, step_for
from blocktool.measure.trace_file import write_trace
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments

CPU = torch.device("cpu")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        shared = nn.ReLU()
        self.stem = nn.Sequential(nn.Linear(4, 8), shared)
        self.head = nn.Sequential(nn.Linear(8, 2), shared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.Sigmoid()(self.head(self.stem(x)))


def step_of(module: nn.Module, mode: RunMode = "inference") -> Step:
    return step_for(module, CallArguments((torch.ones(3, 4),), {}), mode, CPU)


def written(path: Path, step: Step, mode: RunMode = "inference", runs: int = 3) -> Any:
    with scope(mode):
        write_trace(step, path, runs)
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return json.loads(content)["traceEvents"]


def ranges(events: Any) -> list[Any]:
    found = [event for event in events if event.get("cat") == "user_annotation"]
    return sorted(found, key=lambda event: (event["ts"], -event["dur"]))


def inside(event: Any, outer: Any) -> bool:
    return bool(
        outer["ts"] <= event["ts"] and event["ts"] + event["dur"] <= outer["ts"] + outer["dur"]
    )


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_modules_are_ranges_around_their_operations(tmp_path: Path, name: str) -> None:
    events = written(tmp_path / name, step_of(Net()), runs=2)
    one_run = [
        *("forward", "Net", "stem: Sequential", "stem.0: Linear", "stem.1: ReLU"),
        *("head: Sequential", "head.0: Linear", "head.1: ReLU", "<Sigmoid>: Sigmoid"),
    ]
    found = ranges(events)
    assert [event["name"] for event in found] == ["run 1", *one_run, "run 2", *one_run]
    assert all(inside(event, found[0]) for event in found[: len(one_run) + 1])
    for operation, module in (
        ("aten::addmm", "stem.0: Linear"),
        ("aten::sigmoid", "<Sigmoid>: Sigmoid"),
    ):
        ran = [event for event in events if event["name"] == operation]
        around = [event for event in found if event["name"] == module]
        assert sum(inside(event, outer) for event in ran for outer in around) == 2
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_the_phases_of_a_training_step(tmp_path: Path) -> None:
    events = written(tmp_path / "a.json", step_of(Net(), "training"), "training", runs=1)
    phases = {event["name"]: event for event in ranges(events)}
    backward = [e for e in events if e["name"] == "AddmmBackward0"]
    assert len(backward) == 2
    assert all(inside(event, phases["backward"]) for event in backward)
    assert phases["optimizer"]["ts"] > phases["backward"]["ts"]


def test_names_that_would_break_the_file(tmp_path: Path) -> None:
    module = nn.Sequential()
    module.add_module('a"b\\c\n\x1b畳', nn.Identity())
    assert [event["name"] for event in ranges(written(tmp_path / "a.json", step_of(module)))][
        :4
    ] == ["run 1", "forward", "Sequential", "a'b/c???: Identity"]


def test_what_was_there_is_replaced_and_a_link_followed(tmp_path: Path) -> None:
    file, link = tmp_path / "real.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    assert ranges(written(link, step_of(Net())))
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_places_that_cannot_be_written_are_refused_before_anything_runs(tmp_path: Path) -> None:
    def never() -> None:
        raise AssertionError

    step = Step((Phase("forward", never),), CPU)
    with pytest.raises(OutputError, match="is a directory"):
        write_trace(step, tmp_path)
    with pytest.raises(OutputError, match=r"there is no directory .*nowhere"):
        write_trace(step, tmp_path / "nowhere" / "a.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="there is no directory"):
        write_trace(step, tmp_path / "file" / "a.json")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", [None, "", '{"traceEvents": [{"na'])
def test_half_a_trace_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """The profiler does not raise where a disk is full."""

    def export(self: profile, path: str) -> None:
        if content is not None:
            Path(path).write_text(content)

    monkeypatch.setattr(profile, "export_chrome_trace", export)
    file = tmp_path / "a.json"
    file.write_text("old")
    with pytest.raises(OutputError, match="no whole trace"):
        write_trace(step_of(Net()), file)
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert file.read_text() == "old"


def test_an_error_comes_through_and_leaves_nothing(tmp_path: Path) -> None:
    class Fails(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("as asked")

    call = nn.Module.__call__
    with pytest.raises(ValueError, match="as asked"):
        write_trace(step_of(nn.Sequential(Fails())), tmp_path / "a.json")
    assert nn.Module.__call__ is call
    assert list(tmp_path.iterdir()) == []
    assert ranges(written(tmp_path / "b.json", step_of(Net())))  # the profiler is free again


def test_the_profiler_s_own_log_is_not_for_the_user(tmp_path: Path) -> None:
    """In a process of its own: what the profiler logs is settled when it first runs."""
    code = """
from pathlib import Path
import sys, torch
from blocktool.measure.step import Phase, Step
from blocktool.measure.trace_file import write_trace
step = Step((Phase("forward", lambda: torch.ones(1)),), torch.device("cpu"))
write_trace(step, Path(sys.argv[1]))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.json")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "a.json").exists()


@pytest.mark.gpu
def test_on_a_gpu_kernels_are_in_it(tmp_path: Path) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    module = Net().to(device)
    arguments = CallArguments((torch.ones(3, 4, device=device),), {})
    events = written(tmp_path / "a.json", step_for(module, arguments, "inference", device))
    assert any(event.get("cat") == "kernel" for event in events)
