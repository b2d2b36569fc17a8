"""Linear layers that read the very same tensor in one forward: q, k and v, or both halves of a
gated feed-forward. One wider layer and a split do the same in one product."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from blocktool.optimize.flow import Flow
from blocktool.optimize.folding import weight_reason
from blocktool.results.optimize import RefusedPart
from blocktool.results.trace import ModuleCall


@dataclass(frozen=True)
class Pack:
    """Children of the module at ``parent`` that its forward applies to one tensor."""

    parent: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Packs:
    """What was found, and what was not to be packed."""

    found: tuple[Pack, ...]
    refused: tuple[RefusedPart, ...]


def find_packs(flow: Flow) -> Packs:
    """Groups of sibling layers whose input is, by the trace, the same storage and shape.

    That it is the same tensor, and not another view of it, is settled by whoever rewrites the
    parent's forward (:mod:`blocktool.optimize.rewriting`).
    """
    found: list[Pack] = []
    refused: list[RefusedPart] = []
    for parent in flow.trace.calls:
        groups: dict[object, list[ModuleCall]] = defaultdict(list)
        for call in flow.children[parent.index]:
            module = flow.module_of(call)
            if type(module) is nn.Linear and len(call.inputs) == 1:
                key = (call.input_storages, call.inputs, module.weight.dtype, module.weight.device)
                groups[key].append(call)
        for calls in groups.values():
            if len({call.path for call in calls}) < 2:
                continue
            names = [call.path.removeprefix(f"{parent.path}.") for call in calls]
            reason = _reason(flow, parent, calls)
            if reason is None:
                found.append(Pack(parent.path, tuple(names)))
            else:
                group = f"{parent.path} ({', '.join(names)})".strip()
                refused.append(RefusedPart("packed", group, reason))
    return Packs(tuple(found), tuple(refused))


def _reason(flow: Flow, parent: ModuleCall, calls: list[ModuleCall]) -> str | None:
    for call in calls:
        layer = flow.module_of(call)
        assert isinstance(layer, nn.Linear)
        reason = flow.kept(layer)
        if reason is not None:
            return f"{call.path}: {reason}"
        reason = weight_reason(flow, call, layer)
        if reason is not None:
            return reason
        if parent.path and not call.path.startswith(f"{parent.path}."):
            return f"{call.path} is registered elsewhere"
    (storage,) = calls[0].input_storages
    for op in flow.writers[storage]:
        if calls[0].first_op <= op.index < calls[-1].last_op and op.kind != "view":
            return f"their input is changed between them, by {flow.where(op)}"
    return None


def packed(layers: list[nn.Linear]) -> nn.Linear:
    """One layer that gives the outputs of ``layers`` side by side, along the last axis.

    A layer without bias gets zeros for it where another has one.
    """
    first = layers[0]
    widths = [layer.out_features for layer in layers]
    wide = nn.Linear(
        first.in_features,
        sum(widths),
        bias=any(layer.bias is not None for layer in layers),
        device="meta",
        dtype=first.weight.dtype,
    )
    trained = any(layer.weight.requires_grad for layer in layers)
    weight = torch.cat([layer.weight.detach() for layer in layers])
    wide.weight = nn.Parameter(weight, requires_grad=trained)
    if wide.bias is not None:
        wide.bias = nn.Parameter(torch.cat([_bias(layer) for layer in layers]), trained)
    return wide.train(first.training)


def _bias(layer: nn.Linear) -> Tensor:
    bias = layer._parameters["bias"]
    return layer.weight.new_zeros(layer.out_features) if bias is None else bias.detach()
