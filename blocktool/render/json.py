"""Results as JSON, and back: the form that scripts and later commands hold on to.

A report is one object: ``schema_version``, ``kind``, then the fields of the result in their
order. Lists of objects stand one object to a line, so that two reports can be compared with
``diff`` as well. Within a schema version fields are only ever added.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from blocktool.errors import ReportError
from blocktool.render import profile_json, shapes_json
from blocktool.render.consistency import inconsistency
from blocktool.render.json_decoding import AGAIN, decode, told
from blocktool.render.upgrades import upgraded
from blocktool.results.comparison import Comparison
from blocktool.results.diagram import Diagram
from blocktool.results.formulas import Formulas
from blocktool.results.listing import Listing
from blocktool.results.profile import Profile
from blocktool.results.shapes import ShapeReport
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import Summary

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from blocktool.render.view import View

SCHEMA_VERSION = "1"
KINDS: dict[str, type] = {
    "summary": Summary,
    "formulas": Formulas,
    "list": Listing,
    "check-shapes": ShapeReport,
    "profile": Profile,
    "comparison": Comparison,
    "diagram": Diagram,
}
"""The result class behind each ``kind`` of report."""

FORMS: dict[type, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    ShapeReport: (shapes_json.FlatReport, shapes_json.flatten, shapes_json.unflatten),
    Profile: (Profile, profile_json.rounded, profile_json.unchanged),
}
"""Where a result is published otherwise than it is held: as which class, and the ways there and
back."""

# Where the published order of the fields is not that of the class.
_ORDER: dict[type, tuple[str, ...]] = {TensorSpec: ("name", "shape", "dtype")}
_NAMES: dict[type, tuple[str, ...]] = {}  # filled as needed: a report has ten thousand rows

# Infinities and NaN are not JSON; a result that holds one is a defect, to be heard of here.
_line = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

ResultT = TypeVar("ResultT")


def render(result: DataclassInstance, view: View) -> str:
    """The whole result, whatever the view: JSON is for programs."""
    return to_json(result)


def to_json(result: DataclassInstance) -> str:
    """The result as a report. Raises TypeError for a class that is no kind of result."""
    kinds = [kind for kind, cls in KINDS.items() if type(result) is cls]
    if not kinds:
        raise TypeError(f"{type(result).__name__} is not a kind of report")
    form = FORMS.get(type(result))
    fields_of_it = _plain(form[1](result) if form else result)
    report = {"schema_version": SCHEMA_VERSION, "kind": kinds[0], **fields_of_it}
    items = [f"  {json.dumps(key)}: {_value(value)}" for key, value in report.items()]
    text = "{\n" + ",\n".join(items) + "\n}\n"
    # A file name may hold bytes that are no text; they become an escape of JSON's.
    return text.encode(errors="backslashreplace").decode()


def read_summary(text: str, *, name: str = "the report") -> Summary:
    """The summary that :func:`to_json` wrote; ``name`` is what errors call the text.

    Raises ReportError, in one line, for damaged text, another kind of report, or one of a schema
    version that this blocktool does not know. Fields that it does not know are passed over.
    """
    return read(text, Summary, name=name)


def read(text: str, cls: type[ResultT], *, name: str = "the report") -> ResultT:
    """A report of one kind, as an instance of its result class; errors as in read_summary."""
    wanted = next(kind for kind, known in KINDS.items() if known is cls)
    report = _readable(text, name)
    if report["kind"] != wanted:
        raise ReportError(
            f"{told(name)} is a report of kind {told(report['kind'])!r}, not {wanted!r}",
            hint=f"a {wanted} is written by blocktool {wanted} -f json",
        )
    return _result(report, cls, name)


def read_any(text: str, name: str = "the report") -> Any:
    """A report as an instance of the result class of its own kind; errors as in read_summary."""
    report = _readable(text, name)
    cls = KINDS.get(report["kind"])
    if cls is None:
        raise ReportError(
            f"{told(name)} is a report of the unknown kind {told(report['kind'])!r}",
            hint=f"this blocktool reads {', '.join(KINDS)}",
        )
    return _result(report, cls, name)


def _readable(text: str, name: str) -> dict[str, Any]:
    """The decoded object, in the present schema version."""
    decoded = decode(text, name)
    report = upgraded(decoded, SCHEMA_VERSION)
    if report is None:
        raise ReportError(
            f"{told(name)} has schema version {told(decoded['schema_version'])}; "
            f"this blocktool reads version {SCHEMA_VERSION}",
            hint="read it with the release that wrote it, or a newer one",
        )
    return report


def _result(report: dict[str, Any], cls: type[ResultT], name: str) -> ResultT:
    import msgspec  # 30 ms, which a command that only writes does not need

    form = FORMS.get(cls)
    try:
        made: Any = msgspec.convert(report, cls if form is None else form[0])
    except msgspec.ValidationError as error:
        raise ReportError(f"{told(name)} is damaged: {told(str(error))}", hint=AGAIN) from error
    except UnicodeEncodeError as error:  # msgspec's, on half a surrogate pair in the wrong place
        raise ReportError(f"{told(name)} is damaged: a text is no Unicode", hint=AGAIN) from error
    result: ResultT = made if form is None else form[2](made)
    if reason := inconsistency(result):
        raise ReportError(f"{told(name)} is damaged: {told(reason)}", hint=AGAIN)
    return result


def _plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    cls: type[DataclassInstance] = type(value)
    if (names := _NAMES.get(cls)) is None:
        names = _NAMES[cls] = _ORDER.get(cls) or tuple(field.name for field in fields(cls))
    return {name: _plain(getattr(value, name)) for name in names}


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
