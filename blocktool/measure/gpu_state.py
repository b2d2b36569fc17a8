"""What NVIDIA's driver says of one GPU, through ``nvidia-smi``; nothing where there is none.

The fields are those of ``nvidia-smi --help-query-gpu`` and ``--help-query-compute-apps``. A call
takes some 50 ms, so it is made before and after what is timed, never meanwhile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import torch

_TIMEOUT_SECONDS = 5.0
"""Without persistence mode, a driver that nobody uses takes a second or more to wake up."""

_PLAIN = (
    "driver_version",
    "persistence_mode",
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "temperature.gpu",
    "power.draw",
    "enforced.power.limit",
    "utilization.gpu",
    "pstate",
)
_COUNTERS = {  # microseconds since the driver was loaded; recent drivers only
    "clocks_event_reasons_counters.sw_power_cap": "power cap",
    "clocks_event_reasons_counters.sw_thermal_slowdown": "thermal slowdown",
    "clocks_event_reasons_counters.hw_thermal_slowdown": "thermal slowdown by the hardware",
    "clocks_event_reasons_counters.hw_power_brake_slowdown": "power brake",
}
_REASONS = {  # bits of "active"; nvml.h, nvmlClocksEventReasons
    0x04: "power cap",
    0x08: "slowdown by the hardware",
    0x20: "thermal slowdown",
    0x40: "thermal slowdown by the hardware",
    0x80: "power brake",
}
"""Reasons that hold the clocks down. Idleness and clocks that someone has fixed are none."""

_ACTIVE = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""The same field; drivers before 535 know the second name alone."""

_QUERIES: tuple[tuple[str, ...], ...] = (
    (*_PLAIN, _ACTIVE[0], *_COUNTERS),
    (*_PLAIN, _ACTIVE[0]),
    (*_PLAIN, _ACTIVE[1]),
    _PLAIN,
)
"""What is asked, until a driver knows all the names; one unknown name fails a query."""


@dataclass(frozen=True)
class GpuState:
    """One reading. ``text`` has the fields as the driver writes them, those that it has;
    ``limited_seconds`` the counters of held-down clocks by reason; ``limited_now`` the reasons
    that hold; ``processes`` the ids of all processes that compute on the device (None: not asked).
    """

    text: dict[str, str] = field(default_factory=dict)
    limited_seconds: dict[str, float] = field(default_factory=dict)
    limited_now: tuple[str, ...] = ()
    processes: tuple[int, ...] | None = None

    def number(self, name: str) -> float | None:
        """A field as a number (MHz, °C, W, %)."""
        with suppress(ValueError):
            return float(self.text[name]) if name in self.text else None
        return None

    @property
    def others(self) -> int | None:
        """Processes on the device that are not this one.

        In a container the ids are often those of the host. If this process works on the device and
        its id is not among them, one of the others is taken to be it.
        """
        if self.processes is None:
            return None
        others = [process for process in self.processes if process != os.getpid()]
        hidden = len(others) == len(self.processes) and torch.cuda.is_initialized()
        return max(len(others) - hidden, 0)


def gpu_state(device: torch.device, *, processes: bool = False) -> GpuState | None:
    """What the driver says of ``device`` now; None where it cannot be asked."""
    name = _name_of(device)
    if name is None:
        return None
    apps = _driver.start(name, "--query-compute-apps=pid", "csv,noheader") if processes else None
    state = _driver.queried(name)
    ids = None if apps is None else _driver.output(apps)
    if state is None:
        return None
    return GpuState(
        text={name: state[name] for name in _PLAIN if name in state},
        limited_seconds=_counters(state),
        limited_now=_active(state),
        processes=None if ids is None else _ids(ids),
    )


@cache
def busy_at_first(device: torch.device) -> float | None:
    """The share of the last moments (a second at most) in which the GPU worked, as it was when this
    was first asked. Ask before the process gives it work, which would be in it later."""
    state = gpu_state(device)
    busy = None if state is None else state.number("utilization.gpu")
    return None if busy is None else busy / 100


@cache
def _name_of(device: torch.device) -> str | None:
    """How ``nvidia-smi`` knows the device: torch's numbers follow CUDA_VISIBLE_DEVICES, its own do
    not. The address on the bus means the whole card even where torch has a part of it."""
    if device.type != "cuda" or torch.version.hip is not None:
        return None
    try:
        properties = torch.cuda.get_device_properties(device)
    except (RuntimeError, AssertionError):
        return None
    address = [
        part
        for part in (getattr(properties, f"pci_{p}_id", None) for p in ("domain", "bus", "device"))
        if isinstance(part, int)
    ]
    if len(address) == 3:
        return "{:08X}:{:02X}:{:02X}.0".format(*address)
    identity = str(getattr(properties, "uuid", ""))
    return f"GPU-{identity.removeprefix('GPU-')}" if identity else None


class _Driver:
    """``nvidia-smi``, what it has been found to know, and whether it answers at all."""

    def __init__(self) -> None:
        self._tool = None if sys.platform == "darwin" else shutil.which("nvidia-smi")
        self._queries = _QUERIES

    def queried(self, gpu: str) -> dict[str, str] | None:
        """The fields that the driver has, by name."""
        for fields in self._queries:
            process = self.start(gpu, f"--query-gpu={','.join(fields)}", "csv,noheader,nounits")
            text = None if process is None else self.output(process)
            values = [value.strip() for value in (text or "").strip().split(",")]
            if len(values) == len(fields):
                self._queries = (fields,)
                named = zip(fields, values, strict=True)
                return {name: value for name, value in named if not _absent(value)}
        return None

    def start(self, gpu: str, query: str, form: str) -> subprocess.Popen[str] | None:
        """Ask; None where there is nobody to ask."""
        if self._tool is None:
            return None
        try:
            return subprocess.Popen(
                [self._tool, "-i", gpu, query, f"--format={form}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                errors="replace",
            )
        except OSError:
            return None

    def output(self, process: subprocess.Popen[str]) -> str | None:
        """What it printed; None where it failed. One that does not answer is not asked again."""
        with process:
            try:
                text, _ = process.communicate(timeout=_TIMEOUT_SECONDS)
            except BaseException as error:
                process.kill()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                self._tool = None
                return None
        return text if process.returncode == 0 else None


_driver = _Driver()


def _absent(value: str) -> bool:
    """``[N/A]``, ``[Not Supported]``, ``[Unknown Error]``, and words of newer drivers."""
    return (
        not value
        or value.startswith("[")
        or value in ("N/A", "Requested functionality has been deprecated")
    )


def _counters(state: dict[str, str]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for name, reason in _COUNTERS.items():
        with suppress(KeyError, ValueError, IndexError):
            seconds[reason] = int(state[name].split()[0]) / 1e6
    return seconds


def _active(state: dict[str, str]) -> tuple[str, ...]:
    for name in _ACTIVE:
        with suppress(KeyError, ValueError):
            bits = int(state[name], 16)
            return tuple(reason for bit, reason in _REASONS.items() if bits & bit)
    return ()


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(line) for line in text.split() if line.isdigit())
