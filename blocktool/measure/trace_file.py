"""A trace of a few runs, with the modules by name, for Perfetto, Chrome or TensorBoard."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function, supported_activities

from blocktool.errors import OutputError
from blocktool.measure.allocator_events import profiler_without_log
from blocktool.measure.compiled import class_name, nothing_compiled_anew
from blocktool.measure.devices import synchronize
from blocktool.measure.step import Step
from blocktool.trace.calls import CallFollower, ModulePaths

_HINT = "write elsewhere with --trace-file FILE"


def write_trace(step: Step, path: Path, runs: int = 3) -> None:
    """Trace ``runs`` runs of the step with torch.profiler and write them as Chrome's JSON.

    Runs, phases and module calls (``"layer1.0.conv1: Conv2d"``) are ranges around the operations.
    A name that ends in ``.gz`` is compressed. The file, which is replaced if it is there, appears
    whole or not at all. Call it inside the scope of the step, when the step has run before.
    Raises OutputError where it cannot be written; what the step raises comes through.
    """
    path = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
    _check(path)
    with ExitStack() as stack:
        stack.enter_context(nothing_compiled_anew(step))
        stack.enter_context(_NamedCalls().tracking())
        stack.enter_context(profiler_without_log())
        profiler = stack.enter_context(profile(activities=_activities(step.device)))
        for run in range(runs):
            with record_function(f"run {run + 1}"):
                for phase in step.phases:
                    with record_function(phase.name):
                        phase.run()
        synchronize(step.device)
    _write(profiler, path)


def _activities(device: torch.device) -> list[ProfilerActivity]:
    known = {activity.name.lower(): activity for activity in supported_activities()}
    return [known[name] for name in dict.fromkeys(("cpu", device.type)) if name in known]


class _NamedCalls(CallFollower):
    """Puts a range around each call; paths are those below the module that is called first."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: ModulePaths | None = None
        self._stack: list[str] = []

    def call(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Call ``original`` on a module inside a range with its name."""
        if self._paths is None:
            self._paths = ModulePaths(module)
        if not self._stack:
            self._paths.forget_unregistered()
        path = self._paths.of(module, self._stack[-1] if self._stack else "")
        kind = class_name(module)
        self._stack.append(path)
        try:
            with record_function(_plain(f"{path}: {kind}" if path else kind)):
                return original(module, *args, **kwargs)
        finally:
            self._stack.pop()


def _plain(name: str) -> str:
    """The profiler writes names as they are: a quotation mark would end the JSON's string, and
    what it takes for no text is called "unknown"."""
    name = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
    return "".join(each if each.isprintable() else "?" for each in name)


def _check(path: Path) -> None:
    """Before the work. Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a directory", hint="name a file in it")
    if not path.parent.is_dir():
        raise OutputError(
            f"cannot write {path}: there is no directory {path.parent}",
            hint="make it first, or name another file",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {path}: directory {path.parent} is not writable", hint=_HINT
        )


def _write(profiler: profile, path: Path) -> None:
    """Under a temporary name beside it, then moved. Raises OutputError."""
    plain = path.with_name(f".{path.name}.{os.getpid()}.json")
    packed = plain.with_suffix(".gz")
    try:
        profiler.export_chrome_trace(str(plain))
        if not _is_whole(plain):  # the profiler does not raise
            raise OutputError(f"cannot write {path}: the profiler wrote no whole trace", hint=_HINT)
        if path.suffix != ".gz":
            os.replace(plain, path)
            return
        with open(plain, "rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        os.replace(packed, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint=_HINT) from error
    finally:
        for temporary in (plain, plain.with_name(f"{plain.name}.tmp"), packed):
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _is_whole(file: Path) -> bool:
    try:
        with open(file, "rb") as content:
            content.seek(0, os.SEEK_END)
            content.seek(-min(16, content.tell()), os.SEEK_END)
            return content.read().rstrip().endswith(b"}")
    except FileNotFoundError:
        return False
