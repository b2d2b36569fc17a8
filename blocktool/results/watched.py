"""What else the machine did while a case was timed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WatchedGpu:
    """A GPU over the same time, as its driver tells it; None or empty where it does not.

    ``limited_seconds`` is, by reason ("power cap", "thermal slowdown", ...), how long the clocks
    were held down, from the driver's counters; ``limited_now`` the reasons that held when the work
    had just ended, for drivers without counters. ``others`` are further processes that compute on
    the device, ``busy_before`` the share of a moment in which it worked before this process gave it
    any work. Clocks, temperature and power were read right after the work.
    """

    limited_seconds: dict[str, float] = field(default_factory=dict)
    limited_now: tuple[str, ...] = ()
    others: int | None = None
    busy_before: float | None = None
    sm_mhz: float | None = None
    max_sm_mhz: float | None = None
    temperature_c: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """The time in which one case was timed, from warm-up to the last sample.

    What a system does not tell is None (all of it but the two times is read from Linux's files).
    ``own_cpu_seconds`` is over all threads of the process and the children that have ended.
    ``waited_seconds`` is how long its threads were ready to run but had no core, summed over
    threads. ``others_cpu_seconds`` is what everything else used of the ``cpus`` (hardware threads)
    that the process may run on, ``steal_seconds`` what a hypervisor took of them for other
    guests. ``quota_stops`` is in how many of ``quota_periods`` a container's CPU quota stopped the
    process. ``mhz_after`` is the clock of the core that the main thread ran on, right after the
    work, ``base_mhz`` what its maker promises with all cores at work; ``thermal_throttles`` counts
    how often the CPUs were slowed down for heat.
    """

    wall_seconds: float
    own_cpu_seconds: float
    cpus: int
    waited_seconds: float | None = None
    others_cpu_seconds: float | None = None
    steal_seconds: float | None = None
    quota_periods: int | None = None
    quota_stops: int | None = None
    mhz_after: float | None = None
    base_mhz: float | None = None
    thermal_throttles: int | None = None
    gpu: WatchedGpu | None = None

    @property
    def others_share(self) -> float | None:
        """What others used, as a share of the CPUs that this process may run on."""
        return self._of_cpus(self.others_cpu_seconds)

    @property
    def steal_share(self) -> float | None:
        """What the hypervisor took, as a share of those CPUs."""
        return self._of_cpus(self.steal_seconds)

    @property
    def waited_share(self) -> float | None:
        """Of the time in which threads of this process wanted a core, the share without one."""
        if self.waited_seconds is None:
            return None
        wanted = self.own_cpu_seconds + self.waited_seconds
        return self.waited_seconds / wanted if wanted > 0 else 0.0

    def _of_cpus(self, seconds: float | None) -> float | None:
        whole = self.wall_seconds * self.cpus
        return None if seconds is None else seconds / whole if whole > 0 else 0.0
