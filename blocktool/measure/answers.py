"""What a worker answers, in classes that its parent can read without torch."""

from __future__ import annotations

from dataclasses import dataclass

from blocktool.measure.request import CaseSpec
from blocktool.results.environment import Environment
from blocktool.results.profile import Machine, ProfileCase
from blocktool.results.watched import Watched


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is measured."""

    name: str
    root_type: str
    environment: Environment
    machine: Machine | None
    cases: tuple[CaseSpec, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """A case that came to an end of its own, and what the machine did meanwhile.

    ``spoiled`` says that the worker is of no more use.
    """

    case: ProfileCase
    watched: Watched | None = None
    spoiled: bool = False


def blank(spec: CaseSpec) -> ProfileCase:
    """A case of which nothing is known yet."""
    return ProfileCase(
        index=spec.index,
        batch=spec.batch,
        inputs=spec.inputs,
        dtype=spec.dtype,
        mode=spec.mode,
        variant=spec.variant,
        amp=spec.amp,
        outcome="passed",
    )
