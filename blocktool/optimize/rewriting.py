"""Changes inside one module's own forward, of which torch.fx makes a new one.

Only that forward is traced symbolically; the module's children are called as they are. What fx
cannot trace is refused, and so is a new forward that does not compute what the old one did on the
arguments that the module really receives.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from blocktool.optimize.flow import replace_everywhere
from blocktool.optimize.packing import packed
from blocktool.optimize.symbolic import CannotRewriteError, fixed_arguments, symbolic, varied
from blocktool.optimize.verify import (
    TOLERANCES,
    Differs,
    differences,
    randomize,
    widened,
    working_dtype,
)
from blocktool.optimize.weights import is_layer, scale_output
from blocktool.results.optimize import FusedPart
from blocktool.trace.inputs import CallArguments

_MULTIPLY = (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply")
_RESHAPE = ("reshape", "view", "unsqueeze", "flatten", operator.getitem, torch.reshape)


@dataclass(frozen=True)
class Rewrite:
    """A new forward for the module at ``parent``.

    ``scales`` are the layers inside (by paths relative to the parent) whose results its forward
    multiplies by a parameter, ``packs`` groups of its children to be packed. ``fixed`` are the
    arguments of its forward that are no tensors, which the new forward takes for given.
    """

    parent: str
    scales: tuple[str, ...]
    packs: tuple[tuple[str, ...], ...]
    fixed: Mapping[str, Any]
    parts: tuple[FusedPart, ...] = ()

    def apply(self, root: nn.Module) -> nn.Module:
        """Put the module with the new forward in the old one's place.

        Raises CannotRewriteError where there is none.
        """
        parent = root.get_submodule(self.parent)
        return replace_everywhere(root, parent, rewritten(parent, self)[0])


def rewritten(parent: nn.Module, rewrite: Rewrite) -> tuple[fx.GraphModule, tuple[FusedPart, ...]]:
    """A module with the parent's children (changed in place) and the new forward; what was done.

    Raises CannotRewriteError.
    """
    graph = symbolic(parent, rewrite.fixed)
    prefix = f"{rewrite.parent}." if rewrite.parent else ""
    parts = []
    for name in rewrite.scales:
        factor = _drop_scale(graph, parent, name)
        parts.append(FusedPart("layer_scale", prefix + factor, prefix + name))
    layers: dict[str, nn.Linear] = {}
    for names in rewrite.packs:
        wide = "_".join(names).replace(".", "_")
        while hasattr(parent, wide):
            wide += "_packed"
        layers[wide] = _pack(graph, parent, names, wide)
        parts.append(FusedPart("packed", ", ".join(prefix + name for name in names), prefix + wide))
    holder: dict[str, Any] = {**_referenced(graph, parent), **layers}
    module = fx.GraphModule(holder, graph, class_name=type(parent).__name__)
    module.graph.lint()
    return module.train(parent.training), tuple(parts)


def _referenced(graph: fx.Graph, parent: nn.Module) -> dict[str, Any]:
    """What the graph calls and reads, by name. Unlike the parent, it may lack the wide layers."""
    found = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            value: Any = parent
            for name in node.target.split("."):
                value = getattr(value, name, None)
            if value is not None:
                found[node.target] = value
    return found


def _drop_scale(graph: fx.Graph, parent: nn.Module, layer: str) -> str:
    """Take the one multiplication of what ``layer`` gives out of the graph and into the layer."""
    found = []
    for node in graph.nodes:
        if node.target in _MULTIPLY and len(node.args) == 2 and not node.kwargs:
            for value, factor in (node.args, node.args[::-1]):
                name = _parameter(factor)
                source = _source(value)
                if name is not None and (source == layer or layer.startswith(f"{source}.")):
                    found.append((node, value, factor, name))
    if len(found) != 1:
        raise CannotRewriteError(f"the multiplication of what {layer} gives is not plain to see")
    node, value, factor, name = found[0]
    parameter: Any = parent
    for part in name.split("."):
        parameter = getattr(parameter, part)
    module = parent.get_submodule(layer)
    assert is_layer(module)
    scale_output(module, parameter)
    node.replace_all_uses_with(value)
    graph.erase_node(node)
    while isinstance(factor, fx.Node) and not factor.users:
        before = factor.all_input_nodes[0] if factor.all_input_nodes else None
        graph.erase_node(factor)
        factor = before
    return name


def _parameter(node: Any) -> str | None:
    """The parameter that a node is, reshaped or not."""
    while isinstance(node, fx.Node) and node.op != "get_attr":
        if node.target not in _RESHAPE or len(node.all_input_nodes) != 1:
            return None
        node = node.all_input_nodes[0]
    return str(node.target) if isinstance(node, fx.Node) else None


def _source(node: Any) -> str | None:
    """The child whose result a node is, viewed in another way or not."""
    while isinstance(node, fx.Node) and node.op != "call_module":
        if not node.args or node.op not in ("call_method", "call_function"):
            return None
        node = node.args[0]
    return str(node.target) if isinstance(node, fx.Node) else None


def _pack(graph: fx.Graph, parent: nn.Module, names: tuple[str, ...], wide: str) -> nn.Linear:
    """Replace the calls of these children by one call and a split; returns the wide layer."""
    nodes = [n for n in graph.nodes if n.op == "call_module" and n.target in names]
    if len(nodes) != len(names) or any(n.args != nodes[0].args or n.kwargs for n in nodes):
        raise CannotRewriteError(f"{', '.join(names)} do not take the very same tensor")
    layers = [parent.get_submodule(str(node.target)) for node in nodes]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    with graph.inserting_before(nodes[0]):
        out = graph.call_module(wide, nodes[0].args)
        split = graph.call_method("split", (out, [layer.out_features for layer in linear], -1))
        slices = [graph.call_function(operator.getitem, (split, i)) for i in range(len(nodes))]
    for node, part in zip(nodes, slices, strict=True):
        node.replace_all_uses_with(part)
        graph.erase_node(node)
    return packed(linear)


def checked(
    root: nn.Module,
    parent: str,
    scales: tuple[str, ...],
    packs: tuple[tuple[str, ...], ...],
    call: CallArguments,
) -> Rewrite:
    """The rewrite of one module, after it was tried on a copy of it with random parameters.

    ``call`` is what the module receives. Raises CannotRewriteError.
    """
    module = root.get_submodule(parent)
    rewrite = Rewrite(parent, scales, packs, fixed_arguments(module, call))
    trial = copy.deepcopy(module)
    on_meta = any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    if on_meta:
        trial = trial.to_empty(device="cpu")
    trial, call = widened(trial, varied(call))
    randomize(trial, call, weights=on_meta)
    try:
        new, parts = rewritten(copy.deepcopy(trial), rewrite)
        differences(trial, copy.deepcopy(new), call, TOLERANCES[working_dtype(trial)])
    except Differs as error:
        raise CannotRewriteError(f"with a new forward {error}") from error
    return replace(rewrite, parts=parts)
