"""Checks of constructor arguments. Needs no torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def check_positive(**values: object) -> None:
    """Raise ValueError for a value that is not a positive integer; None passes."""
    for name, value in values.items():
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")


def check_rate(**values: float) -> None:
    """Raise ValueError for a value outside [0, 1)."""
    for name, value in values.items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def check_divides(divisor_name: str, divisor: int, **values: int) -> None:
    """Raise ValueError for a value that ``divisor`` does not divide."""
    for name, value in values.items():
        if value % divisor:
            raise ValueError(f"{name}={value} is not divisible by {divisor_name}={divisor}")


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError, listing the choices, for a value that is none of them."""
    choices = tuple(choices)
    if value in choices:
        return
    message = f"unknown {what} {value!r}; choose from {', '.join(choices)}"
    close = difflib.get_close_matches(str(value), choices, n=1)
    raise ValueError(f"{message} (did you mean '{close[0]}'?)" if close else message)
