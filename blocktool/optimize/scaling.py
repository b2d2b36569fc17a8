"""Factors per channel (LayerScale) that the trace shows right behind a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from blocktool.optimize.flow import Flow, replace_everywhere
from blocktool.optimize.folding import weight_reason
from blocktool.optimize.weights import Layer, channel_axis, is_layer, out_channels, scale_output
from blocktool.results.optimize import FusedPart, RefusedPart
from blocktool.results.trace import ModuleCall, OpRecord, TensorRef


@dataclass(frozen=True)
class FoldScale:
    """Fold the factors of the module at ``scale`` into the layer at ``layer``."""

    layer: str
    scale: str

    @property
    def parts(self) -> tuple[FusedPart, ...]:
        """The factors and the layer that has taken them."""
        return (FusedPart("layer_scale", self.scale, self.layer),)

    def apply(self, root: nn.Module) -> nn.Module:
        """Change the layer's weights; an Identity takes the place of the factors."""
        layer, scale = root.get_submodule(self.layer), root.get_submodule(self.scale)
        assert is_layer(layer)
        scale_output(layer, next(scale.parameters()))
        return replace_everywhere(root, scale, nn.Identity().train(scale.training))


@dataclass(frozen=True)
class InlineScale:
    """Factors that the forward of the module at ``parent`` applies to what ``layer`` gives."""

    layer: str
    parent: str


@dataclass(frozen=True)
class Scales:
    """What was found: whole modules, multiplications inside a forward, and refusals."""

    modules: tuple[FoldScale, ...]
    inline: tuple[InlineScale, ...]
    refused: tuple[RefusedPart, ...]


def find_scales(flow: Flow) -> Scales:
    """Every multiplication of a layer's result by a parameter with one value per channel."""
    modules: list[FoldScale] = []
    inline: list[InlineScale] = []
    refused: list[RefusedPart] = []
    for op in flow.ops:
        candidate = _candidate(flow, op)
        if candidate is None:
            continue
        value, factor, made, layer = candidate
        call = flow.trace.calls[op.call]
        reason = _reason(flow, op, value, factor, made, layer)
        if reason is None and _is_only_that(flow, call):
            reason = _misaligned(call, made, factor, layer)
            if reason is None:
                modules.append(FoldScale(made.path, call.path))
        elif reason is None and _is_inside(made.path, call.path):
            inline.append(InlineScale(made.path, call.path))
        elif reason is None:
            reason = f"it scales what a layer outside of it gives, {made.path}"
        if reason is not None:
            refused.append(RefusedPart("layer_scale", call.path, reason))
    return Scales(tuple(modules), tuple(inline), tuple(refused))


def _candidate(flow: Flow, op: OpRecord) -> tuple[TensorRef, TensorRef, ModuleCall, Layer] | None:
    """What is multiplied, by what, and the call and module of the layer that made it."""
    if op.op not in ("aten.mul", "aten.mul_") or len(op.inputs) != 2:
        return None
    left, right = op.inputs
    if flow.is_state(left.storage):
        left, right = right, left
    if flow.is_state(left.storage) or not flow.is_state(right.storage):
        return None
    writers = flow.writers[left.storage]
    if not writers or writers[0] is op:
        return None
    call = flow.trace.calls[writers[0].call]
    layer = flow.module_of(call)
    # A scalar is no factor per channel, and what scales heads or positions has another size.
    if not is_layer(layer) or not right.shape or math.prod(right.shape) != out_channels(layer):
        return None
    return left, right, call, layer


def _reason(
    flow: Flow,
    op: OpRecord,
    value: TensorRef,
    factor: TensorRef,
    made: ModuleCall,
    layer: Layer,
) -> str | None:
    reason = flow.kept(layer) or weight_reason(flow, made, layer)
    if reason is not None:
        return f"the layer before it, {made.path}: {reason}"
    if flow.trace.storages[factor.storage].category != "parameters":
        return "its factors are no parameter"
    if op.outputs[0].dtype != value.dtype:
        return "it changes the dtype"
    for reader in flow.readers[factor.storage]:
        if reader is not op and (reader.call != op.call or reader.kind != "view"):
            return f"its factors are also used by {flow.where(reader)}"
    in_place = op.op.endswith("_")
    for other in (*flow.readers[value.storage], *flow.writers[value.storage]):
        if other is op or other.call == made.index or (in_place and other.index > op.index):
            continue
        # A view may also be read after the scaling, which is a use of its own.
        if other.kind != "view" or other.index > op.index:
            return f"the output of {made.path} is also used by {flow.where(other)}"
    if value.storage not in made.output_storages:
        return f"it does not scale what {made.path} gives"
    return None if in_place else flow.watched(value.storage)


def _is_only_that(flow: Flow, call: ModuleCall) -> bool:
    """Whether a module does nothing but scale what it is given."""
    module = flow.module_of(call)
    if module is None or flow.kept(module) is not None or flow.children[call.index]:
        return False
    if len(list(module.parameters())) != 1 or list(module.buffers()):
        return False
    kinds = [op.op for op in flow.ops_in[call.index] if op.kind != "view"]
    return len(kinds) == 1 and len(call.inputs) == len(call.outputs) == 1


def _misaligned(call: ModuleCall, made: ModuleCall, factor: TensorRef, layer: Layer) -> str | None:
    """Whether the factors lie along another axis than the layer's channels."""
    shape = made.outputs[0].shape
    axis = len(shape) + channel_axis(layer)
    wanted = [1] * len(shape)
    wanted[axis] = out_channels(layer)
    padded = [1] * (len(shape) - len(factor.shape)) + list(factor.shape)
    if call.inputs[0].shape != shape or padded != wanted:
        return f"its factors do not lie along the channels of {made.path}"
    return None


def _is_inside(path: str, parent: str) -> bool:
    return not parent or path.startswith(f"{parent}.")
