"""Every block as an ONNX model of any batch, height and width, run with onnxruntime."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from block_variants import Variant, exported, plain_variants
from torch import Tensor

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 2e-5
"""Of the largest value. Both compute in float32, in other orders."""

SIZES = [(2, (9, 10), (5, 4)), (3, (7, 11), (6, 3)), (1, (16, 12), (2, 2))]


def _session(variant: Variant) -> Any:
    with warnings.catch_warnings():
        # torch's converter about its own use of torch, and about a size that two inputs share.
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec", FutureWarning)
        warnings.filterwarnings("ignore", "# The axis name: batch will not be used", UserWarning)
        model = torch.onnx.export(exported(variant), dynamo=True, verbose=False)
    assert model is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    proto = model.model_proto.SerializeToString()
    return onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])


@plain_variants(
    "conv/pairs",
    "multi-head-attention/heads",
    "self-attention/window",
    "cross-attention/options",
    "transformer/map",
    "residual/options",
)
def test_onnxruntime_gives_what_eager_does(variant: Variant) -> None:
    session, block = _session(variant), variant.block().eval()
    names = [given.name for given in session.get_inputs()]
    fixed = [size for given in session.get_inputs() for size in given.shape if size != "batch"]
    assert [size for size in fixed if isinstance(size, int)] == [
        16,
        *([variant.context_width] if variant.context else []),
    ]
    for batch, size, context_size in [
        (2, (9, 10), (5, 4)),
        (3, (7, 11), (6, 3)),
        (1, (16, 12), (2, 2)),
    ]:
        inputs = variant.inputs(batch, size, context_size)
        arrays = [x.numpy() for x in inputs]
        out = torch.from_numpy(session.run(None, dict(zip(names, arrays, strict=True)))[0])
        _assert_close(out, block(*inputs))


def _assert_close(mine: Tensor, wanted: Tensor) -> None:
    assert mine.shape == wanted.shape
    assert (mine - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
