"""Traces a target: builds it, finds its inputs, and narrows it to a submodule where asked."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from blocktool.errors import InputError, ModuleError, TargetError
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import Mode, OpTrace
from blocktool.targets.loading import user_code_running
from blocktool.targets.target import Target
from blocktool.trace.build import build_without_data
from blocktool.trace.inputs import CallArguments, call_arguments, without_values
from blocktool.trace.structure import dtype_name
from blocktool.trace.tracer import trace


def trace_target(
    target: Target,
    inputs: tuple[TensorSpec, ...] | None = None,
    *,
    mode: Mode = "forward",
    device: str = "meta",
    dtype: str | None = None,
    attention: str = "cpu",
    optimizer: str | None = None,
    input_grad: bool = False,
    select: str | None = None,
) -> OpTrace:
    """Build ``target`` and trace it with ``inputs``, or with its own where None.

    ``select`` names a submodule, which is then traced alone with the inputs that it receives in
    its first call. The rest is as in :func:`blocktool.trace.tracer.trace`.

    Raises:
        InputError: no inputs are known, or the selected submodule is never called.
        TargetError: the target cannot be built, or has no such submodule.
        ModuleError, TraceError, UsageError: as ``trace`` does.
    """
    with user_code_running():
        return _traced(
            target,
            inputs or target.inputs,
            select,
            optimizer,
            {
                "mode": mode,
                "device": device,
                "dtype": dtype,
                "attention": attention,
                "input_grad": input_grad,
            },
        )


def _traced(
    target: Target,
    inputs: tuple[TensorSpec, ...] | None,
    select: str | None,
    optimizer: str | None,
    settings: dict[str, Any],
) -> OpTrace:
    module, notes = build_without_data(target)
    if inputs is None:
        raise InputError(
            f"{target.name} has no default input", hint="give one, for example -i 1x3x224x224"
        )
    if not select:
        return trace(
            module,
            inputs,
            **settings,
            optimizer=optimizer,
            name=target.name,
            rebuild=target.build,
            notes=notes,
        )
    received, calls = _received(target, module, select, inputs, settings)
    if calls > 1:
        notes = (*notes, f"'{select}' is called {calls} times; this is its first call")
    return trace(
        module.get_submodule(select),
        received,
        **{**settings, "input_grad": False},
        optimizer=optimizer,
        name=f"{target.name} {select}",
        rebuild=lambda: target.build().get_submodule(select),
        notes=notes,
    )


def received_by(
    target: Target, module: nn.Module, path: str, inputs: tuple[TensorSpec, ...]
) -> tuple[TensorSpec, ...]:
    """The tensors that the submodule at ``path`` is first called with.

    Raises TargetError where there is no such submodule, InputError where it is never called or is
    given something else than tensors, and what tracing raises.
    """
    received, _ = _received(target, module, path, inputs, {})
    specs: list[TensorSpec] = []
    for name, value in [*((None, v) for v in received.args), *received.kwargs.items()]:
        if value is None:
            continue
        if not isinstance(value, torch.Tensor):
            raise InputError(
                f"'{path}' is called with a {type(value).__name__}, not with tensors alone",
                hint="select a module that takes tensors",
            )
        specs.append(TensorSpec(tuple(value.shape), dtype_name(value.dtype), name))
    return tuple(specs)


def submodule(target: Target, module: nn.Module, path: str) -> nn.Module:
    """The submodule at ``path``; TargetError, with suggestions, where there is none."""
    try:
        return module.get_submodule(path)
    except AttributeError:
        paths = [name for name, _ in module.named_modules() if name]
        near = get_close_matches(path, paths, 3)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"for example {', '.join(paths[:3])}"
        )
        raise TargetError(
            f"{target.name} has no submodule '{path}'",
            hint=hint if paths else "it has no submodules",
        ) from None


def _received(
    target: Target,
    module: nn.Module,
    path: str,
    inputs: tuple[TensorSpec, ...],
    settings: dict[str, Any],
) -> tuple[CallArguments, int]:
    """What the submodule at ``path`` is first called with, as tensors without data, and how often
    it is called."""
    seen: list[CallArguments] = []
    calls = 0

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if not seen:
            with torch._C._DisableTorchDispatch():
                seen.append(without_values(CallArguments(args, kwargs)))

    def rebuilt() -> nn.Module:
        new = target.build()
        new.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True)
        return new

    handle = submodule(target, module, path).register_forward_pre_hook(note, with_kwargs=True)
    try:
        trace(module, call_arguments(inputs), **settings, name=target.name, rebuild=rebuilt)
    except ModuleError:
        if not seen:  # what comes after the submodule need not work
            raise
    finally:
        handle.remove()
    if not seen:
        raise InputError(
            f"'{path}' is never called when {target.name} runs",
            hint="select a module that is called, or name it as a target of its own with -i",
        )
    return seen[0], calls
