"""What the system says of its CPU: name, cores, clock, quota. Needs no torch.

Everything is read from Linux's files; where there are none, an answer is None.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_CPUS = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")
_MOST_CORES_ASKED = 64
"""Counters of heat are per core; reading a file takes about 10 µs."""


def read(path: Path) -> str | None:
    """The text of a small file; None where it is not there or not for us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The integer in a file; None where there is none."""
    try:
        return int(read(path) or "")
    except ValueError:
        return None


def cpu_name() -> str:
    """The processor's name as its maker gives it, else its architecture."""
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            words = ["sysctl", "-n", "machdep.cpu.brand_string"]
            asked = subprocess.run(words, capture_output=True, text=True, timeout=2)
            if asked.stdout.strip():
                return asked.stdout.strip()
    try:
        with open(_PROC / "cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip().lower() in ("model name", "cpu model", "hardware") and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def allowed_cpus() -> frozenset[int]:
    """The hardware threads that this process may run on."""
    try:
        return frozenset(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on this platform
        return frozenset(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """How many threads can run at once: the allowed CPUs, or the container's quota where that is
    less, rounded down as Rust's ``available_parallelism`` does."""
    cpus = len(allowed_cpus())
    quotas = [quota.cores for quota in cpu_quotas()]
    return max(1, min([cpus, *map(int, quotas)]))


@dataclass(frozen=True)
class Quota:
    """One limit of a control group: CPU time per time, and the file that counts its stops."""

    cores: float
    statistics: Path

    def counted(self) -> tuple[int, int]:
        """Periods so far, and those in which the group was stopped."""
        counts = dict.fromkeys(("nr_periods", "nr_throttled"), 0)
        for line in (read(self.statistics) or "").splitlines():
            name, _, value = line.partition(" ")
            if name in counts and value.isdigit():
                counts[name] = int(value)
        return counts["nr_periods"], counts["nr_throttled"]


def cpu_quotas() -> tuple[Quota, ...]:
    """The CPU quotas of the control groups that this process is in, versions 1 and 2."""
    found = []
    for folder in control_groups("cpu"):
        quota = _quota(folder)
        if quota is not None and quota > 0:
            found.append(Quota(quota, folder / "cpu.stat"))
    return tuple(found)


def _quota(folder: Path) -> float | None:
    with suppress(ValueError, ZeroDivisionError):
        words = (read(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":
            return int(words[0]) / int(words[1])
        quota, period = (number(folder / f"cpu.cfs_{what}_us") for what in ("quota", "period"))
        if quota is not None and quota > 0 and period:  # -1: none
            return quota / period
    return None


def control_groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups and of all above them.

    Inside a container the path may be one that only the host can see; the folders above it, up to
    the mount point, are then what there is.
    """
    seen = set()
    for line in (read(_PROC / "self" / "cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mounts = {controllers, controller} if controllers else {""}
        for mount in sorted(mounts):
            folder = _CGROUP / mount / path.lstrip("/")
            while folder.is_relative_to(_CGROUP / mount):
                if folder not in seen:
                    seen.add(folder)
                    yield folder
                folder = folder.parent


def memory_bytes() -> int | None:
    """The memory of the machine, or the container's limit where that is less."""
    found = [_physical_bytes()]
    for folder in control_groups("memory"):
        found += [number(folder / "memory.max"), number(folder / "memory.limit_in_bytes")]
    return min((size for size in found if size), default=None)


def _physical_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def governor() -> str | None:
    """Who sets the clocks ("performance", "powersave", "schedutil", ...)."""
    return read(_CPUS / f"cpu{min(allowed_cpus())}" / "cpufreq" / "scaling_governor")


@dataclass(frozen=True)
class CoreClock:
    """The clock of one core, and the one that its maker promises at full load, both in MHz."""

    mhz: float
    base_mhz: float | None


def core_clock() -> CoreClock | None:
    """The clock of the core that the main thread runs on."""
    text = read(_PROC / "self" / "stat")
    if text is None:
        return None
    try:  # the command's name may hold anything, a bracket ends it; the core is field 39
        core = int(text.rpartition(")")[2].split()[36])
    except (IndexError, ValueError):
        return None
    folder = _CPUS / f"cpu{core}"
    khz = number(folder / "cpufreq" / "scaling_cur_freq")
    if not khz:
        return None
    base = number(folder / "cpufreq" / "base_frequency")  # in kHz, by intel_pstate
    nominal = number(folder / "acpi_cppc" / "nominal_freq")  # in MHz, by the firmware
    return CoreClock(khz / 1e3, base / 1e3 if base else float(nominal) if nominal else None)


def thermal_throttles() -> int | None:
    """How often the allowed cores and their packages have been slowed down for heat so far."""
    files = _heat_files(_CPUS, allowed_cpus())
    counts = [count for count in map(number, files) if count is not None]
    return sum(counts) if counts else None


@cache
def _heat_files(root: Path, cpus: frozenset[int]) -> tuple[Path, ...]:
    some = sorted(cpus)[:_MOST_CORES_ASKED]
    files = [root / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count" for cpu in some]
    files.append(root / f"cpu{some[0]}" / "thermal_throttle" / "package_throttle_count")
    return tuple(file for file in files if file.exists())
