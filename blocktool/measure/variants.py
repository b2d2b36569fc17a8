"""Makes a variant of a module: what is fused, converted, quantized or compiled before it is timed.

A variant is one name of :data:`blocktool.measure.variant_names.VARIANTS` or several. Each takes the
module and its arguments as the one before left them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from blocktool.errors import InputError, ModuleError, OptimizationError, TraceError
from blocktool.measure.changed import Changed, Unavailable
from blocktool.measure.compiling import CannotCompile, compiled
from blocktool.measure.quantizing import quantized
from blocktool.measure.subject import tensors_in, tensors_of
from blocktool.measure.variant_names import BASELINE, parts
from blocktool.measure.zeros import without_zeros
from blocktool.optimize.fuse import Fused, fuse
from blocktool.optimize.samples import device_of
from blocktool.optimize.verify import TOLERANCES, Differs, differences, working_dtype
from blocktool.results.profile import RunMode
from blocktool.results.quantize import Kind
from blocktool.trace.inputs import CallArguments
from blocktool.trace.structure import dtype_name, map_tensors

_VERIFIED_ITEMS = 2
"""Items of a batch on which fusing is verified; the whole batch is compared with eager later."""

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def changed(
    variant: str,
    module: nn.Module,
    arguments: CallArguments,
    mode: RunMode,
    *,
    autocast: torch.dtype | None = None,
) -> Changed:
    """The variant of ``module``, which is consumed, for arguments that are tensors on its device.

    ``module`` is in the state that ``mode`` asks for, and ``autocast`` what the case itself runs
    under. What is compiled has run when this returns, as
    :func:`blocktool.measure.steps.step_for` and :func:`~blocktool.measure.steps.scope` run it; in
    training also backwards. Parameters that are zero everywhere get values
    (:func:`~blocktool.measure.zeros.without_zeros`), here and in the reference.

    Raises Unavailable for a variant that cannot be had, ModuleError where the module itself raises.
    """
    drawn = without_zeros(module)
    made = Changed(module, arguments, autocast)
    if variant != BASELINE and drawn:
        note = f"parameters that are zero ({_few_of(drawn)}) have values, or no error would show"
        made = replace(made, notes=(note,))
    for name in parts(variant):
        made = _CHANGES[name](made, mode)
    return made


def _fused(made: Changed, mode: RunMode) -> Changed:
    if mode != "inference":
        raise Unavailable("fusing is for inference: folded batch norms do not train")
    try:
        found = _fuse(made)
    except (InputError, OptimizationError, TraceError) as error:
        raise Unavailable(error.message) from error
    report = found.report
    if not report.fused:
        refused = f" ({report.refused[0].reason})" if report.refused else ""
        raise Unavailable(f"nothing to fuse in {report.target}{refused}")
    note = f"{report.ops_before} operations are {report.ops_after} once fused"
    return replace(made, module=found.module, notes=(*made.notes, note))


def _fuse(made: Changed) -> Fused:
    few = _few(made.arguments)
    if few is not None:
        try:
            return _verified(made.module, few)
        except (InputError, ModuleError, OptimizationError, TraceError):
            pass  # the leading dimension is no batch, or the module wants all of it
    return _verified(made.module, made.arguments)


def _verified(module: nn.Module, arguments: CallArguments) -> Fused:
    """Fused, and seen to give the same. That the arithmetic holds for any parameters, which fuse()
    can prove as well, takes several times as long, and is asked for only where this fails."""
    try:
        found = fuse(module, arguments, verify=False)
        if found.report.fused:
            differences(module, found.module, arguments, TOLERANCES[working_dtype(module)])
    except (Differs, ModuleError, TraceError):
        return fuse(module, arguments)
    return found


def _few(arguments: CallArguments) -> CallArguments | None:
    """The first items of a batch; None where the tensors have no common leading dimension."""
    batches = {tensor.shape[0] if tensor.ndim else 0 for tensor in tensors_in(arguments)}
    if len(batches) != 1 or batches.pop() <= _VERIFIED_ITEMS:
        return None
    return _mapped(arguments, lambda tensor: tensor[:_VERIFIED_ITEMS])


def _channels_last(made: Changed, mode: RunMode) -> Changed:
    def changed_format(tensor: torch.Tensor) -> torch.Tensor:
        form = _FORMATS.get(tensor.ndim)
        return tensor if form is None else tensor.contiguous(memory_format=form)

    if not any(tensor.ndim in _FORMATS for tensor in tensors_in(made.arguments)):
        raise Unavailable("channels-last needs an input of four or five dimensions")
    # Not Module.to(memory_format=...), which raises for weights of both ranks in one module.
    for tensor in tensors_of(made.module):
        tensor.data = changed_format(tensor.data)
    return replace(made, arguments=_mapped(made.arguments, changed_format))


def _cast(made: Changed, mode: RunMode, dtype: torch.dtype) -> Changed:
    name = dtype_name(dtype)
    tensors = (*tensors_of(made.module), *tensors_in(made.arguments))
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    if not floating:
        raise Unavailable(f"there is nothing floating to convert to {name}")
    if all(tensor.dtype is dtype for tensor in floating):
        raise Unavailable(f"it is in {name} already")

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    notes = made.notes
    if mode == "training":
        notes += (f"weights, gradients and optimizer state are {name}, without a float32 copy",)
    return replace(
        made, module=made.module.to(dtype), arguments=_mapped(made.arguments, cast), notes=notes
    )


def _amp(made: Changed, mode: RunMode, dtype: torch.dtype) -> Changed:
    if made.autocast is not None:
        raise Unavailable(f"it runs under autocast to {dtype_name(made.autocast)} already")
    notes = made.notes
    if mode == "training" and dtype is torch.float16:
        notes += ("without gradient scaling, which float16 needs in real training",)
    return replace(made, autocast=dtype, notes=notes)


def _int8(made: Changed, mode: RunMode, kind: Kind) -> Changed:
    if mode != "inference":
        raise Unavailable("int8 is for inference")
    try:
        module, notes = quantized(made.module, made.arguments, kind)
    except OptimizationError as error:
        raise Unavailable(error.message) from error
    return replace(made, module=module, notes=(*made.notes, *notes), traceable=False)


def _compiled(made: Changed, mode: RunMode, how: str | None) -> Changed:
    device = device_of(made.module, made.arguments)
    if how == "reduce-overhead" and device.type != "cuda":
        raise Unavailable("CUDA graphs need a CUDA device")
    try:
        module, note = compiled(
            made.module, made.arguments, mode, device, autocast=made.autocast, how=how
        )
    except CannotCompile as error:
        raise Unavailable(str(error)) from error
    return replace(made, module=module, notes=(*made.notes, note), traceable=False)


_CHANGES: dict[str, Callable[[Changed, RunMode], Changed]] = {
    "fused": _fused,
    "channels-last": _channels_last,
    "bf16": partial(_cast, dtype=torch.bfloat16),
    "fp16": partial(_cast, dtype=torch.float16),
    "amp-bf16": partial(_amp, dtype=torch.bfloat16),
    "amp-fp16": partial(_amp, dtype=torch.float16),
    "int8-weight-only": partial(_int8, kind="weight-only"),
    "int8-dynamic": partial(_int8, kind="dynamic"),
    "int8-static": partial(_int8, kind="static"),
    "compile": partial(_compiled, how=None),
    "compile-max-autotune": partial(_compiled, how="max-autotune"),
    "compile-reduce-overhead": partial(_compiled, how="reduce-overhead"),
}


def _few_of(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _mapped(
    arguments: CallArguments, change: Callable[[torch.Tensor], torch.Tensor]
) -> CallArguments:
    made: dict[int, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that is given twice stays one."""
        if id(tensor) not in made:
            made[id(tensor)] = change(tensor)
        return made[id(tensor)]

    args, kwargs = map_tensors((arguments.args, arguments.kwargs), once)
    return CallArguments(args, kwargs)
