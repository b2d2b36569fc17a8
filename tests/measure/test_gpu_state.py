"""``nvidia-smi`` is played by a script that answers as the real one does."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch

from blocktool.measure import gpu_state as states
from blocktool.measure.gpu_state import gpu_state
from blocktool.measure.watch import Watch

GPU = torch.device("cuda", 0)

# The answers of the fields in _PLAIN, in their order.
PLAIN = "580.159.04, Enabled, 1410, 1980, 2619, 61, 698.31, 700.00, 37, P0"


class Tool:
    """A script in the place of ``nvidia-smi``, with a file of what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "nvidia-smi"
        self.asked = folder / "asked"

    def answers(self, script: str) -> None:
        self.path.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\n{script}\n', encoding="utf-8")
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def questions(self) -> list[str]:
        return self.asked.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(states, "_name_of", lambda device: "00000000:3B:00.0")
    tool = Tool(tmp_path)
    tool.answers("exit 9")
    monkeypatch.setattr(states, "_driver", states._Driver())
    states.busy_at_first.cache_clear()
    return tool


def recent(counters: str, active: str = "0x0000000000000000", apps: str = "") -> str:
    return f"""
case "$3" in
  *compute-apps*) printf '{apps}' ;;
  *) echo "{PLAIN}, {active}, {counters}" ;;
esac"""


def test_a_recent_driver(tool: Tool) -> None:
    tool.answers(recent("91403239, 0, [N/A], 1000000", "0x0000000000000005", "12\\n345\\n"))
    state = gpu_state(GPU, processes=True)
    assert state is not None
    assert state.number("clocks.sm") == 1410
    assert state.number("power.draw") == 698.31
    assert state.text["driver_version"] == "580.159.04"
    assert state.limited_seconds == {
        "power cap": 91.403239,
        "thermal slowdown": 0.0,
        "power brake": 1.0,
    }
    assert state.limited_now == ("power cap",)  # bit 0 is idleness
    assert state.processes == (12, 345)
    assert all(question.startswith("-i 00000000:3B:00.0 --query-") for question in tool.questions())


def test_an_old_driver_is_asked_for_what_it_knows(tool: Tool) -> None:
    tool.answers(f"""
case "$3" in
  *clocks_event_reasons*) echo 'Field "clocks_event_reasons.active" is not a valid field to query.'
     exit 2 ;;
  *) echo "{PLAIN}, 0x0000000000000060" ;;
esac""")
    state = gpu_state(GPU)
    assert state is not None
    assert state.limited_seconds == {}
    assert state.limited_now == ("thermal slowdown", "thermal slowdown by the hardware")
    assert state.processes is state.others is None
    assert len(tool.questions()) == 3
    gpu_state(GPU)
    assert len(tool.questions()) == 4  # what it does not know it is not asked again


def test_fields_that_a_card_does_not_have(tool: Tool) -> None:
    tool.answers('echo "535.1, [N/A], 300, [Not Supported], 405, 40, [N/A], [N/A], 0, P8"')
    state = gpu_state(GPU)
    assert state is not None
    assert state.number("power.draw") is None
    assert state.number("clocks.sm") == 300
    assert state.limited_now == ()


@pytest.mark.parametrize(
    "script", ["exit 9", "echo 'No devices were found'; exit 6", "echo what", "printf '\\377'"]
)
def test_a_tool_that_cannot(script: str, tool: Tool) -> None:
    tool.answers(script)
    assert gpu_state(GPU, processes=True) is None
    with Watch(GPU) as watch:
        pass
    assert watch.watched is not None
    assert watch.watched.gpu is None


def test_a_tool_that_hangs_is_asked_once(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_TIMEOUT_SECONDS", 0.05)
    tool.answers("exec sleep 60")
    assert gpu_state(GPU) is None
    assert gpu_state(GPU) is None
    assert len(tool.questions()) == 1


def test_without_a_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(states, "_driver", states._Driver())
    monkeypatch.setattr(states, "_name_of", lambda device: "0")
    assert gpu_state(GPU) is None


def test_other_devices_have_none(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert gpu_state(torch.device("cpu")) is None
    assert gpu_state(torch.device("mps")) is None


@pytest.mark.parametrize(
    ("processes", "ours", "others"),
    [
        ((), False, 0),
        ((os.getpid(),), True, 0),
        ((os.getpid(), 5, 6), True, 2),
        ((5,), False, 1),
        # We work on the device, but the ids are those of the host: one of them is us.
        ((5,), True, 0),
        ((5, 6), True, 1),
    ],
)
def test_others(
    processes: tuple[int, ...], ours: bool, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: ours)
    assert states.GpuState(processes=processes).others == others


def test_a_watch_has_what_was_counted_meanwhile(tool: Tool) -> None:
    tool.answers(recent("5000000, 7000000, 0, 0", apps="9\\n"))
    with Watch(GPU) as watch:
        tool.answers(recent("5600000, 7000000, 0, 0", active="0x0000000000000001"))
    assert watch.watched is not None
    gpu = watch.watched.gpu
    assert gpu is not None
    assert gpu.limited_seconds == pytest.approx({"power cap": 0.6})
    assert (gpu.limited_now, gpu.others, gpu.busy_before) == ((), 1, 0.37)
    assert (gpu.sm_mhz, gpu.max_sm_mhz, gpu.temperature_c) == (1410, 1980, 61)
    assert (gpu.power_watts, gpu.power_limit_watts) == (698.31, 700)


def test_our_own_work_is_not_what_the_gpu_was_busy_with_before(tool: Tool) -> None:
    tool.answers(recent("0, 0, 0, 0").replace(", 37,", ", 0,"))
    assert states.busy_at_first(GPU) == 0
    tool.answers(recent("0, 0, 0, 0", apps="9\\n"))  # now we work, and it says 37%
    for _ in range(2):
        with Watch(GPU) as watch:
            pass
        assert watch.watched is not None
        assert watch.watched.gpu is not None
        assert (watch.watched.gpu.others, watch.watched.gpu.busy_before) == (1, 0)


@pytest.mark.gpu
def test_the_real_tool() -> None:
    torch.zeros(1, device=GPU)
    state = gpu_state(GPU, processes=True)
    if state is None:
        pytest.skip("nvidia-smi is not installed")
    assert state.text["driver_version"]
    clock = state.number("clocks.max.sm")
    assert clock is None or clock > 100
