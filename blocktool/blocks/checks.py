"""Checks of constructor arguments. Needs no torch."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any


def check_positive(**values: object) -> None:
    """Raise ValueError for a value that is not a positive integer; None passes."""
    for name, value in values.items():
        if value is not None:
            _check_integer(name, value, 1)


def check_size(**values: object) -> None:
    """Raise ValueError for a value that is not a positive integer; None as well."""
    for name, value in values.items():
        _check_integer(name, value, 1)


def check_pair(name: str, value: object, least: int = 1) -> tuple[int, int]:
    """A size for height and width, one or a pair, as a pair.

    Raises ValueError for anything else, and for numbers below ``least``, which is 1 or 0.
    """
    sizes: Sequence[Any] = value if isinstance(value, (tuple, list)) else (value, value)
    if len(sizes) != 2:
        raise ValueError(f"{name} must be one size or a pair, got {value!r}")
    for size in sizes:
        _check_integer(name, size, least)
    return sizes[0], sizes[1]


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        what = "a positive integer" if least == 1 else "an integer of at least 0"
        raise ValueError(f"{name} must be {what}, got {value!r}")


def check_number(**values: object) -> None:
    """Raise ValueError for a value that is not a finite number."""
    for name, value in values.items():
        if _number(value) is None:
            raise ValueError(f"{name} must be a number, got {value!r}")


def check_rate(**values: float) -> None:
    """Raise ValueError for a value that is not a number in [0, 1)."""
    for name, value in values.items():
        number = _number(value)
        if number is None or not 0.0 <= number < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def _number(value: object) -> float | None:
    """The value if it is a finite number, otherwise None."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if math.isfinite(value) else None


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
