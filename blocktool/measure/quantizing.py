"""A module in int8 for timing: no copy, and no run but what calibration takes."""

from __future__ import annotations

from collections import Counter

from torch import nn

from blocktool.errors import OptimizationError
from blocktool.optimize.quantize_checks import first_weight
from blocktool.optimize.quantize_linear import Layers, quantize_linears, weighted_layers
from blocktool.optimize.quantize_static import quantize_exported
from blocktool.optimize.torchao import import_torchao
from blocktool.results.quantize import Kind
from blocktool.trace.inputs import CallArguments


def quantized(
    module: nn.Module, arguments: CallArguments, kind: Kind
) -> tuple[nn.Module, tuple[str, ...]]:
    """The module, which is consumed, quantized by torchao for inference, and notes about it.

    Static ranges are those that the given arguments reach: what is timed next needs no others.

    Raises OptimizationError where torchao is missing, there is nothing to quantize, or the module
    is not what ``kind`` needs (static: float32 on CPU, and a forward that can be exported).
    """
    try:
        import_torchao()
    except OptimizationError as error:
        raise OptimizationError(f"{error.message}: {error.hint}") from error
    name = type(module).__name__
    module = module.eval().requires_grad_(False)
    notes: tuple[str, ...] = ()
    if kind == "static":
        module, layers = _static(module, arguments, name)
        notes = ("int8 is calibrated on the inputs that are timed",)
    else:
        layers = quantize_linears(module, kind, frozenset())
    done, left = layers
    if not done:
        raise OptimizationError(_nothing(layers, name))
    weighted = len(done) + len(left)
    return module, (*notes, f"{len(done)} of {weighted} layers with weights are in int8")


def _static(module: nn.Module, arguments: CallArguments, name: str) -> tuple[nn.Module, Layers]:
    if not weighted_layers(module):
        return module, ((), ())
    first_weight(module, "static", name)  # refuses other devices and dtypes
    exported, layers, _ = quantize_exported(module, arguments, (arguments,), frozenset(), name)
    return exported, layers


def _nothing(layers: Layers, name: str) -> str:
    if not layers[1]:
        return f"nothing to quantize: {name} has no layer with weights"
    ((reason, _),) = Counter(layer.reason for layer in layers[1]).most_common(1)
    return f"nothing to quantize in {name}: {reason}"
