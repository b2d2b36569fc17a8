"""From the text of a report to a plain object, refusing what is not one in a single line."""

from __future__ import annotations

import json
import math
from typing import Any

from blocktool.errors import ReportError

AGAIN = "write it again with blocktool -f json"
_DIGITS = 300  # of an integer: any more, and it is no number to reckon with (float ends at 308)


class _RefusedError(ValueError):
    """JSON to Python's parser, but no figure and no object of a report."""


def decode(text: str, name: str) -> dict[str, Any]:
    """The object that ``text`` is, with ``schema_version`` and ``kind`` as strings.

    ``name`` is what errors call the text. Raises ReportError for what is not JSON (NaN,
    infinities and repeated keys are not) and for an object without these two.
    """
    name = told(name)
    try:
        report = _DECODER.decode(text.removeprefix("\ufeff"))
    except _RefusedError as error:
        raise ReportError(f"{name} is damaged: {error}", hint=AGAIN) from error
    except ValueError as error:
        raise ReportError(f"{name} is not JSON: {error}", hint=AGAIN) from error
    except RecursionError as error:
        raise ReportError(f"{name} is not a report: it is nested too deeply", hint=AGAIN) from error
    if not isinstance(report, dict) or not {"schema_version", "kind"} <= report.keys():
        raise ReportError(
            f"{name} is not a blocktool report: it has no schema_version and kind",
            hint="reports are written with -f json, or -o FILE.json",
        )
    for key in ("schema_version", "kind"):
        if not isinstance(report[key], str):
            raise ReportError(f"{name} is damaged: its {key} is no string", hint=AGAIN)
    return report


def told(text: str, limit: int = 100) -> str:
    """A name or a word of the report's, in one line and shortened, for a message."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    half = limit // 2
    return shown if len(shown) <= limit else f"{shown[:half]}…{shown[-half:]}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in made if keys.count(key) > 1)
        raise _RefusedError(f"the key '{told(twice)}' stands twice in one object")
    return made


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise _RefusedError(f"a number has {len(digits)} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _RefusedError(f"the number {told(digits, 30)} is too large")
    return value


def _constant(word: str) -> float:
    raise _RefusedError(f"{word} is no number of JSON's")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)
