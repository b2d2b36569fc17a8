"""What is asked of arguments and module before anything is quantized."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn

from blocktool.errors import OptimizationError, UsageError
from blocktool.optimize.quantize_words import nothing_quantized
from blocktool.results.quantize import KINDS, Kind
from blocktool.trace.inputs import Inputs
from blocktool.trace.limits import one_line


def check_arguments(
    kind: Kind,
    calibration: Iterable[Inputs] | None,
    compiled: bool,
    inputs: Inputs,
    rounds: int,
) -> None:
    """Raises UsageError for arguments that make no sense, alone or together."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}", hint=f"choices: {', '.join(KINDS)}")
    if calibration is not None and kind != "static":
        raise UsageError(
            f'calibration is for kind="static"; "{kind}" needs none', hint="leave it out"
        )
    if rounds < 1:
        raise UsageError(f"rounds={rounds} is not positive", hint="measure=False measures nothing")
    if inputs is None and calibration is None and (compiled or kind == "static"):
        what = "static quantization" if kind == "static" else "compile=True"
        raise UsageError(
            f"{what} needs inputs", hint="pass a tensor, or a shape such as (2, 3, 224, 224)"
        )


def first_weight(module: nn.Module, kind: Kind, name: str) -> torch.Tensor:
    """The first floating tensor of the module, whose device and dtype its inputs have.

    Raises OptimizationError where there is none, or it is not where or what ``kind`` needs.
    """
    tensors = [*module.parameters(), *module.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    if not floating:
        raise nothing_quantized(name, kind, ())
    if any(tensor.is_meta for tensor in tensors):
        raise OptimizationError(
            f"{name} lies on the meta device and has no weights to quantize",
            hint="build it on a device, or load its weights with assign=True",
        )
    if kind == "static" and any(tensor.device.type != "cpu" for tensor in tensors):
        raise OptimizationError(
            f'static int8 is for CPUs, {name} lies on "{floating[0].device}"',
            hint='move it with .cpu(), or use kind="dynamic"',
        )
    if kind == "static" and any(tensor.dtype is not torch.float32 for tensor in floating):
        raise OptimizationError(
            f"static int8 starts from float32, {name} has other dtypes",
            hint="convert it by .float()",
        )
    return floating[0]


def inference_copy(module: nn.Module, name: str) -> nn.Module:
    """A deep copy in eval mode whose parameters ask for no gradients.

    Raises OptimizationError where something in the module cannot be copied.
    """
    try:
        return copy.deepcopy(module).eval().requires_grad_(False)
    except Exception as error:
        raise OptimizationError(
            f"{name} cannot be copied: {one_line(error)}",
            hint="quantization works on a deep copy; hooks and caches may hold what has none",
        ) from error
