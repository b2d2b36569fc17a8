"""Amounts of memory as people write them. Needs no torch."""

from __future__ import annotations

import re

from blocktool.errors import UsageError

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
    **{letter: 1024**power for power, letter in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)", re.ASCII | re.IGNORECASE)


def parse_memory(text: str) -> int:
    """``"8GiB"``, ``"500MB"``, ``"2G"`` (binary), ``"1000000"`` in bytes.

    Raises UsageError for anything else, and for less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise UsageError(f"'{text}' is no amount of memory", hint="for example 8GiB or 500MB")
    nbytes = int(float(match[1]) * unit)
    if nbytes < 1:
        raise UsageError(f"'{text}' is no memory at all", hint="for example 8GiB or 500MB")
    return nbytes
