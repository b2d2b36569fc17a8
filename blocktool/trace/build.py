"""Builds a target's module without data where its constructor allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from blocktool.errors import BlocktoolError
from blocktool.targets.target import Target
from blocktool.trace.classify import traits_of
from blocktool.trace.guard import torch_preserved
from blocktool.trace.limits import cause_of, needs_data, one_line
from blocktool.trace.standins import without_data


class _Uninitialised(TorchDispatchMode):
    """Answers initialisers of meta tensors, which have nothing to fill, from the shape rules."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # As in Recorder.

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        rule = traits_of(func).rule if isinstance(func, torch._ops.OpOverload) else None
        out = rule(args, kwargs) if rule is not None else NotImplemented
        return func(*args, **kwargs) if out is NotImplemented else out


def _all_on_meta() -> torch.device:
    return torch.device("meta")


@contextmanager
def _parameters_without_data() -> Iterator[None]:
    """Every parameter that is registered meanwhile loses its data at once; all else is real."""
    original = nn.Module.register_parameter
    stand_in = without_data(torch.device("meta"))
    made: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}
    """By id of the original, which is kept, so that its id stays its own."""

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        original(module, name, parameter)
        if parameter is None or parameter.is_meta or is_lazy(parameter):
            return
        if id(parameter) not in made:
            made[id(parameter)] = (parameter, stand_in(parameter))
        module._parameters[name] = made[id(parameter)][1]

    nn.Module.register_parameter = register  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


def build_without_data(target: Target) -> tuple[nn.Module, tuple[str, ...]]:
    """The target's module without data where that is possible, and notes on how it went.

    All on the meta device; else, for constructors that compute with tensors of their own, the
    parameters alone; else on CPU.

    Raises:
        TargetError, ModuleError: as ``Target.build`` does.
    """
    with torch_preserved():
        for setting in (_all_on_meta, _parameters_without_data):
            try:
                with setting(), _Uninitialised():  # type: ignore[no-untyped-call]
                    return target.build(), ()
            except BlocktoolError as error:
                if not needs_data(error):
                    raise
                reason = one_line(cause_of(error))
        return target.build(), (f"built on CPU, since its constructor needs data ({reason})",)
