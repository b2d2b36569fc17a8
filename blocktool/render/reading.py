"""Reports out of files: the one way in which commands come by a saved report."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

from blocktool.errors import ReportError
from blocktool.render.json import KINDS, read_any
from blocktool.render.json_decoding import told

_HEAD = 4096  # bytes that tell whether the rest is worth reading
_BOM = b"\xef\xbb\xbf"


def load_report(path: str) -> Any:
    """The report in the file at ``path`` (``-`` is stdin), as the result class of its kind.

    Raises ReportError, in one line, for a file that cannot be read and for all that
    :func:`blocktool.render.json.read_any` refuses.
    """
    name = "stdin" if path == "-" else path
    return read_any(_text(path, name), name)


def load(path: str, *kinds: type) -> Any:
    """As :func:`load_report`, for a report of one of several kinds: classes of ``KINDS``."""
    report = load_report(path)
    if not isinstance(report, kinds):
        words = {cls: kind for kind, cls in KINDS.items()}
        wanted = " or ".join(repr(words[cls]) for cls in kinds)
        name = told("stdin" if path == "-" else path)
        raise ReportError(
            f"{name} is a report of kind {words[type(report)]!r}, not {wanted}",
            hint=f"one is written by blocktool {words[kinds[0]]} -f json",
        )
    return report


def _text(path: str, name: str) -> str:
    name = told(name)
    try:
        if path == "-":
            if sys.stdin is None:
                raise OSError("it is closed")
            content = _content(sys.stdin.buffer, name)
        else:
            with open(path, "rb") as file:
                content = _content(file, name)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise ReportError(
            f"cannot read {name}: {reason}",
            hint="name a report that was written with -o FILE.json, or - for stdin",
        ) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ReportError(
            f"{name} is not UTF-8: byte {error.start} is {content[error.start]:#04x}",
            hint="write it again with blocktool -o FILE.json",
        ) from error


def _content(file: BinaryIO, name: str) -> bytes:
    """All of the file, if it begins as a report does: /dev/zero or a picture is not read on."""
    head = file.read(_HEAD)
    begin = head.removeprefix(_BOM).lstrip()
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReportError(
            f"{name} is UTF-16, a report is UTF-8",
            hint="let blocktool write the file itself, with -o FILE.json",
        )
    if not begin.startswith(b"{"):
        what = "empty" if not begin else "not a blocktool report: it does not begin with {"
        raise ReportError(
            f"{name} is {what}", hint="reports are written with -f json, or -o FILE.json"
        )
    return head + file.read()
