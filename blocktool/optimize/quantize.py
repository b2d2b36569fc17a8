"""int8 quantization of any module, on a copy, with its error, size and speed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from blocktool.errors import InputError, OptimizationError
from blocktool.optimize.compiling import compile_for
from blocktool.optimize.default_inputs import default_inputs
from blocktool.optimize.quantize_checks import check_arguments, first_weight, inference_copy
from blocktool.optimize.quantize_linear import Layers, quantize_linears, weighted_layers
from blocktool.optimize.quantize_static import quantize_exported
from blocktool.optimize.quantize_words import doubts, nothing_quantized, skipped_paths
from blocktool.optimize.samples import Samples, called, own_random_numbers, samples
from blocktool.optimize.speed import latencies_ms
from blocktool.optimize.sqnr import module_bytes, output_differences
from blocktool.results.quantize import (
    Kind,
    OutputDifference,
    QuantizationReport,
    SpeedRatio,
)
from blocktool.trace.failures import forward_error
from blocktool.trace.inputs import CallArguments, Inputs
from blocktool.trace.limits import one_line


@dataclass(frozen=True)
class Quantized:
    """A quantized copy of a module, in eval mode, and what is to be known about it."""

    module: nn.Module
    report: QuantizationReport


def quantize(
    module: nn.Module,
    inputs: Inputs = None,
    *,
    kind: Kind = "weight-only",
    calibration: Iterable[Inputs] | None = None,
    skip: Sequence[str] = (),
    compile: bool = False,  # noqa: A002 (torch's word)
    measure: bool = True,
    rounds: int = 20,
) -> Quantized:
    """A copy of ``module`` in int8, for inference, with a report. The given module stays as it is.

    ``kind`` is ``"weight-only"`` (linear layers keep int8 weights and compute in floating point),
    ``"dynamic"`` (their inputs too are quantized, in each call), or ``"static"`` (convolutions and
    linear layers, with ranges of activations found beforehand; CPU, float32). Weights are
    symmetric per output channel. The first two are torchao's ``quantize_``; the last is PT2E
    (https://docs.pytorch.org/ao/stable/pt2e_quantization/index.html): an exported graph that takes
    the sizes of ``inputs`` and any batch, without the float weights that torchao leaves in it.

    ``inputs`` are as in :func:`blocktool.summarize`; shapes are filled with random numbers, and a
    module that says what it takes, as blocks and timm's models do, needs none. On them the error is
    measured, and with ``measure`` the speed, over ``rounds`` rounds; without any the first two
    kinds only quantize. ``calibration`` yields such inputs for ``"static"``; without
    it, random batches serve, and the report warns. ``skip`` names modules to leave alone, by path
    or pattern (``"head"``, ``"stages.0.*"``). ``compile`` runs the copy through torch.compile, on
    which the speed of ``"static"`` and ``"dynamic"`` depends; call it under ``torch.no_grad()``.
    Hooks are copied with the module, and run.

    Raises:
        UsageError: for an unknown kind, a skipped path that does not exist, a calibration for
            another kind than ``"static"``.
        InputError: for inputs that are missing or cannot be read.
        ModuleError: where the module itself raises on the inputs.
        OptimizationError: where torchao or a C++ compiler is missing, the module cannot be copied,
            exported or compiled, nothing in it can be quantized, or the result is not finite.
    """
    if inputs is None and calibration is None:
        inputs = _own_inputs(module)
    check_arguments(kind, calibration, compile, inputs, rounds)
    name = type(module).__name__
    skipped = skipped_paths(module, skip)
    like = first_weight(module, kind, name)
    with own_random_numbers(like.device):
        given = samples(inputs, calibration, like, kind == "static")
        original = inference_copy(module, name)
        expected = _expected(original, given, name)
        quantized, layers, fixed_batch = _quantized(original, kind, given, skipped, name)
    if not layers[0]:
        raise nothing_quantized(name, kind, layers[1])
    report = QuantizationReport(
        name=name,
        kind=kind,
        compiled=compile,
        quantized=layers[0],
        unquantized=layers[1],
        original_bytes=module_bytes(original),
        quantized_bytes=module_bytes(quantized),
    )
    if given.evaluation is None:
        doubt = "no inputs were given: error and speed are not known"
        return Quantized(quantized, replace(report, warnings=(doubt,)))
    if compile:
        freeze = kind == "static"
        quantized, got = compile_for(quantized, given.evaluation, freeze=freeze, name=name)
    else:
        got = _checked_call(quantized, given.evaluation, name)
    report = replace(report, outputs=_differences(expected, got, name))
    if measure:
        speed = _speed(original, quantized, given.evaluation, report, rounds, like.device)
        report = replace(report, speed=speed)
    own_doubts = () if given.doubt is None else (given.doubt,)
    return Quantized(
        quantized, replace(report, warnings=(*own_doubts, *doubts(report, fixed_batch)))
    )


def _own_inputs(module: nn.Module) -> Inputs:
    try:
        return default_inputs(module)
    except InputError:
        return None


def _expected(original: nn.Module, given: Samples, name: str) -> Any:
    if given.evaluation is None:
        return None
    try:
        return called(original, given.evaluation)
    except Exception as error:
        raise forward_error(error, name, None, given.evaluation) from error


def _quantized(
    original: nn.Module, kind: Kind, given: Samples, skipped: frozenset[str], name: str
) -> tuple[nn.Module, Layers, bool]:
    """The quantized module, its layers, and whether it takes one batch size only."""
    if kind == "static" and given.evaluation is not None:
        if not weighted_layers(original):
            raise nothing_quantized(name, kind, ())
        exported, layers, free_batch = quantize_exported(
            original, given.evaluation, given.calibration, skipped, name
        )
        return exported, layers, not free_batch
    quantized = inference_copy(original, name)
    return quantized, quantize_linears(quantized, kind, skipped), False


def _checked_call(quantized: nn.Module, arguments: CallArguments, name: str) -> Any:
    try:
        return called(quantized, arguments)
    except Exception as error:
        raise OptimizationError(
            f"{name} does not run quantized: {one_line(error)}",
            hint="leave the layer at fault out with skip=[...]",
        ) from error


def _differences(expected: Any, got: Any, name: str) -> tuple[OutputDifference, ...]:
    try:
        outputs = output_differences(expected, got)
    except ValueError as error:
        raise OptimizationError(f"{name} changed by quantization: {error}") from error
    if any(output.sqnr_db is not None and math.isnan(output.sqnr_db) for output in outputs):
        raise OptimizationError(
            f"{name}: the outputs are not finite", hint="are those of the original, in its dtype?"
        )
    return outputs


def _speed(
    original: nn.Module,
    quantized: nn.Module,
    arguments: CallArguments,
    report: QuantizationReport,
    rounds: int,
    device: torch.device,
) -> SpeedRatio:
    modules = {"original": original, "quantized": quantized}
    if report.compiled:
        freeze = report.kind == "static"
        modules["compiled"], _ = compile_for(original, arguments, freeze=freeze, name=report.name)
    times = latencies_ms(modules, arguments, rounds, device)
    return SpeedRatio(
        times["original"],
        times["quantized"],
        times.get("compiled"),
        rounds,
        torch.get_num_threads(),
    )
