"""Leaves a module, and torch, exactly as they were found.

The module itself is run, not a copy (a copy can be impossible, and is always slower). Its state is
noted first and put back afterwards, whatever happens: every attribute of every submodule, the
contents of its plain containers (hooks, lists, caches), its class (lazy modules change it),
gradients, random generators and torch's global switches. Parameters and buffers themselves are
replaced by stand-ins while the trace runs, so that no data is touched.
"""

from __future__ import annotations

import gc
import logging
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from blocktool.trace.structure import map_tensors, named_tensors

_REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))
_ATOMS = frozenset(
    (int, float, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
)

_DICTS = frozenset((dict, OrderedDict))
_NOTHING: dict[Any, Any] = {}

Contents = list[tuple[Any, Any]]
"""Containers (or the ``__dict__`` of objects) and copies of what they held."""


def reachable_modules(root: nn.Module) -> list[nn.Module]:
    """The module and its submodules, with those that it keeps in plain containers."""
    found = list(root.modules())
    seen = {id(module) for module in found}
    for module in found:  # grows while it is walked
        for name, value in module.__dict__.items():
            if name not in _REGISTRIES and type(value) in (list, tuple, dict) and value:
                for item in value.values() if isinstance(value, dict) else value:
                    if isinstance(item, nn.Module) and id(item) not in seen:
                        seen.update(id(m) for m in item.modules())
                        found.extend(item.modules())
    return found


@contextmanager
def module_preserved(module: nn.Module) -> Iterator[None]:
    """Whatever happens to the attributes of ``module`` and its submodules is undone, also inside
    the containers and plain objects that they hold."""
    modules = reachable_modules(module)
    classes = [type(m) for m in modules]
    contents: Contents = []
    seen = {id(m) for m in modules}
    for m in modules:
        contents.append((m.__dict__, m.__dict__.copy()))
        for value in m.__dict__.values():
            kind = type(value)
            if kind in _ATOMS:
                continue
            if kind in _DICTS and not value:  # a registry of hooks, most often
                contents.append((value, _NOTHING))
                continue
            _note_contents(value, contents, seen)
    try:
        yield
    finally:
        for m, cls in zip(modules, classes, strict=True):
            if type(m) is not cls:
                m.__class__ = cls
        for container, before in contents:
            _restore(container, before)


def _note_contents(value: Any, contents: Contents, seen: set[int]) -> None:
    if type(value) in _ATOMS or id(value) in seen:
        return
    if isinstance(value, dict):
        before: Any = dict(value)
    elif isinstance(value, (list, set, deque)):
        before = value.copy()
    elif isinstance(value, tuple):
        before = None
    elif _is_plain_object(value):
        seen.add(id(value))
        _note_contents(value.__dict__, contents, seen)
        return
    else:
        return
    seen.add(id(value))
    if before is not None:
        contents.append((value, before))
    for item in tuple(value.values()) if isinstance(value, dict) else tuple(value):
        _note_contents(item, contents, seen)


def _is_plain_object(value: Any) -> bool:
    """An object of a class that somebody wrote, and not a piece of torch or of Python."""
    cls = type(value)
    return (
        hasattr(value, "__dict__")
        and type(value.__dict__) is dict
        and not isinstance(value, (nn.Module, torch.Tensor, type))
        and not callable(value)
        and cls.__module__.partition(".")[0] not in ("builtins", "torch", "types", "functools")
    )


def _restore(container: Any, before: Any) -> None:
    if before is _NOTHING and not container:
        return
    if isinstance(container, dict):
        # A subclass may do more in its own methods; an OrderedDict has to.
        cls = OrderedDict if isinstance(container, OrderedDict) else dict
        if container.keys() != before.keys():
            cls.clear(container)
        cls.update(container, before)
    elif container or before:
        container.clear()
        container.update(before) if isinstance(container, set) else container.extend(before)


def substitute_tensors(
    module: nn.Module,
    stand_in: Callable[[torch.Tensor], Any],
    loose: Callable[[torch.Tensor], Any] | None = None,
) -> None:
    """Replace every parameter, buffer and plain tensor attribute, tied ones by one stand-in.

    ``loose`` makes those of tensors that are not registered, where they differ:
    ``module.to(dtype)`` leaves them as they are. Call it inside :func:`module_preserved`.
    Containers that hold tensors are replaced, a shared one by one, and not changed, except the
    registries of the module, which the guard puts back.
    """
    made: dict[int, Any] = {}

    def replaced(tensor: torch.Tensor, make: Callable[[torch.Tensor], Any]) -> Any:
        new = made.get(id(tensor))
        if new is None:
            new = made[id(tensor)] = make(tensor)
        return new

    def replaced_loose(tensor: torch.Tensor) -> Any:
        return replaced(tensor, loose or stand_in)

    modules = reachable_modules(module)
    for submodule in modules:
        attributes = submodule.__dict__
        for registry in (attributes.get("_parameters"), attributes.get("_buffers")):
            for name, tensor in (registry or {}).items():
                if tensor is not None:
                    registry[name] = replaced(tensor, stand_in)  # type: ignore[index]
    for submodule in modules:  # afterwards: an attribute may be a registered tensor once more
        attributes = submodule.__dict__
        for name, value in attributes.items():
            if not isinstance(value, (torch.Tensor, list, tuple, dict)) or name in _REGISTRIES:
                continue
            if isinstance(value, torch.Tensor):
                attributes[name] = replaced_loose(value)
            elif value and id(value) in made:
                attributes[name] = made[id(value)]
            elif value and _holds_tensors(value):
                attributes[name] = made[id(value)] = map_tensors(value, replaced_loose)


def _holds_tensors(value: Any) -> bool:
    try:
        return next(named_tensors(value), None) is not None
    except RecursionError:  # it holds itself
        return False


@contextmanager
def compilation_suspended() -> Iterator[None]:
    """Functions that were given to ``torch.compile`` run as they were written meanwhile."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def collection_paused() -> Iterator[None]:
    """A record makes many objects and no cycles: looking for garbage meanwhile takes a third of
    the time and finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """What torch logs about its own attempts is not for the user."""
    log = logging.getLogger(logger)
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before


_SWITCHES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda on: torch.set_autocast_enabled("cpu", on),
    ),
    (
        lambda: torch.get_deterministic_debug_mode(),
        lambda mode: torch.set_deterministic_debug_mode(mode),
    ),
)
"""Global switches of torch: how to read one, how to set it."""


@contextmanager
def torch_preserved() -> Iterator[None]:
    """Random generators and torch's global switches are as before afterwards."""
    python_state = random.getstate()
    cpu_state = torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    switches = [read() for read, _ in _SWITCHES]
    try:
        yield
    finally:
        random.setstate(python_state)
        torch.set_rng_state(cpu_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        for (read, write), before in zip(_SWITCHES, switches, strict=True):
            if read() != before:
                write(before)
