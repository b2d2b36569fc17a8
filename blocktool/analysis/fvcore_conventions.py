"""How fvcore counts, where it differs from us (``fvcore/nn/flop_count.py``, ``jit_handles.py``).

It follows the forward at the level of ``torch.jit``'s graph, where a composite operation such as
attention is one node, and has a handler for 17 kinds of node. The rest counts as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from blocktool.results.cross_check import CountedOp

EINSUM_PRECISION = 5e-4
"""numpy prints its estimate with four digits."""

FAMILIES = {
    "conv": "convolution",
    "addmm": "product",
    "bmm": "product",
    "einsum": "product",
    "linear": "product",
    "matmul": "product",
    "mm": "product",
}
"""fvcore's contractions, by the family of ours that they correspond to."""

_PER_ELEMENT = {
    "batch_norm": "2 for each input element (1 without affine weights; 5 and 4 in training)",
    "layer_norm": "5 for each input element (4 without affine weights)",
    "group_norm": "5 for each input element (4 without affine weights)",
    "instance_norm": "5 for each input element (4 without affine weights)",
    "upsample_nearest2d": "1 for each output element of an interpolation",
    "upsample_bilinear2d": "4 for each output element of an interpolation",
    "grid_sampler": "4 for each output element of a grid sampling",
    "adaptive_avg_pool2d": "1 for each input element of a pooling",
}

_OF_PRODUCTS = (
    "addbmm",
    "addmv",
    "baddbmm",
    "baddbmm_",
    "bilinear",
    "cdist",
    "chain_matmul",
    "dot",
    "gru_cell",
    "inner",
    "linalg_matmul",
    "linalg_matrix_power",
    "linalg_multi_dot",
    "linalg_vecdot",
    "lstm_cell",
    "mv",
    "rnn_relu_cell",
    "rnn_tanh_cell",
    "tensordot",
    "vdot",
)
_HIDDEN = {
    "aten::scaled_dot_product_attention": ("attention", "product"),
    "aten::_native_multi_head_attention": ("attention", "product"),
    "aten::_transformer_encoder_layer_fwd": ("attention", "product"),
    "aten::_convolution_mode": ("convolution",),
    "aten::conv_tbc": ("convolution", "product"),
    **{
        f"aten::{name}": ("recurrence", "product")
        for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
    },
    **{f"aten::{name}": ("product",) for name in _OF_PRODUCTS},
}
"""Nodes without a handler that run contractions, and the families these belong to."""

_FUSED = ("_native_multi_head_attention", "_transformer_encoder_layer_fwd")

_SENTENCES = {
    "scaled_dot_product_attention": "fvcore has no handler for scaled_dot_product_attention: the "
    "products of queries with keys and of weights with values are missing from its count",
    "_convolution_mode": "fvcore has no handler for convolutions with padding given in words "
    "('same', 'valid'): they are missing from its count",
    **{
        name: f"fvcore has no handler for {title}: the products with its weights are missing from "
        "its count"
        for name, title in (
            ("lstm", "LSTM"),
            ("gru", "GRU"),
            ("rnn_tanh", "recurrent networks"),
            ("rnn_relu", "recurrent networks"),
        )
    },
}

UNUSED = (
    "unused results",
    "nothing that the module returns depends on these results: they are run, so we count them, "
    "but torch.jit drops them before fvcore counts",
)
UNCALLED = (
    "uncalled modules",
    "fvcore never saw these modules called: it counts in eval mode, and follows the forward with "
    "torch.jit",
)

FUSED = (
    "fused inference kernels",
    "the device ran one fused kernel where fvcore saw its parts, and fvcore has no handler for the "
    "attention among them",
)


def is_fused(op: str) -> bool:
    """Whether our contraction is a whole layer in one kernel, projections included."""
    return op.rpartition(".")[2] in _FUSED


def family_of_ours(op: str) -> str:
    """The family of one of our contractions, by its aten name."""
    name = op.partition(".")[2]
    if "conv" in name:
        return "convolution"
    if "attention" in name or name == "_transformer_encoder_layer_fwd":
        return "attention"
    if "rnn" in name:
        return "recurrence"
    return "product"


def hides(op: str, skipped: Mapping[str, int]) -> tuple[str, ...]:
    """The nodes without a handler among ``skipped`` that can have run our contraction ``op``: the
    one of the same name, or else all that are known to consist of such."""
    for same in (f"aten::{op.partition('.')[2]}", op.replace(".", "::", 1)):
        if same in skipped:
            return (same,)
    family = family_of_ours(op)
    return tuple(sorted(node for node in skipped if family in _HIDDEN.get(node, ())))


def opaque(skipped: Mapping[str, int]) -> str | None:
    """A node that fvcore does not look into: an autograd function, a scripted function, or an
    operation that is not torch's own."""
    return next((node for node in skipped if not node.startswith("aten::")), None)


def explanation_of_theirs(op: CountedOp) -> tuple[str, str]:
    """Name and sentence for what fvcore counted and we did not, or not so."""
    if op.op in _PER_ELEMENT:
        text = f"fvcore adds {_PER_ELEMENT[op.op]}; we keep this work apart, as elementwise FLOPs"
        return op.op, text
    if op.op == "einsum":
        return (
            "einsum",
            "fvcore takes half the FLOPs that numpy's einsum_path estimates: four digits, in the "
            "order that numpy would choose, and some even where nothing is summed",
        )
    if op.op == "matmul" and macs_of_matmul(op.shapes) not in (None, op.macs):
        return (
            "matmul broadcasting",
            "fvcore takes the batch of a matmul from its first operand, and misses what "
            "broadcasting adds",
        )
    return "", ""


def macs_of_matmul(shapes: tuple[tuple[int, ...], ...]) -> int | None:
    """MACs of ``a @ b`` with broadcast batches; None where the shapes do not say."""
    if len(shapes) != 2 or not all(shapes):
        return None
    a, b = shapes
    rows = a[-2] if len(a) > 1 else 1
    columns = b[-1] if len(b) > 1 else 1
    batches = [1] * max(len(a), len(b), 2)
    for shape in (a[:-2], b[:-2]):
        for position, size in enumerate(reversed(shape)):
            batches[position] = size if batches[position] == 1 else batches[position]
    return prod(batches) * rows * a[-1] * columns


def explanation_of_skipped(nodes: tuple[str, ...]) -> tuple[str, str]:
    """Name and sentence for contractions in nodes that fvcore met and has no handler for."""
    name = ", ".join(node.rpartition("::")[2] for node in nodes)
    sentence = f"fvcore has no handler for {name}: the products in it are missing from its count"
    return name, _SENTENCES.get(name, sentence)


def explanation_of_opaque(node: str) -> tuple[str, str]:
    """Name and sentence for contractions inside something that fvcore does not look into."""
    if node.startswith("prim::PythonOp."):
        name = node.removeprefix("prim::PythonOp.")
        return name, f"fvcore does not look into the autograd function {name}"
    if node == "prim::CallFunction":
        return "scripted functions", "fvcore does not look into functions made by torch.jit.script"
    return node, f"fvcore has no handler for {node}, which is not one of torch's own operations"
