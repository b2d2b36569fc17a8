"""Cases whose MACs can be worked out by hand, on every rung of the ladder.

The truths are arithmetic on the shapes, written beside each case; B is 2 and maps are 10x10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from blocktool.analysis.summary import summarize_trace
from blocktool.trace.tracer import trace

B = 2
MAP = (B, 8, 10, 10)


class ConvSubclass(nn.Conv2d):
    pass


class FunctionalConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(16, 8, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.kernel, padding=1)


class Repeated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.conv(x)
        return x


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 32, bias=False)
        self.second = nn.Linear(32, 32, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


class DictInDictOut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(32, 48)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
        return {"out": self.linear(batch["x"]), "label": "text", "count": 3}


class MultiHead(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


class LinearThenAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(64, 192)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).view(B, 10, 3, 4, 16).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v)


class Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b.T


class Einsum(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bnc,cd->bnd", a, b)


class UpThenConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear"))


Case = tuple[Callable[[], nn.Module], Any, int]

CASES: dict[str, Case] = {
    "linear on tokens": (lambda: nn.Linear(32, 48), (B, 10, 32), B * 10 * 32 * 48),
    "conv with bias": (lambda: nn.Conv2d(8, 16, 3, padding=1), MAP, B * 100 * 8 * 16 * 9),
    "conv 1d": (lambda: nn.Conv1d(8, 16, 3, padding=1), (B, 8, 50), B * 50 * 8 * 16 * 3),
    "conv 3d": (lambda: nn.Conv3d(4, 6, 3, padding=1), (B, 4, 5, 5, 5), B * 125 * 4 * 6 * 27),
    "transposed conv": (lambda: nn.ConvTranspose2d(8, 16, 3, stride=2), MAP, B * 100 * 8 * 16 * 9),
    "grouped dilated conv": (
        lambda: nn.Conv2d(8, 16, 3, padding=2, groups=4, dilation=2),
        MAP,
        B * 100 * 2 * 16 * 9,
    ),
    "depthwise conv": (
        lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
        MAP,
        B * 100 * 8 * 9,
    ),
    "a subclass of Conv2d": (
        lambda: ConvSubclass(8, 16, 3, padding=1),
        MAP,
        B * 100 * 8 * 16 * 9,
    ),
    "functional conv": (FunctionalConv, MAP, B * 100 * 8 * 16 * 9),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 16, 3, padding=1)),
        MAP,
        B * 100 * 8 * 16 * 9,
    ),
    "one conv called three times": (Repeated, MAP, 3 * B * 100 * 8 * 8 * 9),
    "tied weights": (Tied, (B, 10, 32), 2 * B * 10 * 32 * 32),
    "dict in, dict out": (
        DictInDictOut,
        ({"x": torch.zeros(B, 10, 32)},),
        B * 10 * 32 * 48,
    ),
    "multi-head attention with weights": (
        lambda: MultiHead(True),
        (B, 10, 64),
        B * (4 * 10 * 64 * 64 + 2 * 10 * 10 * 64),
    ),
    "multi-head attention without weights": (
        lambda: MultiHead(False),
        (B, 10, 64),
        B * (4 * 10 * 64 * 64 + 2 * 10 * 10 * 64),
    ),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        (B, 10, 64),
        B * (4 * 10 * 64 * 64 + 2 * 10 * 10 * 64 + 2 * 10 * 64 * 128),
    ),
    "linear, then attention": (
        LinearThenAttention,
        (B, 10, 64),
        B * (3 * 10 * 64 * 64 + 2 * 10 * 10 * 64),
    ),
    "a @ b.T": (Product, [torch.zeros(10, 32), torch.zeros(48, 32)], 10 * 32 * 48),
    "einsum": (Einsum, [torch.zeros(B, 10, 32), torch.zeros(32, 48)], B * 10 * 32 * 48),
    "LSTM": (
        lambda: nn.LSTM(16, 32, batch_first=True),
        (B, 7, 16),
        B * 7 * 4 * 32 * (16 + 32),
    ),
    "GRU": (
        lambda: nn.GRU(16, 32, batch_first=True),
        (B, 7, 16),
        B * 7 * 3 * 32 * (16 + 32),
    ),
    "bilinear layer": (
        lambda: nn.Bilinear(5, 6, 7),
        [torch.zeros(B, 5), torch.zeros(B, 6)],
        B * 5 * 6 * 7,
    ),
    "1x1 conv after interpolation": (UpThenConv, MAP, B * 400 * 8 * 8),
    "group norm": (lambda: nn.GroupNorm(2, 8), MAP, 0),
    "layer norm": (lambda: nn.LayerNorm(32), (B, 10, 32), 0),
    "bfloat16 conv": (
        lambda: nn.Conv2d(8, 16, 3, padding=1).bfloat16(),
        torch.zeros(MAP, dtype=torch.bfloat16),
        B * 100 * 8 * 16 * 9,
    ),
}


@pytest.mark.parametrize("device", ["meta", "fake", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_macs_are_exact_on_every_rung(name: str, device: str) -> None:
    build, inputs, truth = CASES[name]
    summary = summarize_trace(trace(build(), inputs, device=device))
    recurrent = name in ("LSTM", "GRU") and device == "meta"
    assert summary.traced_on == ("fake" if recurrent else device)
    assert summary.totals.macs == truth
    assert summary.totals.flops == 2 * truth
    assert summary.uncovered_ops == ()


def test_elementwise_work_has_a_column_of_its_own() -> None:
    summary = summarize_trace(trace(nn.Sequential(nn.LayerNorm(32), nn.GELU()), (B, 10, 32)))
    assert summary.totals.macs == 0
    # Eight passes of a layer normalisation and one GELU, by the convention in trace/work.py.
    assert summary.totals.elementwise_flops == (8 + 1) * B * 10 * 32


def test_tied_parameters_count_once() -> None:
    summary = summarize_trace(trace(Tied(), (B, 10, 32)))
    assert summary.totals.params == 32 * 32
    by_path = {row.path: row for row in summary.modules}
    assert by_path["first"].params == by_path["second"].params == 32 * 32


def test_a_second_count_gives_the_same() -> None:
    module = Repeated()
    assert trace(module, MAP).ops == trace(module, MAP).ops


@pytest.mark.parametrize("name", ["conv with bias", "grouped dilated conv", "depthwise conv"])
def test_backward_costs_two_forwards_whatever_the_groups(name: str) -> None:
    build, inputs, truth = CASES[name]
    record = trace(build(), inputs, mode="training", input_grad=True)
    assert sum(op.macs for op in record.ops) == 3 * truth
    record = trace(build(), inputs, mode="training")
    assert sum(op.macs for op in record.ops) == 2 * truth
