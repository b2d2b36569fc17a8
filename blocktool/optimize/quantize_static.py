"""Static int8: export, calibrate, convert (PT2E), with torchao's quantizer for x86 CPUs."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

from blocktool.errors import InputError, OptimizationError
from blocktool.optimize.quantize_linear import Layers, reduced_range, weighted_layers
from blocktool.optimize.samples import called, copied
from blocktool.optimize.sqnr import parameter_bytes
from blocktool.optimize.torchao import import_torchao
from blocktool.results.quantize import QuantizedLayer, UnquantizedLayer
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line
from blocktool.trace.structure import map_tensors

_PT2E = "torchao.quantization.pt2e"
_COVERED = (nn.Conv1d, nn.Conv2d, nn.Linear)


class ExportedModule(nn.Module):
    """An exported graph as a module that is always in eval mode.

    It takes what the module took when it was exported: the same structure and sizes, and any
    batch where the export left it free. The graph alone would refuse ``eval()`` and ``train()``.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__()
        self.graph = graph
        for one in self.modules():
            one.training = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the exported module gives."""
        return self.graph(*args, **kwargs)

    def train(self, mode: bool = True) -> ExportedModule:
        """Changes nothing: what was exported in eval mode stays there."""
        return self


def quantize_exported(
    module: nn.Module,
    arguments: CallArguments,
    calibration: Iterable[CallArguments],
    skipped: Set[str],
    name: str,
) -> tuple[ExportedModule, Layers, bool]:
    """The module exported and quantized, its layers, and whether any batch size may be given.

    Activations are uint8 per tensor, weights int8 per output channel, symmetric. Batch norms
    behind convolutions are folded on the way. ``module`` is in eval mode, and is not changed.

    Raises OptimizationError where the module cannot be exported or torchao is missing, InputError
    where a batch to calibrate on is not what was exported.
    """
    prepare = import_torchao(f"{_PT2E}.quantize_pt2e")
    quantizer = _quantizer(next(module.parameters()).device, skipped)
    with _quiet():
        graph, free_batch = _export(module, arguments, name)
        try:
            prepared = prepare.prepare_pt2e(graph, quantizer)
        except Exception as error:
            raise OptimizationError(
                f"{name} cannot be quantized: {one_line(error)}",
                hint="leave the part at fault out with skip=[...]",
            ) from error
        _calibrate(prepared, calibration)
        converted = prepare.convert_pt2e(prepared)
    _drop_unused(converted)
    return ExportedModule(converted), _layers(module, converted, skipped), free_batch


def _calibrate(prepared: nn.Module, calibration: Iterable[CallArguments]) -> None:
    for number, batch in enumerate(calibration):
        try:
            called(prepared, batch)
        except Exception as error:
            raise InputError(
                f"calibration batch {number} does not fit: {one_line(error)}",
                hint="each is what forward takes, of the sizes of the inputs but for the batch",
            ) from error


def _export(module: nn.Module, arguments: CallArguments, name: str) -> tuple[GraphModule, bool]:
    """The graph, and whether the batch is free in it."""
    failure: Exception | None = None
    # The quantizer knows additions and repeated modules by what strict export notes; where that
    # fails, what is missing is noted afterwards. Where the batch cannot be left free, as in a loop
    # over it, the module may still be exported as given.
    for strict, free_batch in ((True, True), (True, False), (False, True), (False, False)):
        # The export takes a batch of one for a constant.
        own = _doubled(arguments) if free_batch else copied(arguments)
        shapes = _free_batch(module, own) if free_batch else None
        try:
            with torch.no_grad():
                program = torch.export.export(
                    module, own.args, own.kwargs, dynamic_shapes=shapes, strict=strict
                )
            graph = program.module()
            assert isinstance(graph, GraphModule)
            _note_sources(graph)
            called(graph, arguments)
            return graph, bool(program.range_constraints)
        except Exception as error:
            failure = error
    assert failure is not None
    raise OptimizationError(
        f"{name} cannot be exported: {one_line(failure)}",
        hint='static int8 needs torch.export; kind="dynamic" and "weight-only" do not',
    ) from failure


def _doubled(arguments: CallArguments) -> CallArguments:
    """A copy in which tensors with a batch of one have a batch of two."""

    def change(value: Any) -> Any:
        return map_tensors(
            value, lambda tensor: torch.cat([tensor] * 2) if tensor.shape[:1] == (1,) else tensor
        )

    own = copied(arguments)
    args = tuple(map(change, own.args))
    return CallArguments(args, {key: change(value) for key, value in own.kwargs.items()})


def _free_batch(module: nn.Module, arguments: CallArguments) -> Any:
    free = torch.export.ShapesCollection()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim():
            free[tensor] = {0: torch.export.Dim.AUTO}
        return tensor

    map_tensors((arguments.args, arguments.kwargs), note)
    return free.dynamic_shapes(module, arguments.args, arguments.kwargs)


def _note_sources(graph: GraphModule) -> None:
    """Note the call that each node comes from, where the export has not.

    Without it the quantizer takes two calls of one module, a shared ReLU say, for a single one.
    """
    additions = (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor)
    for node in graph.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if node.op != "call_function" or not stack or "source_fn_stack" in node.meta:
            continue
        call, (_, kind) = list(stack.items())[-1]
        if str(kind).startswith("torch.nn.modules."):
            source: Any = getattr(nn, str(kind).rpartition(".")[2], None)
            if source is not None:
                node.meta["source_fn_stack"] = [(call, source)]
        elif node.target in additions:
            node.meta["source_fn_stack"] = [(node.name, operator.add)]


def _quantizer(device: torch.device, skipped: Set[str]) -> Any:
    x86 = import_torchao(f"{_PT2E}.quantizer.x86_inductor_quantizer")
    config = x86.get_default_x86_inductor_quantization_config(reduce_range=reduced_range(device))
    quantizer = x86.X86InductorQuantizer().set_global(config)
    for path in sorted(skipped):
        quantizer.set_module_name_qconfig(path, None)
    return quantizer


def _drop_unused(graph: GraphModule) -> None:
    """Delete what no node reads: the float weights beside their int8 form, above all."""
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    called_modules = {str(node.target) for node in graph.graph.nodes if node.op == "call_module"}

    def is_read(path: str) -> bool:
        owner = path.rpartition(".")[0]
        return path in used or any(
            owner == kept or owner.startswith(f"{kept}.") for kept in used | called_modules
        )

    tensors = [*graph.named_parameters(remove_duplicate=False)]
    tensors += [*graph.named_buffers(remove_duplicate=False)]  # type: ignore[list-item]
    for path, _ in tensors:
        if not is_read(path):
            owner, _, attribute = path.rpartition(".")
            delattr(graph.get_submodule(owner), attribute)
    graph.delete_all_unused_submodules()


def _layers(module: nn.Module, graph: GraphModule, skipped: Set[str]) -> Layers:
    """What became int8, by the nodes of the graph; and the other layers with weights."""
    done = {layer.path: layer for layer in map(_quantized_layer, graph.graph.nodes) if layer}
    left = tuple(
        UnquantizedLayer(path, type(layer).__name__, parameter_bytes(layer), reason)
        for path, layer in weighted_layers(module)
        if path not in done
        for reason in [_reason(path, layer, skipped)]
    )
    return tuple(done.values()), left


def _quantized_layer(node: Node) -> QuantizedLayer | None:
    """The layer of a convolution or linear node whose input and weight both come from 8 bits."""
    aten = torch.ops.aten
    if node.target not in (aten.conv1d.default, aten.conv2d.default, aten.linear.default):
        return None
    if not all(_is_dequantized(source) for source in node.args[:2]):
        return None
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = getattr(kind, "__name__", str(kind).rpartition(".")[2])
    if kind not in {covered.__name__ for covered in _COVERED}:
        # A functional call: it is named after the node, since its module may make several.
        operation = node.name.split("_")[0]
        return QuantizedLayer(f"{path}.{node.name}".lstrip("."), f"functional {operation}")
    return QuantizedLayer(path, kind)


def _is_dequantized(source: Any) -> bool:
    return isinstance(source, Node) and "dequantize_per_" in str(source.target)


def _reason(path: str, layer: nn.Module, skipped: Set[str]) -> str:
    if any(path == one or path.startswith(f"{one}.") for one in skipped):
        return "skipped, as asked for"
    if not isinstance(layer, _COVERED):
        return "static int8 is for nn.Conv1d, nn.Conv2d and nn.Linear"
    return "not called, or called in a way that the quantizer does not know"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch and torchao say about their own insides while they export and convert."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
