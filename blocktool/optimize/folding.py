"""Batch norms that the trace shows right behind a convolution or a linear layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from blocktool.optimize.flow import Flow, replace_everywhere
from blocktool.optimize.steps import Found
from blocktool.optimize.weights import Layer, fold_norm, is_layer, out_channels
from blocktool.results.optimize import FusedPart, FuseKind, RefusedPart
from blocktool.results.trace import ModuleCall, OpRecord


@dataclass(frozen=True)
class FoldNorm:
    """Fold the norm at ``norm`` into the layer at ``layer``.

    What the norm's module runs after normalising (``tail``: the activation of timm's
    BatchNormAct2d) takes the norm's place; an Identity does where there is nothing.
    """

    kind: FuseKind
    layer: str
    norm: str
    tail: tuple[str, ...]

    @property
    def parts(self) -> tuple[FusedPart, ...]:
        """The norm and the layer that has taken it."""
        return (FusedPart(self.kind, self.norm, self.layer),)

    def apply(self, root: nn.Module) -> nn.Module:
        """Change the layer's weights and put what is left in the norm's place."""
        layer, norm = root.get_submodule(self.layer), root.get_submodule(self.norm)
        assert is_layer(layer)
        assert isinstance(norm, _BatchNorm)
        fold_norm(layer, norm)
        left = [norm.get_submodule(name) for name in self.tail]
        rest = left[0] if len(left) == 1 else nn.Sequential(*left) if left else nn.Identity()
        return replace_everywhere(root, norm, rest.train(norm.training))


def find_norms(flow: Flow) -> Found:
    """Every batch norm of the module: a step, or the reason why there is none."""
    steps: list[FoldNorm] = []
    refused: list[RefusedPart] = []
    seen: set[int] = set()
    for path, module in flow.modules.items():
        if isinstance(module, _BatchNorm) and id(module) not in seen:
            seen.add(id(module))
            found = _fold(flow, path, module)
            if isinstance(found, str):
                kind: FuseKind = "linear_bn" if isinstance(module, nn.BatchNorm1d) else "conv_bn"
                refused.append(RefusedPart(kind, path, found))
            else:
                steps.append(found)
    return Found(tuple(steps), tuple(refused))


def _fold(flow: Flow, path: str, norm: _BatchNorm) -> FoldNorm | str:
    reason = flow.kept(norm)
    if reason is not None:
        return reason
    if norm.running_mean is None or norm.running_var is None:
        return "it has no running statistics"
    if norm.training:
        return "it stays in training mode"
    call = flow.only_call(norm)
    assert call is not None
    op = _norm_op(flow, call)
    if op is None:
        return "its module does more than normalise its input"
    tail = _tail(flow, call, op.outputs[0].storage)
    if tail is None:
        return "what its module does after normalising is not a chain of its own layers"
    storage = op.inputs[0].storage
    if any(flow.readers[ref.storage] != [op] for ref in op.inputs[1:]):
        return "its parameters or statistics are used elsewhere"
    found = _layer_before(flow, op)
    if isinstance(found, str):
        return found
    layer, layer_path = found
    if out_channels(layer) != norm.num_features:
        return f"it has {norm.num_features} channels, {layer_path} gives {out_channels(layer)}"
    others = [reader for reader in flow.readers[storage] if reader is not op]
    if others:
        return f"the output of {layer_path} is also used by {flow.where(others[0])}"
    watched = flow.watched(storage)
    if watched is not None:
        return watched
    kind: FuseKind = "linear_bn" if isinstance(layer, nn.Linear) else "conv_bn"
    return FoldNorm(kind, layer_path, path, tail)


def _norm_op(flow: Flow, call: ModuleCall) -> OpRecord | None:
    """The operation that normalises what the module was given, if it is the only one of its own."""
    own = [op for op in flow.ops_in[call.index] if op.inputs]  # not the creation of scratch
    if len(own) != 1 or "batch_norm" not in own[0].op or not own[0].outputs:
        return None
    if call.input_storages != (own[0].inputs[0].storage,):
        return None
    return own[0]


def _tail(flow: Flow, call: ModuleCall, storage: int) -> tuple[str, ...] | None:
    """The names of the children that the norm's result goes through, None if not one by one."""
    names = []
    for child in flow.children[call.index]:
        if child.input_storages != (storage,) or len(child.output_storages) != 1:
            return None
        if flow.module_of(child) is None:
            return None
        name = child.path.removeprefix(f"{call.path}.")
        (storage,) = child.output_storages
        names.append(name)
    return tuple(names) if call.output_storages == (storage,) else None


def _layer_before(flow: Flow, op: OpRecord) -> tuple[Layer, str] | str:
    """The layer whose result, as it is, the operation reads first."""
    ref = op.inputs[0]
    writers = [writer for writer in flow.writers[ref.storage] if writer.index < op.index]
    if not writers:
        return "it stands first: there is no convolution before it"
    call = flow.trace.calls[writers[-1].call]
    layer = flow.module_of(call)
    if not is_layer(layer):
        where = flow.where(writers[-1])
        if writers[-1].kind == "contraction":
            return f"before it is {where}, whose weights belong to no layer"
        return f"before it is {where}, not a convolution (pre-activation)"
    reason = flow.kept(layer)
    if reason is not None:
        return f"the layer before it, {call.path}: {reason}"
    if len(writers) > 1 or len(flow.writers[ref.storage]) > 1:
        return f"the output of {call.path} is viewed or changed before the norm"
    reason = weight_reason(flow, call, layer)
    if reason is not None:
        return reason
    if len(ref.shape) != (2 if isinstance(layer, nn.Linear) else layer.weight.ndim):
        return f"it normalises another axis than that of the channels of {call.path}"
    return layer, call.path


def weight_reason(flow: Flow, call: ModuleCall, layer: Layer) -> str | None:
    """Why changing the weights of a layer would not change what this call gives, or not only it.

    None where the call computes with the layer's own weight and bias, as they are, once, and
    nothing else uses them.
    """
    products = [op for op in flow.ops_in[call.index] if op.kind == "contraction"]
    if len(products) != 1 or flow.children[call.index]:
        return f"{call.path} does more than one product"
    product = products[0]
    # F.linear multiplies by the transposed weight, and puts the bias first.
    wanted = {tuple(layer.weight.shape), tuple(layer.weight.shape[::-1])}
    weights = [r for r in product.inputs if flow.is_state(r.storage) and r.shape in wanted]
    if len(weights) != 1:
        return f"{call.path} computes its weight anew at every call"
    result = product.outputs[0].storage
    for op in flow.ops_in[call.index]:
        after = op.index > product.index and op.kind not in ("view", "bookkeeping")
        if after and not _adds_bias(flow, op, result, layer):
            return f"{call.path} changes what its product gives"
        result = op.outputs[0].storage if after else result
    if call.output_storages != (result,):
        return f"{call.path} gives something else than its product"
    used = {ref.storage for op in flow.ops_in[call.index] for ref in op.inputs}
    for storage in used:
        if flow.is_state(storage) and any(op.call != call.index for op in flow.readers[storage]):
            return f"the weights of {call.path} are used elsewhere"
    return None


def _adds_bias(flow: Flow, op: OpRecord, product: int, layer: Layer) -> bool:
    """Whether an operation is the addition with which F.linear ends on some inputs."""
    if not op.op.startswith("aten.add") or layer.bias is None or len(op.inputs) != 2:
        return False
    left, right = op.inputs
    return left.storage == product and flow.is_state(right.storage)
