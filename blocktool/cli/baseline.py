"""``--update``: the new report becomes the baseline that later ones are compared with."""

from __future__ import annotations

import json
from pathlib import Path

from blocktool.cli.errors import note
from blocktool.errors import OutputError, UsageError


def accept(text: str, path: Path, *, quiet: bool = False) -> None:
    """Write the report ``text`` over the baseline at ``path``, or make it, and say what it was.

    The file is replaced as a whole or not at all; one that says the same already is not touched.
    A damaged report (the markers of a merge are in it, say) is replaced, any other file is not.
    Raises OutputError where it cannot be written, UsageError where the baseline is no file.
    """
    from blocktool.render.output import destination

    if str(path) == "-":
        raise UsageError("--update writes a baseline", hint="name its file in place of -")
    before = _read(path)
    if before == text:
        _say(f"{path} is up to date", quiet)
        return
    if before is not None and before.strip() and not _was_a_report(before):
        raise OutputError(
            f"{path} is no report, and --update would replace it",
            hint="name the file of the baseline first: blocktool compare BASELINE NEW --update",
        )
    destination(str(path), force=True).write(text)
    told = _described(text) or "the new report"
    was = "" if before is None else _described(before)
    if before is None:
        _say(f"made {path}: {told}", quiet)
    elif was and was != told:
        _say(f"updated {path}: {told}; it was {was}", quiet)
    else:
        _say(f"updated {path}: {told}", quiet)


def is_replaceable(path: Path) -> bool:
    """Whether ``--update`` may write over what is there: a report, though it may be damaged."""
    before = _read(path)
    return before is not None and (not before.strip() or _was_a_report(before))


def _was_a_report(text: str) -> bool:
    return '"schema_version"' in text


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error


def _described(text: str) -> str:
    """``summary of net.py:Net``; empty for what cannot be read."""
    try:
        report = json.loads(text)
        kind, target = report["kind"], report.get("target")
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return f"{kind} of {target}" if isinstance(target, str) else str(kind)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        note(" ".join(line.split()))
