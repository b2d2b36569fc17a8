"""What follows from the cases of a profile: warnings, verdicts, sums. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from blocktool.analysis.trust import notices
from blocktool.analysis.verdicts import verdicts
from blocktool.results.profile import Profile, ProfileCase
from blocktool.results.watched import Watched


def concluded(profile: Profile, watched: Mapping[int, Watched], seconds: float) -> Profile:
    """The profile with what its cases say together; ``seconds`` is the whole time."""
    cases = profile.cases
    return replace(
        profile,
        warnings=notices(cases, watched, profile.machine, profile.protocol),
        verdicts=verdicts(cases),
        seconds=seconds,
        measured_seconds=sum(map(_measured_seconds, cases)),
    )


def _measured_seconds(case: ProfileCase) -> float:
    latency = case.latency_ms
    if latency is None:
        return 0.0
    return 1e-3 * latency.calls_per_sample * sum(latency.samples)
