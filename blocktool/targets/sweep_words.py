"""A sweep as people write it: on the command line, in a configuration, in pyproject.toml.

    sweep:
      batch: [1, 2]
      size: [32, 33, 64x48]
      dtype: [float32, bfloat16]
      mode: [eval, train]
      expect: B, 64, ceil(H/2), ceil(W/2)
      where: H % 32 == 0
      skip: [layout]
      arguments: {stride: [1, 2]}

Every key is optional, and one value needs no list. Needs no torch.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blocktool.errors import UsageError


@dataclass(frozen=True)
class SweepWords:
    """The texts of a sweep, not yet read; empty where nothing was said."""

    batch: tuple[str, ...] = ()
    size: tuple[str, ...] = ()
    dtype: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    where: str | None = None
    skip: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def over(self, other: SweepWords) -> SweepWords:
        """These words, and those of ``other`` where nothing is said here."""
        return SweepWords(
            self.batch or other.batch,
            self.size or other.size,
            self.dtype or other.dtype,
            self.mode or other.mode,
            self.expect or other.expect,
            self.where if self.where is not None else other.where,
            self.skip or other.skip,
            self.input or other.input,
            {**other.arguments, **self.arguments},
        )


KEYS = ("batch", "size", "dtype", "mode", "expect", "where", "skip", "input", "arguments")


def read_sweep(values: object) -> SweepWords:
    """A sweep from a mapping of YAML or TOML. Raises UsageError, naming the key that is wrong."""
    if not isinstance(values, Mapping):
        raise UsageError("a sweep is a mapping", hint=f"its keys are {', '.join(KEYS)}")
    found: dict[str, object] = {}
    for key, value in values.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1)
            raise UsageError(
                f"unknown key '{key}'",
                hint=f"did you mean {near[0]}?" if near else f"keys: {', '.join(KEYS)}",
            )
        if key == "arguments":
            found[key] = _arguments(value)
        elif key == "where":
            found[key] = _text(key, value)
        else:
            found[key] = _texts(key, value)
    return SweepWords(**found)  # type: ignore[arg-type]


def _arguments(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise UsageError("arguments: must be a mapping", hint="arguments: {stride: [1, 2]}")
    return {
        str(name): tuple(as_yaml(each) for each in (v if isinstance(v, list) else [v]))
        for name, v in value.items()
    }


def as_yaml(value: object) -> str:
    """A value as it would be given after ``KEY=``, which reads it back as it is."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./:-]*", value):
        return value if value.lower() not in ("true", "false", "null", "none") else f'"{value}"'
    return json.dumps(value)


def _texts(key: str, value: object) -> tuple[str, ...]:
    items: Sequence[object] = value if isinstance(value, list) else [value]
    return tuple(_text(key, item) for item in items)


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UsageError(f"{key}: {value!r} is neither a text nor a whole number")
    return str(value)


def split_values(text: str) -> tuple[str, ...]:
    """``"1,2"`` as two values; commas inside brackets and quotes do not part: ``"[3,5],3"``."""
    parts, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return (*parts, text[start:])
