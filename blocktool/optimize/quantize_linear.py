"""Weight-only and dynamic int8 for linear layers, with torchao."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from blocktool.errors import OptimizationError
from blocktool.optimize.sqnr import holds_int8, parameter_bytes
from blocktool.optimize.torchao import import_torchao
from blocktool.results.quantize import Kind, QuantizedLayer, UnquantizedLayer

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)

Layers = tuple[tuple[QuantizedLayer, ...], tuple[UnquantizedLayer, ...]]


def quantize_linears(module: nn.Module, kind: Kind, skipped: Set[str]) -> Layers:
    """Give the linear layers of ``module`` int8 weights, in place; what was quantized, what not.

    Weights are symmetric per output channel. With ``kind="dynamic"`` the inputs of each call are
    too, per token.

    Raises OptimizationError where torchao is missing, or leaves a layer as it was.
    """
    reasons = {
        path: _reason(path, layer, module, kind, skipped) for path, layer in weighted_layers(module)
    }
    chosen = {path for path, reason in reasons.items() if reason is None}
    tied: dict[int, list[nn.Module]] = defaultdict(list)
    for path in sorted(chosen):
        layer = module.get_submodule(path)
        tied[id(layer.weight)].append(layer)
    left = tuple(
        UnquantizedLayer(path, type(layer).__name__, parameter_bytes(layer), reason)
        for path, layer in weighted_layers(module)
        if (reason := reasons[path]) is not None
    )
    if chosen:
        torchao = import_torchao()
        # By path, which is None-safe for a module that is a Linear itself.
        torchao.quantize_(module, _config(torchao, kind, module), lambda _, path: path in chosen)
    for layers in tied.values():
        for other in layers[1:]:
            other.weight = layers[0].weight
    done = tuple(
        QuantizedLayer(path, type(layer).__name__)
        for path, layer in weighted_layers(module)
        if path in chosen
    )
    for path in chosen:
        weight = module.get_submodule(path).weight
        if not (isinstance(weight, torch.Tensor) and holds_int8(weight)):
            raise OptimizationError(
                f"torchao left '{path}' as it was", hint="is the version of torchao supported?"
            )
    return done, left


def weighted_layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that own a parameter of two or more dimensions, with their paths."""
    return [
        (path, layer)
        for path, layer in module.named_modules()
        if any(parameter.dim() > 1 for parameter in layer.parameters(recurse=False))
        or parametrize.is_parametrized(layer)
    ]


def _config(torchao: Any, kind: Kind, module: nn.Module) -> Any:
    # torchao would otherwise change the compiler's settings for the whole process.
    if kind == "weight-only":
        return torchao.Int8WeightOnlyConfig(set_inductor_config=False)
    weight = next(module.parameters())
    return torchao.Int8DynamicActivationInt8WeightConfig(
        set_inductor_config=False, reduce_range=reduced_range(weight.device)
    )


def reduced_range(device: torch.device) -> bool:
    """Whether 8-bit products may overflow, so that 7 bits are to be used: CPUs without VNNI."""
    return bool(import_torchao("torchao.utils").should_reduce_range(device))


def _reason(
    path: str, layer: nn.Module, root: nn.Module, kind: Kind, skipped: Set[str]
) -> str | None:
    """Why a layer cannot or shall not be quantized; None where it can."""
    if path in skipped:
        return "skipped, as asked for"
    if isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return "nn.MultiheadAttention reads its weight past the layer"
    if not isinstance(layer, nn.Linear):
        return f"{kind} int8 is for nn.Linear"
    if parametrize.is_parametrized(layer):
        return "its weight is parametrized; remove_parametrizations() first"
    if holds_int8(layer.weight):
        return "is int8 already"
    if layer.weight.dtype not in _DTYPES:
        return f"torchao has no int8 for weights in {layer.weight.dtype}"
    if layer.in_features < 2:
        return "torchao loses the dimension of a single input feature"
    for other_path, other in root.named_modules():
        if isinstance(other, nn.Linear):
            continue
        if any(layer.weight is parameter for parameter in other.parameters(recurse=False)):
            return f"shares its weight with '{other_path}' ({type(other).__name__})"
    return None
