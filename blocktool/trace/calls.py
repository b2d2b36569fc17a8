"""Follows the calls of modules while a trace runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from blocktool.results.specs import TensorSpec
from blocktool.results.trace import ModuleCall
from blocktool.trace.recorder import Recorder
from blocktool.trace.structure import dtype_name, named_tensors

_TRACKERS: dict[int, CallTracker] = {}
"""Who follows the calls, by thread."""
_INTERCEPTING = 0


@contextmanager
def calls_intercepted() -> Iterator[None]:
    """``nn.Module.__call__`` goes by the tracker of the thread, where there is one.

    To replace a method of a class that has a thousand subclasses takes a third of a millisecond:
    who traces many times keeps it replaced meanwhile.
    """
    global _INTERCEPTING
    original = nn.Module.__call__

    def intercepted(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        tracker = _TRACKERS.get(threading.get_ident())
        if tracker is None:
            return original(module, *args, **kwargs)
        return tracker.call(original, module, args, kwargs)

    _INTERCEPTING += 1
    if _INTERCEPTING == 1:
        nn.Module.__call__ = intercepted  # type: ignore[method-assign]
    try:
        yield
    finally:
        _INTERCEPTING -= 1
        if _INTERCEPTING == 0:
            nn.Module.__call__ = original  # type: ignore[method-assign]


def named_modules(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every module under every path it is registered at; where modules register one another in a
    circle, each once."""
    try:
        return list(root.named_modules(remove_duplicate=False))
    except RecursionError:
        return list(root.named_modules())


def _nearest(paths: dict[str, None], caller: str) -> str:
    """The path that lies under the caller: right below it if there is one."""
    if caller:
        for name in {path.rpartition(".")[2] for path in paths}:
            if f"{caller}.{name}" in paths:
                return f"{caller}.{name}"
        under = [path for path in paths if path.startswith(f"{caller}.")]
        if under:
            return min(under, key=len)
    return min(paths, key=len)


class CallTracker:
    """Keeps the stack of module calls; a module that is used twice has two calls.

    A module registered under several paths is given the one that lies under its caller.
    """

    def __init__(self, root: nn.Module, recorder: Recorder) -> None:
        self.calls: list[ModuleCall] = []
        self.unregistered: dict[str, nn.Module] = {}
        """Modules that ran but are not registered under the root, by the path they were given."""
        self.failed_path: str | None = None
        """The innermost module that was running when the forward raised."""
        self._recorder = recorder
        self._paths: dict[int, dict[str, None]] = {}
        self._chosen: dict[tuple[int, str], str] = {}
        self._made: dict[str, int] = {}
        for path, module in named_modules(root):
            self._paths.setdefault(id(module), {})[path] = None

    @contextmanager
    def tracking(self) -> Iterator[None]:
        """Follow what is called on this thread."""
        thread = threading.get_ident()
        before = _TRACKERS.get(thread)
        with calls_intercepted():
            _TRACKERS[thread] = self
            try:
                yield
            finally:
                if before is None:
                    del _TRACKERS[thread]
                else:
                    _TRACKERS[thread] = before

    def call(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Call ``original`` on a module, and note it."""
        index = self._enter(module, args, kwargs)
        try:
            out = original(module, *args, **kwargs)
        except BaseException:
            if self.failed_path is None:
                self.failed_path = self.calls[index].path
            self._recorder.call_stack.pop()
            raise
        self._leave(index, out)
        return out

    def _path(self, module: nn.Module, caller: str) -> str:
        paths = self._paths.get(id(module))
        if paths is None:
            return self._unregistered_path(module, caller)
        if len(paths) == 1:
            return next(iter(paths))
        known = self._chosen.get((id(module), caller))
        if known is None:
            known = self._chosen[id(module), caller] = _nearest(paths, caller)
        return known

    def _unregistered_path(self, module: nn.Module, caller: str) -> str:
        base = f"{caller}.<{type(module).__name__}>" if caller else f"<{type(module).__name__}>"
        count = self._made[base] = self._made.get(base, 0) + 1
        path = base if count == 1 else f"{base}#{count}"
        self.unregistered[path] = module
        self._paths[id(module)] = {path: None}
        return path

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        recorder = self._recorder
        stack = recorder.call_stack
        parent = stack[-1] if stack else -1
        index = len(self.calls)
        path = self._path(module, self.calls[parent].path if parent >= 0 else "")
        specs, storages = self._describe(args, kwargs)
        now = len(recorder.ops)
        self.calls.append(
            ModuleCall(
                index,
                path,
                parent,
                "recompute" if recorder.phase == "backward" else recorder.phase,
                specs,
                (),
                storages,
                (),
                now,
                now,
            )
        )
        stack.append(index)
        return index

    def _leave(self, index: int, out: Any) -> None:
        self._recorder.call_stack.pop()
        self.failed_path = None  # Whatever failed inside was caught there.
        specs, storages = self._describe((out,), {})
        call = self.calls[index]
        self.calls[index] = ModuleCall(
            index,
            call.path,
            call.parent,
            call.phase,
            call.inputs,
            specs,
            call.input_storages,
            storages,
            call.first_op,
            len(self._recorder.ops),
        )

    def _describe(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[TensorSpec, ...], tuple[int, ...]]:
        specs: list[TensorSpec] = []
        storages: list[int] = []
        index = self._recorder.storages.index
        for value in args:
            if type(value) is torch.Tensor:
                specs.append(TensorSpec(tuple(value.shape), dtype_name(value.dtype)))
                storages.append(index(value))
            else:
                for name, tensor in named_tensors(value):
                    specs.append(TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), name))
                    storages.append(index(tensor))
        for name, tensor in named_tensors(kwargs):
            specs.append(TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), name))
            storages.append(index(tensor))
        return tuple(specs), tuple(storages)
