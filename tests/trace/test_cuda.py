"""On a real GPU: the figures are those without data, and attention takes the assumed kernels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from blocktool.trace.tracer import trace

pytestmark = pytest.mark.gpu


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x)


def test_macs_do_not_depend_on_the_device() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
    ours, real = (
        trace(module, (2, 3, 16, 16), device=device, mode="training", input_grad=True)
        for device in ("meta", "cuda")
    )
    assert real.traced_on.startswith("cuda")
    assert sum(op.macs for op in ours.ops) == sum(op.macs for op in real.ops) > 0
    assert not [op.op for op in real.ops if op.kind == "uncovered"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_attention_takes_the_assumed_kernel(dtype: str) -> None:
    shape = (2, 4, 128, 64)
    assumed = trace(Attention(), shape, attention="cuda", dtype=dtype)
    real = trace(Attention(), shape, device="cuda", dtype=dtype)
    assert sum(op.macs for op in assumed.ops) == sum(op.macs for op in real.ops)
    contractions = [[op.op for op in record.ops if op.macs] for record in (assumed, real)]
    # Newer GPUs prefer cuDNN's kernel in half precision; it is fused all the same.
    assert len(contractions[0]) == len(contractions[1])


def test_the_module_stays_where_it_was() -> None:
    module = nn.Linear(4, 5)
    trace(module, (2, 4), device="cuda")
    assert module.weight.device.type == "cpu"
