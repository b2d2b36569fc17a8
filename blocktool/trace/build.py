"""Builds a target's module without data where its constructor allows it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from blocktool.errors import BlocktoolError
from blocktool.targets.target import Target
from blocktool.trace.classify import traits_of
from blocktool.trace.limits import cause_of, needs_data, one_line


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


def build_without_data(target: Target) -> tuple[nn.Module, tuple[str, ...]]:
    """The target's module, on the meta device or else on CPU, and notes on how it went.

    Raises:
        TargetError, ModuleError: as ``Target.build`` does.
    """
    random_state = torch.get_rng_state()
    try:
        with torch.device("meta"), _Uninitialised():  # type: ignore[no-untyped-call]
            return target.build(), ()
    except BlocktoolError as error:
        if not needs_data(error):
            raise
        reason = one_line(cause_of(error))
    finally:
        torch.set_rng_state(random_state)
    return target.build(), (f"built on CPU, since its constructor needs data ({reason})",)
