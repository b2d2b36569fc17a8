"""Results as JSON, and back: the form that scripts and later commands hold on to.

A report is one object: ``schema_version``, ``kind``, then the fields of the result in their
order. Lists of objects stand one object to a line, so that two reports can be compared with
``diff`` as well. Within a schema version fields are only ever added.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from blocktool.errors import ReportError
from blocktool.results.listing import Listing
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import Summary

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from blocktool.render.view import View

SCHEMA_VERSION = "1"
KINDS: dict[str, type] = {"summary": Summary, "list": Listing}
"""The result class behind each ``kind`` of report."""

# Where the published order of the fields is not that of the class.
_ORDER: dict[type, tuple[str, ...]] = {TensorSpec: ("name", "shape", "dtype")}

ResultT = TypeVar("ResultT")


def render(result: DataclassInstance, view: View) -> str:
    """The whole result, whatever the view: JSON is for programs."""
    return to_json(result)


def to_json(result: DataclassInstance) -> str:
    """The result as a report. Raises TypeError for a class that is no kind of result."""
    kinds = [kind for kind, cls in KINDS.items() if type(result) is cls]
    if not kinds:
        raise TypeError(f"{type(result).__name__} is not a kind of report")
    report = {"schema_version": SCHEMA_VERSION, "kind": kinds[0], **_plain(result)}
    items = [f"  {json.dumps(key)}: {_value(value)}" for key, value in report.items()]
    return "{\n" + ",\n".join(items) + "\n}\n"


def read_summary(text: str, *, name: str = "the report") -> Summary:
    """The summary that :func:`to_json` wrote; ``name`` is what errors call the text.

    Raises ReportError, in one line, for damaged text, another kind of report, or one of a schema
    version that this blocktool does not know. Fields that it does not know are passed over.
    """
    return read(text, Summary, name=name)


def read(text: str, cls: type[ResultT], *, name: str = "the report") -> ResultT:
    """A report of any kind, as an instance of its result class; errors as in read_summary."""
    import msgspec  # 30 ms, which a command that only writes does not need

    wanted = next(kind for kind, known in KINDS.items() if known is cls)
    report = _header(text, wanted, name)
    try:
        return msgspec.convert(report, cls)
    except msgspec.ValidationError as error:
        raise ReportError(
            f"{name} is damaged: {error}", hint="write it again with blocktool -f json"
        ) from error


def _header(text: str, wanted: str, name: str) -> dict[str, Any]:
    """The decoded object, once its version and kind are known to be readable."""
    try:
        report = json.loads(text)
    except ValueError as error:
        raise ReportError(
            f"{name} is not JSON: {error}", hint="write it again with blocktool -f json"
        ) from error
    if not isinstance(report, dict) or "schema_version" not in report or "kind" not in report:
        raise ReportError(
            f"{name} is not a blocktool report: it has no schema_version and kind",
            hint="reports are written with -f json, or -o FILE.json",
        )
    if report["schema_version"] != SCHEMA_VERSION:
        raise ReportError(
            f"{name} has schema version {report['schema_version']}; "
            f"this blocktool reads version {SCHEMA_VERSION}",
            hint="read it with the release that wrote it, or a newer one",
        )
    if report["kind"] != wanted:
        raise ReportError(
            f"{name} is a report of kind {report['kind']!r}, not {wanted!r}",
            hint=f"a {wanted} is written by blocktool {wanted} -f json",
        )
    return report


def _plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        names = _ORDER.get(type(value)) or tuple(field.name for field in fields(value))
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _value(value: Any) -> str:
    if _is_table(value):
        return "[\n    " + ",\n    ".join(_line(item) for item in value) + "\n  ]"
    if isinstance(value, dict) and any(_is_table(item) for item in value.values()):
        return _nested(value)
    return _line(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(i, dict) for i in value)


def _nested(value: dict[str, Any]) -> str:
    """An object that holds lists of objects: a field to a line, and an item to a line."""
    lines = []
    for key, item in value.items():
        text = _line(item)
        if _is_table(item):
            text = "[\n      " + ",\n      ".join(map(_line, item)) + "\n    ]"
        lines.append(f"{json.dumps(key)}: {text}")
    return "{\n    " + ",\n    ".join(lines) + "\n  }"


def _line(value: Any) -> str:
    # Infinities and NaN are not JSON; a result that holds one is a defect, to be heard of here.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
