"""Tells the result of a module from what it was given, where both are one tensor.

``nn.Identity``, a dropout in eval mode and the like give back the very tensor that they are given.
Afterwards nothing shows whether a reader was handed the one or the other, and so on which way of
a residual block such a module stands. Hooks make a copy there, by an operation that no module
uses otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from blocktool.targets.target import Target
from blocktool.trace.calls import named_modules
from blocktool.trace.structure import map_tensors, named_tensors


@contextmanager
def identities_told_apart(module: nn.Module) -> Iterator[None]:
    """While it lasts, what a module gives back is never what it was given; values, shapes and
    gradients are the same."""
    handles = _hooked(module)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def told_apart(target: Target) -> Target:
    """The target whose module is built with such hooks."""

    def build() -> nn.Module:
        module = target.build()
        _hooked(module)
        return module

    return replace(target, build=build)


def _hooked(module: nn.Module) -> list[RemovableHandle]:
    modules = {id(each): each for _, each in named_modules(module)}
    return [
        each.register_forward_hook(_copied, with_kwargs=True)
        for each in modules.values()
        if not isinstance(each, torch.jit.ScriptModule)
    ]


def _copied(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Any:
    given = {id(tensor) for _, tensor in named_tensors([args, dict(kwargs)])}
    if not any(id(tensor) in given for _, tensor in named_tensors(out)):
        return None

    def copied(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in given:
            return tensor
        copy: torch.Tensor = torch.ops.aten.alias_copy(tensor)
        return copy

    return map_tensors(out, copied)
