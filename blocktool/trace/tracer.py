"""``trace``: one run of a module, and the record of it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn

from blocktool.blocks.shapes import ShapeError
from blocktool.errors import BlocktoolError, InputError, ModuleError, TraceError, UsageError
from blocktool.results.trace import Fallback, Mode, OpTrace
from blocktool.targets.inputs import parse_dtype
from blocktool.trace.attention import attention_for
from blocktool.trace.failures import forward_error
from blocktool.trace.inputs import Inputs, call_arguments
from blocktool.trace.layouts import ShapeMismatchError
from blocktool.trace.limits import RungUnavailableError, needs_data, one_line, raised_in_torch
from blocktool.trace.optimizers import optimizer_factory
from blocktool.trace.run import Plan, Run

_COMPILER = "torch._dynamo"
"""What torch imports when an operation first reaches one of its decompositions in Python."""


def trace(
    module: nn.Module,
    inputs: Inputs,
    *,
    mode: Mode = "forward",
    device: str = "meta",
    dtype: str | None = None,
    attention: str = "cpu",
    optimizer: str | None = None,
    input_grad: bool = False,
    name: str | None = None,
    rebuild: Callable[[], nn.Module] | None = None,
    notes: tuple[str, ...] = (),
) -> OpTrace:
    """Run ``module`` once and record every operation.

    Args:
        module: any ``nn.Module``. It is left exactly as it was found, also after an exception.
        inputs: a tensor, a shape, a :class:`~blocktool.results.specs.TensorSpec`, a sequence of
            positional arguments of these (or of anything else), or a mapping of keyword arguments.
        mode: ``"forward"`` runs in eval mode without gradients; ``"training"`` runs in train
            mode (train flags of submodules are kept where the module is in train mode already),
            forward and backward, and a step of ``optimizer`` where one is named.
        device: ``"meta"`` climbs the ladder: meta, then fake tensors, then real ones on CPU.
            ``"fake"``, ``"cpu"``, ``"cuda"``, ... use that rung alone.
        dtype: the floating dtype of parameters, buffers and inputs (``"bfloat16"``); None keeps it.
        attention: the device whose attention kernels the trace without data assumes.
        optimizer: ``"sgd"``, ``"adam"``, ...: with ``mode="training"``, one step of it.
        input_grad: whether the inputs need a gradient, too (only where they are floating).
        name: how the target is called in results; the class name if None.
        rebuild: makes the module anew with values, for the rung that needs them. The module then
            counts as ours, and is not copied before it is run.
        notes: remarks to carry along in the result.

    Raises:
        ModuleError: the module's own forward raised; ``details`` keeps the user's lines.
        InputError: the inputs are malformed.
        TraceError: no rung of the ladder held.
        UsageError: an unknown mode, device, dtype, optimizer or attention device.
    """
    arguments = call_arguments(inputs)
    module, remarks = unwrapped(module)
    attention_for(attention)
    plan = Plan(
        module=module,
        arguments=arguments,
        mode=_checked_mode(mode, optimizer),
        dtype=torch_dtype(dtype),
        attention=attention,
        optimizer=optimizer,
        input_grad=input_grad,
        name=name or type(module).__name__,
        rebuild=rebuild,
        notes=(*notes, *remarks),
    )
    fallbacks: list[Fallback] = []
    rungs = ("meta", "fake", "cpu") if device == "meta" else (checked_device(device),)
    suspected: ModuleError | None = None
    for rung in rungs:
        run = Run(plan, rung, tuple(fallbacks))
        known = _COMPILER in sys.modules
        try:
            result = run.result()
            if known or _COMPILER not in sys.modules:
                return result
            # The import keeps the frames alive that it was called from, and their tensors with
            # them: the run is told again as every later one is.
            run = Run(plan, rung, tuple(fallbacks))
            return run.result()
        except BlocktoolError:
            raise
        except (Exception, SystemExit) as error:
            if run.stage is None and not isinstance(error, RungUnavailableError):
                raise
            limit = needs_data(error)
            asked = rung == "meta" and _may_be_a_limit(error, rungs)
            if not limit:
                # What was said first is clearest: on meta by rules that speak as the CPU does.
                mistake = suspected or forward_error(error, plan.name, run.failed_path, arguments)
                if not asked:
                    raise mistake from error
                suspected = mistake
            if rung == rungs[-1]:
                raise TraceError(
                    f"cannot be traced on {rung} tensors: {one_line(error)}",
                    hint="leave out --device to let the trace fall back to real tensors",
                ) from error
            fallbacks.append(Fallback(rung, _reason(error, run.failed_path)))
    raise AssertionError("the last rung returns or raises")


def _may_be_a_limit(error: BaseException, rungs: tuple[str, ...]) -> bool:
    """Whether it is worth asking a fake CPU before an error on meta is called the user's: not for
    what the user's own code raises, nor for a shape that our rules refused."""
    ours = isinstance(error, (ShapeMismatchError, ShapeError))
    return "fake" in rungs and not ours and raised_in_torch(error)


def _reason(error: BaseException, path: str | None) -> str:
    return f"in {path}: {one_line(error)}" if path else one_line(error)


def _checked_mode(mode: Mode, optimizer: str | None) -> Mode:
    if mode not in ("forward", "training"):
        raise UsageError(f"unknown mode '{mode}'", hint="choose forward or training")
    if optimizer is not None:
        optimizer_factory(optimizer)
        if mode != "training":
            raise UsageError("an optimizer steps only in training mode", hint="add --mode training")
    return mode


def torch_dtype(dtype: str | None) -> torch.dtype | None:
    """torch's object for the name of a floating dtype. UsageError for any other name."""
    if dtype is None:
        return None
    found: torch.dtype = getattr(torch, parse_dtype(dtype))
    if not found.is_floating_point:
        raise UsageError(
            f"'{dtype}' is not a floating dtype", hint="for example float32, bfloat16 or float16"
        )
    return found


def checked_device(device: str) -> str:
    """The device as torch writes it; UsageError for one that cannot be used here."""
    if device == "fake":
        return device
    try:
        kind = torch.device(device)
        torch.empty(0, device=kind)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device '{device}' cannot be used: {one_line(error)}",
            hint="meta (the default) needs no device; --attention cuda predicts a GPU's kernels",
        ) from error
    return str(kind)


def unwrapped(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """A compiled module is traced as what it was compiled from: the trace must not touch it."""
    if not isinstance(module, nn.Module):
        raise InputError(f"not an nn.Module: {type(module).__name__}")
    original = getattr(module, "_orig_mod", None)
    if isinstance(original, nn.Module):
        return original, ["compiled module: traced as it was before compilation"]
    return module, []
