"""What JSON cannot or need not hold of a profile, on the way there and back.

A measured figure has six digits that mean anything, and a report may have 10,000 of them to a case.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

from blocktool.results.profile import Profile


def rounded(profile: Profile) -> Profile:
    """The profile with six significant digits to a figure, and None for what is not finite."""
    made: Profile = _rounded(profile)
    return made


def unchanged(profile: Profile) -> Profile:
    """Reading needs nothing more."""
    return profile


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _rounded(getattr(value, field.name)) for field in fields(value)}
        )
    return value
