"""Leaves a module, and torch, exactly as they were found.

The module itself is run, not a copy (a copy can be impossible, and is always slower). Its state is
noted first and put back afterwards, whatever happens: every attribute of every submodule, the
contents of its plain containers (hooks, lists, caches), its class (lazy modules change it),
gradients, random generators and torch's global switches. Parameters and buffers themselves are
replaced by stand-ins while the trace runs, so that no data is touched.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from blocktool.trace.structure import map_tensors, named_tensors

_REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))
_CONTAINERS = frozenset((dict, OrderedDict, defaultdict, list, set, deque))

Snapshot = tuple[nn.Module, type, dict[str, Any], list[tuple[Any, Any]]]


@contextmanager
def module_preserved(module: nn.Module) -> Iterator[None]:
    """Whatever happens to the attributes of ``module`` and its submodules is undone."""
    snapshots = [_snapshot(m) for m in module.modules()]
    try:
        yield
    finally:
        for snapshot in snapshots:
            _restore(*snapshot)


def _snapshot(module: nn.Module) -> Snapshot:
    attributes = module.__dict__.copy()
    contents: list[tuple[Any, Any]] = []
    for value in attributes.values():
        if type(value) in _CONTAINERS:
            _note_contents(value, contents)
    return module, type(module), attributes, contents


def _note_contents(container: Any, contents: list[tuple[Any, Any]]) -> None:
    contents.append((container, container.copy() if container else None))
    if container:
        for item in container.values() if isinstance(container, dict) else container:
            if type(item) in _CONTAINERS:
                _note_contents(item, contents)


def _restore(
    module: nn.Module, cls: type, attributes: dict[str, Any], contents: list[tuple[Any, Any]]
) -> None:
    for container, before in contents:
        if not container and before is None:
            continue
        container.clear()
        if before is None:
            continue
        if isinstance(container, (dict, set)):
            container.update(before)
        else:
            container.extend(before)
    if type(module) is not cls:
        module.__class__ = cls
    now = module.__dict__
    if now.keys() != attributes.keys():
        now.clear()
    now.update(attributes)


def substitute_tensors(module: nn.Module, stand_in: Callable[[torch.Tensor], Any]) -> None:
    """Replace every parameter, buffer and plain tensor attribute, tied ones by one stand-in.

    Call it inside :func:`module_preserved`. Containers that hold tensors are replaced, not
    changed, except the registries of the module, which the guard puts back.
    """
    made: dict[int, Any] = {}

    def replaced(tensor: torch.Tensor) -> Any:
        new = made.get(id(tensor))
        if new is None:
            new = made[id(tensor)] = stand_in(tensor)
        return new

    for submodule in module.modules():
        attributes = submodule.__dict__
        for registry in (attributes.get("_parameters"), attributes.get("_buffers")):
            for name, tensor in (registry or {}).items():
                if tensor is not None:
                    registry[name] = replaced(tensor)  # type: ignore[index]
        for name, value in attributes.items():
            if not isinstance(value, (torch.Tensor, list, tuple, dict)) or name in _REGISTRIES:
                continue
            if not isinstance(value, torch.Tensor) and not value:
                continue
            if next(named_tensors(value), None) is not None:
                attributes[name] = map_tensors(value, replaced)


@contextmanager
def compilation_suspended() -> Iterator[None]:
    """Functions that were given to ``torch.compile`` run as they were written meanwhile."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def torch_preserved() -> Iterator[None]:
    """Random generators, grad mode, default dtype and autocast are as before afterwards."""
    python_state = random.getstate()
    cpu_state = torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    default_dtype = torch.get_default_dtype()
    grad_enabled = torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        random.setstate(python_state)
        torch.set_rng_state(cpu_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        torch.set_default_dtype(default_dtype)
        torch.set_grad_enabled(grad_enabled)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
