"""What brings reports of earlier schema versions to the present one.

A version says what its fields mean; fields that were added within a version have defaults and need
nothing here. Where a field is renamed, removed or given another meaning, ``SCHEMA_VERSION`` is
raised and the step from the version before gets its line in ``UPGRADES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From the plain object of a report to that of the next version, of whatever kind. It may change
what it is given, and leaves alone what it does not find: what is missing is told later."""

UPGRADES: dict[str, tuple[str, Upgrade]] = {}
"""By the version that a report has: the next one, and the step to it. Version 1 is the first."""


def upgraded(
    report: dict[str, Any], wanted: str, steps: Mapping[str, tuple[str, Upgrade]] | None = None
) -> dict[str, Any] | None:
    """The report as one of schema version ``wanted``, step by step; None where no steps lead there.

    ``steps`` are ``UPGRADES`` if not given.
    """
    steps = UPGRADES if steps is None else steps
    version = report["schema_version"]
    way: list[tuple[str, Upgrade]] = []
    while version != wanted:
        if version not in steps or len(way) > len(steps):
            return None
        version, step = steps[version]
        way.append((version, step))
    for version, step in way:
        report = {**step(report), "schema_version": version}
    return report
