"""What to say when a forward raises."""

from __future__ import annotations

import re
from typing import Any

from blocktool.blocks.shapes import ShapeError
from blocktool.errors import ModuleError
from blocktool.results.specs import TensorSpec
from blocktool.targets.user_code import user_frames
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line, raised_in_torch, text_of
from blocktool.trace.structure import specs_of


def forward_error(
    error: BaseException, name: str, path: str | None, arguments: CallArguments
) -> ModuleError:
    """The user's forward raised: one line, the user's own lines of the traceback, and a hint."""
    where = f"{name}, in '{path}'" if path else name
    reason = (f"  {error.reason}",) if isinstance(error, ShapeError) and error.reason else ()
    return ModuleError(
        f"{where}: {one_line(error)}",
        hint=_hint(error, arguments),
        details=(*reason, *user_frames(error)),
        reason=one_line(error),
        path=path,
    )


def _given(arguments: CallArguments) -> str:
    specs: list[TensorSpec] = []
    values: list[Any] = [*arguments.args, *arguments.kwargs.values()]
    for value in values:
        specs.extend([value] if isinstance(value, TensorSpec) else specs_of(value))
    return " ".join(f"-i {spec}" for spec in specs) or "none"


def _hint(error: BaseException, arguments: CallArguments) -> str:
    given = _given(arguments)
    text = text_of(error)
    if isinstance(error, ShapeError) and error.hint:
        return error.hint
    if isinstance(error, TypeError) and re.search(r"forward\(\).*(argument|positional)", text):
        return f"the inputs were: {given}; give each its own -i, named ones as -i name=..."
    if 'missing the required "forward"' in text:
        return "write a forward method, or name a submodule that has one with --select"
    if "Expected more than 1 value per channel when training" in text:
        return "batch normalisation cannot train on one value per channel; try --batch 2"
    if "for argument #1 'indices'" in text:
        return f"the inputs were: {given}; indices are integers: -i 2x77:int64"
    about_shapes = isinstance(error, (RuntimeError, ValueError, IndexError))
    if about_shapes and raised_in_torch(error):
        return f"the inputs were: {given}; other shapes with -i"
    return f"the inputs were: {given}"
