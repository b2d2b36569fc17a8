"""Whether the figures of a profile are to be trusted, and what to do where they are not.

The thresholds stand, with their reasons, in ``trust_samples.py`` and ``trust_machine.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocktool.analysis.doubts import Doubt, merged, of_case
from blocktool.analysis.trust_machine import oversubscribed, watched_doubts
from blocktool.analysis.trust_samples import sample_doubts
from blocktool.results.profile import Machine, Notice, ProfileCase, Protocol
from blocktool.results.watched import Watched


def notices(
    cases: Sequence[ProfileCase],
    watched: Mapping[int, Watched],
    machine: Machine | None,
    asked: Protocol,
) -> tuple[Notice, ...]:
    """Every reason not to trust the measured cases, the most severe first.

    ``watched`` is by the cases' ``index``. Equal reasons of several cases are one notice; what
    a known cause explains (times that scatter while others use the cores) is told with the cause.
    A quiet and precise profile has none, nor has one in which nothing was measured.
    """
    measured = [case for case in cases if case.latency_ms is not None and case.latency_ms.samples]
    if not measured:
        return ()
    doubts: list[Doubt] = [] if machine is None else list(oversubscribed(machine))
    governor = None if machine is None else machine.state.get("governor")
    for case in measured:
        doubts += of_case(sample_doubts(case, asked, governor), case.index)
        if case.index in watched:
            doubts += of_case(watched_doubts(watched[case.index], machine), case.index)
    return merged(doubts)
