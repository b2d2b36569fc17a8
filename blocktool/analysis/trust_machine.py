"""What the machine did against the figures of a case. Pure; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from blocktool.analysis.doubts import Doubt, listed, seconds, share
from blocktool.results.profile import Machine
from blocktool.results.watched import Watched, WatchedGpu

LOAD = 0.10
"""What others may use of the CPUs. The kernel's own work and a progress display stay below 5%; from
a tenth on, shared caches, memory and clocks are felt even where cores are left."""
LOAD_SECONDS = 0.05
"""Ticks are 10 ms, so less than this is not known to be more than nothing."""
STEAL = 0.01
"""What a hypervisor may take: the default precision, since each such moment is a pause."""
WAITED = 0.05
"""Of the time in which threads wanted a core, the share without one. To wake a thread takes an idle
system some 10 µs, which stays below 1%."""
GPU_BUSY = 0.05
"""How busy a GPU that others use too may be before our first work; a desktop draws that much."""

BELOW_BASE = 0.9
"""Clock over base clock. A processor keeps its base clock with all cores at work, unless heat, a
power limit or its settings forbid it."""
GPU_LIMITED = 0.05
"""Share of the time in which a GPU's clocks were held down."""
QUOTA_STOPS = 0.02
"""Share of the periods (mostly 0.1 s) in which a quota stopped the process."""


def oversubscribed(machine: Machine) -> Iterator[Doubt]:
    """More threads than cores: a fault of the whole profile."""
    if machine.device != "cpu" or machine.threads <= machine.cores:
        return
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    variables = [f"{name}={machine.settings[name]}" for name in names if name in machine.settings]
    said = f" ({listed(variables)} is set)" if variables else ""
    message = f"{machine.threads} threads on {_cores(machine.cores)}"
    if "cpu_quota" in machine.settings:
        message += f" (a quota of {machine.settings['cpu_quota']})"
    weight = machine.threads / machine.cores
    hint = f"--threads {machine.cores}{said}"
    yield Doubt("oversubscribed", "threads", weight, message, message, hint)


def watched_doubts(watched: Watched, machine: Machine | None) -> Iterator[Doubt]:
    """All that one case's surroundings say against it; ``case`` of the doubts is not set."""
    on_cpu = watched.gpu is None and (machine is None or machine.device == "cpu")
    yield from _quota(watched, machine)
    yield from _cpu_throttled(watched)
    if watched.gpu is not None:
        yield from _gpu_throttled(watched.gpu, watched.wall_seconds)
        yield from _gpu_load(watched.gpu)
    yield from _stolen(watched)
    if on_cpu and _loaded(watched):
        yield _load(watched, machine)
    elif (watched.waited_share or 0.0) > WAITED and (watched.steal_share or 0.0) <= STEAL:
        yield _waited(watched, machine, on_cpu)


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"


def _loaded(watched: Watched) -> bool:
    """Whether others used much of the cores, or enough of them to explain that threads waited."""
    used, part = watched.others_cpu_seconds or 0.0, watched.others_share or 0.0
    if used < LOAD_SECONDS:
        return False
    kept = (watched.waited_share or 0.0) > WAITED and used > 0.5 * (watched.waited_seconds or 0.0)
    return part > LOAD or kept


def _load(watched: Watched, machine: Machine | None) -> Doubt:
    part = watched.others_share or 0.0
    cores = "core" if watched.cpus == 1 else f"{watched.cpus} cores"
    hint = "end other work (`top` shows it) and run again"
    # At least one: threads that wait for each other make a call many times as long.
    left = max(math.floor(watched.cpus * (1 - part)), 1)
    if machine is not None and left < machine.threads:
        hint += f", or leave it its share: --threads {left}"
    message = f"other processes used {share(part)} of the {cores} while it was timed"
    together = message.replace("used", "used up to").replace("it was", "cases were")
    return Doubt("load", "cpu", part / LOAD, message, together, hint)


def _stolen(watched: Watched) -> Iterator[Doubt]:
    part = watched.steal_share or 0.0
    if part <= STEAL or (watched.steal_seconds or 0.0) < LOAD_SECONDS:
        return
    message = f"the hypervisor gave {share(part)} of the CPU time to other guests"
    together = message.replace("gave", "gave up to")
    hint = "run it again at another time, or on a machine that is not shared"
    yield Doubt("load", "steal", part / STEAL, message, together, hint)


def _waited(watched: Watched, machine: Machine | None, on_cpu: bool) -> Doubt:
    part = watched.waited_share or 0.0
    message = f"its threads waited for a core {share(part)} of the time that they wanted one"
    together = message.replace("a core", "a core up to")
    if not on_cpu or watched.others_cpu_seconds is None:
        # The host of a GPU is then late in starting work. On a CPU it is not known who was there.
        hint = "end other work (`top` shows it) and run again"
        return Doubt("load", "host", part / WAITED, message, together, hint)
    threads = 1 if machine is None else max(machine.threads // 2, 1)
    hint = f"the module, or what it uses, has threads of its own: --threads {threads}"
    if machine is not None and machine.threads == 1:
        hint = "the module, or what it uses, has threads of its own: fewer of them"
    return Doubt("oversubscribed", "waited", part / WAITED, message, together, hint)


def _quota(watched: Watched, machine: Machine | None) -> Iterator[Doubt]:
    periods, stops = watched.quota_periods, watched.quota_stops
    if not periods or not stops or stops < 2 or stops / periods <= QUOTA_STOPS:
        return
    part = min(stops / periods, 1.0)
    message = f"the container's CPU quota stopped it in {share(part)} of the periods"
    together = message.replace("it in", "them in up to")
    fewer = None if machine is None else min(machine.cores, machine.threads - 1)
    hint = "a larger quota" if not fewer else f"--threads {fewer}, or a larger quota"
    yield Doubt("oversubscribed", "quota", part / QUOTA_STOPS, message, together, hint)


def _cpu_throttled(watched: Watched) -> Iterator[Doubt]:
    cool = "let it cool down, or lower the load: fewer --threads, pauses between runs"
    if watched.thermal_throttles:
        times = watched.thermal_throttles
        message = f"the processor was slowed down for heat, {_times(times)}"
        together = "the processor was slowed down for heat"
        yield Doubt("throttled", "heat", float(times), message, together, cool)
        return
    clock, base = watched.mhz_after, watched.base_mhz
    if clock and base and clock < BELOW_BASE * base:
        message = f"the clock was at {clock:.0f} MHz; {base:.0f} are promised"
        together = message.replace("was at", "was down to")
        hint = "mains instead of battery, the governor 'performance', a higher power limit"
        yield Doubt("throttled", "clock", base / clock, message, together, hint)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _gpu_throttled(gpu: WatchedGpu, wall_seconds: float) -> Iterator[Doubt]:
    """What held the clocks down, by the driver's counters, else by what held at the end."""
    at = "" if gpu.sm_mhz is None else f"; {gpu.sm_mhz:.0f} MHz"
    at += f" of {gpu.max_sm_mhz:.0f}" if at and gpu.max_sm_mhz is not None else ""
    for reason, time in gpu.limited_seconds.items():
        if wall_seconds <= 0 or time / wall_seconds <= GPU_LIMITED:
            continue
        part = min(time / wall_seconds, 1.0)
        message = f"the GPU's clocks were held down for {seconds(time)}, by {reason}{at}"
        together = (
            f"the GPU's clocks were held down for up to {share(part)} of the time, by {reason}"
        )
        weight = part / GPU_LIMITED
        yield Doubt("throttled", f"gpu {reason}", weight, message, together, _cure(reason, gpu))
    for reason in gpu.limited_now:
        message = f"the GPU's clocks were held down by {reason}{at}"
        together = f"the GPU's clocks were held down by {reason}"
        yield Doubt("throttled", f"gpu {reason}", 1.0, message, together, _cure(reason, gpu))


def _cure(reason: str, gpu: WatchedGpu) -> str:
    if "thermal" in reason:
        heat = "" if gpu.temperature_c is None else f" ({gpu.temperature_c:.0f} °C)"
        return f"let it cool down{heat}, and run again"
    if reason == "power cap":
        cap = "" if gpu.power_limit_watts is None else f" ({gpu.power_limit_watts:.0f} W)"
        return f"at full load that is normal: compare at one power limit{cap}, or at fixed clocks"
    return "look at the power supply and the cooling (nvidia-smi -q -d PERFORMANCE)"


def _gpu_load(gpu: WatchedGpu) -> Iterator[Doubt]:
    if not gpu.others or (gpu.busy_before is not None and gpu.busy_before <= GPU_BUSY):
        return
    who = "another process computes" if gpu.others == 1 else f"{gpu.others} other processes compute"
    busy = "" if gpu.busy_before is None else f"; it was busy {share(gpu.busy_before)} before"
    message = f"{who} on the same GPU{busy}"
    together = message.replace("busy", "busy up to")
    hint = "end them (nvidia-smi lists them), or take another GPU (--device)"
    yield Doubt("load", "gpu", (gpu.busy_before or 1.0) / GPU_BUSY, message, together, hint)
