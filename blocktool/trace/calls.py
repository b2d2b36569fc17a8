"""Follows the calls of modules, without a hook on any of them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from blocktool.results.specs import TensorSpec
from blocktool.results.trace import ModuleCall
from blocktool.trace.recorder import Recorder
from blocktool.trace.structure import dtype_name, named_tensors

_FOLLOWERS: dict[int, CallFollower] = {}
"""Who follows the calls, by thread."""
_INTERCEPTING = 0


@contextmanager
def calls_intercepted() -> Iterator[None]:
    """``nn.Module.__call__`` goes by the follower of the thread, where there is one.

    To replace a method of a class that has a thousand subclasses takes a third of a millisecond:
    who traces many times keeps it replaced meanwhile.
    """
    global _INTERCEPTING
    original = nn.Module.__call__

    def intercepted(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        follower = _FOLLOWERS.get(threading.get_ident())
        if follower is None:
            return original(module, *args, **kwargs)
        return follower.call(original, module, args, kwargs)

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


class ModulePaths:
    """Where each module is registered; one that has several paths is given the one that lies under
    its caller."""

    def __init__(self, root: nn.Module) -> None:
        self.unregistered: dict[str, nn.Module] = {}
        """Modules that ran but are not registered under the root, by the path they were given."""
        self._paths: dict[int, dict[str, None]] = {}
        self._chosen: dict[tuple[int, str], str] = {}
        self._made: dict[str, int] = {}
        for path, module in named_modules(root):
            self._paths.setdefault(id(module), {})[path] = None

    def of(self, module: nn.Module, caller: str) -> str:
        """The path of a module that the module at ``caller`` calls ("": the root, or nobody)."""
        paths = self._paths.get(id(module))
        if paths is None:
            return self._unregistered_path(module, caller)
        if len(paths) == 1:
            return next(iter(paths))
        known = self._chosen.get((id(module), caller))
        if known is None:
            known = self._chosen[id(module), caller] = _nearest(paths, caller)
        return known

    def forget_unregistered(self) -> None:
        """Before another run: modules that a forward makes for itself get the same names again."""
        for module in self.unregistered.values():
            del self._paths[id(module)]
        self.unregistered.clear()
        self._made.clear()

    def _unregistered_path(self, module: nn.Module, caller: str) -> str:
        base = f"{caller}.<{type(module).__name__}>" if caller else f"<{type(module).__name__}>"
        count = self._made[base] = self._made.get(base, 0) + 1
        path = base if count == 1 else f"{base}#{count}"
        self.unregistered[path] = module
        self._paths[id(module)] = {path: None}
        return path


def _nearest(paths: dict[str, None], caller: str) -> str:
    """The path that lies under the caller: right below it if there is one."""
    if caller:
        for name in dict.fromkeys(path.rpartition(".")[2] for path in paths):  # in their order
            if f"{caller}.{name}" in paths:
                return f"{caller}.{name}"
        under = [path for path in paths if path.startswith(f"{caller}.")]
        if under:
            return min(under, key=len)
    return min(paths, key=len)


class CallFollower(ABC):
    """Is given every call of a module on a thread, and makes it."""

    def __init__(self) -> None:
        self._replaced: dict[int, CallFollower | None] = {}

    @abstractmethod
    def call(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Call ``original`` on a module, and note it."""

    @contextmanager
    def tracking(self) -> Iterator[None]:
        """Follow what is called on this thread."""
        with calls_intercepted():
            try:
                self.follow_this_thread()
                yield
            finally:
                while self._replaced:
                    thread, before = self._replaced.popitem()
                    if before is None:
                        del _FOLLOWERS[thread]
                    else:
                        _FOLLOWERS[thread] = before

    def follow_this_thread(self) -> None:
        """Follow what is called on one more thread, until the tracking ends."""
        thread = threading.get_ident()
        if thread not in self._replaced:
            self._replaced[thread] = _FOLLOWERS.get(thread)
            _FOLLOWERS[thread] = self


class CallTracker(CallFollower):
    """Keeps the stack of module calls of a trace; a module that is used twice has two calls."""

    def __init__(self, root: nn.Module, recorder: Recorder) -> None:
        super().__init__()
        self.calls: list[ModuleCall] = []
        self.failed_path: str | None = None
        """The innermost module that was running when the forward raised."""
        self._recorder = recorder
        self._paths = ModulePaths(root)
        self.unregistered = self._paths.unregistered

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

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        recorder = self._recorder
        stack = recorder.call_stack
        parent = stack[-1] if stack else -1
        index = len(self.calls)
        path = self._paths.of(module, self.calls[parent].path if parent >= 0 else "")
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
