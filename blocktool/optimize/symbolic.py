"""One module's forward as a graph, and the arguments that the module really receives."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from blocktool.optimize.samples import called, device_of, own_random_numbers
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line
from blocktool.trace.structure import map_tensors


class CannotRewriteError(Exception):
    """Why a forward is left as it is, in one line."""


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Every child is called as it is."""
        return True


def symbolic(module: nn.Module, fixed: Mapping[str, Any]) -> fx.Graph:
    """The forward of ``module``, without its children's, with the ``fixed`` arguments given.

    Called with other values for these, the graph raises. Raises CannotRewriteError where
    torch.fx cannot trace the forward.
    """
    try:
        graph = _Tracer().trace(module, dict(fixed) or None)
    except Exception as error:
        raise CannotRewriteError(f"its forward cannot be traced: {one_line(error)}") from error
    names = list(inspect.signature(module.forward).parameters)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node, name in zip(inputs, names, strict=True):
        if name in fixed:
            node.target = name  # fx numbers them, and a call by keyword would not find its name
    _make_picklable(graph, module)
    return graph


def _make_picklable(graph: fx.Graph, module: nn.Module) -> None:
    """Take out what torch.fx cannot save and load: annotations that are strings (PEP 563), and its
    own check for None, after whose loading nothing can be traced any more in that process."""
    for node in list(graph.nodes):
        node.type = None
        if getattr(node.target, "__name__", "") == "_assert_is_none":
            value = node.args[0]
            check = f"{value.target}_is_none"
            module.add_module(check, IsNone(str(value.target)))
            with graph.inserting_before(node):
                graph.call_module(check, (value,))
            graph.erase_node(node)


class IsNone(nn.Module):
    """Raises ValueError for an argument that was None when a forward was made without it."""

    def __init__(self, argument: str) -> None:
        super().__init__()
        self.argument = argument

    def forward(self, value: object) -> None:
        """Do nothing for None."""
        if value is not None:
            raise ValueError(f"{self.argument} was None when this module was fused; leave it out")

    def extra_repr(self) -> str:
        """The name of the argument."""
        return self.argument


def fixed_arguments(module: nn.Module, call: CallArguments) -> dict[str, Any]:
    """The arguments of this call, defaults included, that decide which way a forward goes: None
    and flags. Raises CannotRewriteError for a forward that takes any number of arguments."""
    signature = inspect.signature(module.forward)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise CannotRewriteError("its forward takes any number of arguments")
    bound = signature.bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    return {
        name: value
        for name, value in bound.arguments.items()
        if value is None or isinstance(value, bool)
    }


def received(
    root: nn.Module, paths: Collection[str], arguments: CallArguments
) -> dict[str, CallArguments]:
    """What the modules at ``paths`` are called with when ``root`` is called with ``arguments``.

    A copy is run. A module that is not called in it is left out.
    """
    root = copy.deepcopy(root)
    calls: dict[str, CallArguments] = {}

    def note(path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        calls[path] = CallArguments(
            tuple(map_tensors(value, Tensor.clone) for value in args),
            {name: map_tensors(value, Tensor.clone) for name, value in kwargs.items()},
        )

    for path in paths:
        module = root.get_submodule(path)
        module.register_forward_pre_hook(partial(note, path), with_kwargs=True)
    called(root, arguments)
    return calls


def varied(call: CallArguments) -> CallArguments:
    """The same call with noise on its floating tensors, so that none is all zeros; on the CPU, and
    noise alone (zeros for integers), where a tensor is on meta."""

    def change(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor + torch.randn_like(tensor) if tensor.is_floating_point() else tensor
        drawn = torch.zeros(tensor.shape, dtype=tensor.dtype)
        return drawn.normal_() if tensor.is_floating_point() else drawn

    with own_random_numbers(device_of(None, call)):
        return CallArguments(
            tuple(map_tensors(value, change) for value in call.args),
            {name: map_tensors(value, change) for name, value in call.kwargs.items()},
        )
