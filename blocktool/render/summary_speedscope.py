"""A summary for https://www.speedscope.app: flame graphs of what each module costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

from blocktool.analysis.summary import ancestors
from blocktool.errors import UsageError
from blocktool.render import speedscope
from blocktool.render.view import View
from blocktool.results.summary import ModuleRow, SharedTensor, Summary

_FIGURES: tuple[tuple[str, speedscope.Unit, Callable[[ModuleRow], int]], ...] = (
    ("MACs", "none", lambda row: row.macs),
    ("bytes read and written", "bytes", lambda row: row.read_bytes + row.written_bytes),
    ("activation bytes", "bytes", lambda row: row.activation_bytes),
)


def render(summary: Summary, view: View) -> str:
    """One profile for each of MACs, bytes moved, activation bytes and parameters, whatever the
    view; what is 0 everywhere is left out.

    A parameter that several modules hold stands with the first of them. Raises UsageError where
    there is nothing to show.
    """
    frames = speedscope.Frames()
    types = {row.path: row.type for row in summary.modules}
    figures = [
        (name, unit, dict(zip(types, _own(summary.modules, figure), strict=True)))
        for name, unit, figure in _FIGURES
    ]
    figures.append(("parameters", "none", _own_params(summary)))
    profiles = [
        speedscope.sampled(f"{summary.target}: {name}", unit, own.items(), types, frames)
        for name, unit, own in figures
        if any(each > 0 for each in own.values())
    ]
    if not profiles:
        raise UsageError(
            f"{summary.target} has no cost that speedscope could show",
            hint="it runs no operation and has no parameters",
        )
    return speedscope.file(summary.target, profiles, frames)


def _own(rows: Sequence[ModuleRow], figure: Callable[[ModuleRow], int]) -> Iterator[int]:
    """Of each row, its figure less those of the rows right below it."""
    known = {row.path for row in rows}
    below = dict.fromkeys(known, 0)
    for row in rows:
        if row.path:
            below[_parent(row.path, known)] += figure(row)
    return (figure(row) - below[row.path] for row in rows)


def _own_params(summary: Summary) -> dict[str, int]:
    """Parameters of each module's own, each tensor with the first module that holds it.

    A row counts a tensor once, however many modules below hold it, so that from a row less its
    children such a tensor is missing once for each further child. Reports that do not say which
    tensors are shared show it with all its modules.
    """
    known = {row.path for row in summary.modules}
    own = dict(
        zip(
            (row.path for row in summary.modules),
            _own(summary.modules, lambda row: row.params),
            strict=True,
        )
    )
    for tensor in summary.shared:
        size = prod(tensor.shape)
        holders = [path for path in tensor.modules if path in known]
        for path, times in _taken_off(tensor, known).items():
            own[path] += times * size
        for path in holders[1:]:
            own[path] -= size
    return own


def _taken_off(tensor: SharedTensor, known: set[str]) -> dict[str, int]:
    """By module, how often a shared tensor is missing from its row less those of its children."""
    ways: dict[str, set[str]] = {}  # by module, through which children (or itself) it holds it
    for holder in tensor.modules:
        if holder not in known:
            continue
        ways.setdefault(holder, set()).add("")
        for path in ancestors(holder):
            if path and path in known:
                ways.setdefault(_parent(path, known), set()).add(path)
    return {path: len(through) - 1 for path, through in ways.items()}


def _parent(path: str, known: set[str]) -> str:
    """The nearest module above that has a row; the root has one."""
    return next(each for each in list(ancestors(path))[1:] if each in known or not each)
