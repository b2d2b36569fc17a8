"""What stands below the figures of a profile: notes, how it was measured, where, what it means."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.render import units
from blocktool.render.profile_keys import whose
from blocktool.render.profile_words import has_time, is_predicted
from blocktool.results.environment import Environment
from blocktool.results.profile import Profile, ProfileCase, Protocol


def notes(profile: Profile) -> list[str]:
    """The notes on the whole and on its cases; a note that cases share is told once."""
    cases = profile.cases
    sharing: dict[str, list[int]] = {}
    for case in cases:
        for note in case.notes:
            sharing.setdefault(note, []).append(case.index)
    told = list(profile.notes)
    for note, indices in sharing.items():
        where = whose(indices, cases)
        told.append(f"{where}: {note}" if where else note)
    return told


def protocol(profile: Profile) -> str | None:
    """How the times were come by, where any were."""
    if not any(case.latency_ms for case in profile.cases):
        return None
    rule: Protocol = profile.protocol
    told = [
        f"timed for at least {units.seconds(rule.min_seconds)} a case, then to "
        f"{units.precision(rule.precision)} or for {units.seconds(rule.max_seconds)}",
        "each case in a worker process" if rule.isolated else "all in one process",
    ]
    if rule.cold_cache:
        told.append("caches cleared before each sample")
    if rule.optimizer and any(case.mode == "training" for case in profile.cases):
        told.append(f"optimizer {rule.optimizer}")
    if profile.seconds:
        runs = units.seconds(profile.measured_seconds)
        told.append(f"{units.seconds(profile.seconds)} in all, {runs} in timed runs")
    return "; ".join(told)


def environment(profile: Profile) -> str:
    """Versions, then the switches and the state that speed depends on."""
    about: Environment = profile.environment
    versions = {"blocktool": about.blocktool, "torch": about.torch, "Python": about.python}
    versions |= about.packages
    told = [*(f"{name} {version}" for name, version in versions.items()), about.platform]
    machine = profile.machine
    if machine is not None:
        if machine.memory_bytes is not None:
            told.append(f"{units.size(machine.memory_bytes)} memory")
        told += [f"{key} {value}" for key, value in machine.settings.items()]
        told += [f"{key} {value}" for key, value in machine.state.items()]
    return ", ".join(told)


def legend(cases: Sequence[ProfileCase], *, several: bool, modules: bool) -> str:
    """What the figures mean, as far as they are shown; empty without any."""
    shown = [case for case in cases if has_time(case)]
    if not shown:
        return ""
    told = []
    if any(case.latency_ms for case in shown):
        told.append("Time is the median, ± half of its 95% interval.")
    if any(is_predicted(case) for case in shown):
        told.append("A predicted time is the sum over operations of what limits each.")
    told.append("An item is one of the leading size; FLOPs are 2 per MAC.")
    if any(case.roofline and case.roofline.attained is not None for case in shown):
        told.append(
            "Of limit: the least time that arithmetic or memory traffic allow, over the time."
        )
    if several and any(case.error is not None for case in shown):
        told.append("Error: largest difference from the reference, over its largest magnitude.")
    if modules:
        told.append("Own: without the modules shown below it.")
    return " ".join(told)
