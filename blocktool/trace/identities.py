"""Tells the result of a module from what it was given, where both are one tensor.

``nn.Identity``, a dropout in eval mode and the like give back the very tensor that they are given.
Afterwards nothing shows whether a reader was handed the one or the other, and so on which way of
a residual block such a module stands. Hooks make a copy there, by an operation that no module
uses otherwise. The same hooks note what a forward calls its inputs, which no trace says either.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from blocktool.targets.target import Target
from blocktool.trace.calls import named_modules
from blocktool.trace.structure import map_tensors, named_tensors


@dataclass
class Noted:
    """What is seen of a module meanwhile, by the first path at which each part is registered."""

    same: dict[str, str] = field(default_factory=dict)
    """For each other path of a part its first."""
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the forward of a part that was called calls the tensors that it is given by position."""
    handles: list[RemovableHandle] = field(default_factory=list)

    def input_names(self, path: str | None = None) -> tuple[str, ...]:
        """Of the part at ``path``, or of the whole; () where it was not called."""
        first = self.same.get(path or "", path or "")
        return self.inputs.get(first, ())

    def same_below(self, path: str | None = None) -> dict[str, str]:
        """``same`` as seen from the part at ``path``."""
        start = f"{path}." if path else ""
        found: dict[str, str] = {}
        firsts: dict[str, str] = {}
        for each, first in self.same.items():
            if each.startswith(start):
                short = each.removeprefix(start)
                here = first.startswith(start)
                found[short] = (
                    first.removeprefix(start) if here else firsts.setdefault(first, short)
                )
        return found


@contextmanager
def identities_told_apart(module: nn.Module) -> Iterator[Noted]:
    """While it lasts, what a module gives back is never what it was given; values, shapes and
    gradients are the same."""
    noted = Noted()
    _hook(module, noted)
    try:
        yield noted
    finally:
        for handle in noted.handles:
            handle.remove()


@contextmanager
def told_apart(target: Target) -> Iterator[tuple[Target, Noted]]:
    """The target whose module is built with such hooks, which are taken off again afterwards."""
    noted = Noted()

    def build() -> nn.Module:
        module = target.build()
        _hook(module, noted)
        return module

    try:
        yield replace(target, build=build), noted
    finally:
        for handle in noted.handles:
            handle.remove()


def _hook(root: nn.Module, noted: Noted) -> None:
    first: dict[int, str] = {}
    for path, module in named_modules(root):
        if id(module) in first:
            noted.same[path] = first[id(module)]
            continue
        first[id(module)] = path
        if not isinstance(module, torch.jit.ScriptModule):
            hook = _Hook(path, noted)
            noted.handles.append(module.register_forward_hook(hook, with_kwargs=True))


class _Hook:
    """Runs after a module did."""

    def __init__(self, path: str, noted: Noted) -> None:
        self._path = path
        self._noted = noted

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> Any:
        if self._path not in self._noted.inputs:
            self._noted.inputs[self._path] = _positional_names(module, args)
        given = {id(tensor) for _, tensor in named_tensors([args, dict(kwargs)])}
        if not any(id(tensor) in given for _, tensor in named_tensors(out)):
            return None

        def copied(tensor: torch.Tensor) -> torch.Tensor:
            if id(tensor) not in given:
                return tensor
            copy: torch.Tensor = torch.ops.aten.alias_copy(tensor)
            return copy

        return map_tensors(out, copied)


def _positional_names(module: nn.Module, args: tuple[Any, ...]) -> tuple[str, ...]:
    """The name of each tensor in ``args`` by the signature of the forward; () without one."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return ()
    single = [p.name for p in parameters if p.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD]
    many = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    names = [*single, *(f"{many[0]}.{n}" for n in range(len(args) - len(single)) if many)]
    if len(names) < len(args):
        return ()
    return tuple(
        str(each)
        for name, value in zip(names, args, strict=False)
        for each, _ in named_tensors(value, name)
    )
