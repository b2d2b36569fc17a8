"""A profile before its first case. Needs no torch."""

from __future__ import annotations

from blocktool.measure.answers import Prepared
from blocktool.measure.request import Request, Rule
from blocktool.results.profile import Profile, Protocol
from blocktool.results.roofline import Ceilings


def begun(
    prepared: Prepared,
    request: Request,
    rule: Rule,
    timeout: float | None,
    assumed: Ceilings | None,
) -> Profile:
    """What is known of it beforehand; ``assumed`` are the limits of a device that is not here."""
    return Profile(
        target=prepared.name,
        root_type=prepared.root_type,
        environment=prepared.environment,
        machine=prepared.machine,
        protocol=Protocol(
            min_seconds=rule.min_seconds,
            max_seconds=rule.max_seconds,
            precision=rule.precision,
            timeout_seconds=timeout,
            cold_cache=rule.cold_cache,
            optimizer=request.optimizer if "training" in request.modes else None,
            isolated=True,
            processes=rule.processes,
        ),
        cases=(),
        ceilings=assumed,
        assumed=None if assumed is None else assumed.device,
        notes=prepared.notes,
    )
