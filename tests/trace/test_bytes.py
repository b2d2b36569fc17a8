"""Bytes read and written, and work beside contractions, of single operations by hand (float32)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from blocktool.analysis.summary import summarize_trace
from blocktool.trace.tracer import trace


class Does(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


def t(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def index(*shape: int) -> torch.Tensor:
    return t(*shape, dtype=torch.int64)


# function, arguments, read, written, elementwise FLOPs
CASES: dict[str, tuple[Callable[..., Any], list[torch.Tensor], int, int, int]] = {
    "addition": (torch.add, [t(10, 8), t(10, 8)], 2 * 320, 320, 80),
    "with itself": (lambda x: x * x, [t(10, 8)], 320, 320, 80),
    "a view with itself": (lambda x: x[:1] * x[:1], [t(10, 8)], 32, 32, 8),
    "two views of one tensor": (lambda x: torch.add(*x.chunk(2)), [t(10, 8)], 320, 160, 40),
    "an expanded operand": (
        lambda x, b: x + b.expand(10, 8),
        [t(10, 8), t(1, 8)],
        320 + 32,
        320,
        80,
    ),
    "in place": (lambda x: x.add_(1), [t(10, 8)], 320, 320, 80),
    "fill": (lambda x: x.zero_(), [t(10, 8)], 0, 320, 0),
    "copy": (lambda x, y: x.copy_(y), [t(10, 8), t(10, 8)], 320, 320, 0),
    "clone": (torch.clone, [t(10, 8)], 320, 320, 0),
    "view": (lambda x: x.view(80)[3:], [t(10, 8)], 0, 0, 0),
    "concatenation": (lambda x, y: torch.cat([x, y]), [t(2, 8), t(3, 8)], 160, 160, 0),
    "sum": (lambda x: x.sum(0), [t(10, 8)], 320, 32, 80),
    "gather of rows": (
        lambda x, i: x[i],
        [t(1000, 8), index(3)],
        3 * 32 + 24,
        96,
        0,
    ),
    "index_add": (
        lambda x, i, y: x.index_add(0, i, y),
        [t(10, 8), index(100), t(100, 8)],
        320 + 800 + 3200,
        320,
        800,
    ),
    "rows put into a cache": (
        lambda x, i, y: x.index_copy_(0, i, y),
        [t(100_000, 8), index(2), t(2, 8)],
        16 + 64,
        64,
        0,
    ),
    "embedding bag": (
        lambda w, i: F.embedding_bag(i, w),
        [t(1000, 8), index(4, 5)],
        20 * 32 + 160 + 32,
        None,
        20 * 8,
    ),  # type: ignore[dict-item]
    "max pooling": (
        lambda x: torch.max_pool2d(x, [3], [3]),
        [t(1, 2, 9, 9)],
        648,
        2 * 9 * (4 + 8),
        2 * 9 * 9,
    ),
    "softmax": (lambda x: x.softmax(-1), [t(10, 8)], 320, 320, 5 * 80),
    "mish in place": (lambda x: F.mish(x, inplace=True), [t(10, 8)], 320, 320, 80),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes_and_work_by_hand(name: str) -> None:
    function, args, read, written, work = CASES[name]
    summary = summarize_trace(trace(Does(function), args))
    totals = summary.totals
    assert totals.macs == 0
    assert totals.elementwise_flops == work
    assert totals.read_bytes == read
    if written is not None:  # an embedding bag also writes what only its backward wants
        assert totals.written_bytes == written
    assert summary.uncovered_ops == ()


def test_attention_on_views_of_one_tensor_reads_all_three() -> None:
    record = trace(
        Does(lambda x: F.scaled_dot_product_attention(*x.unbind(0))), [t(3, 2, 4, 10, 16)]
    )
    (attention,) = [op for op in record.ops if op.macs]
    assert attention.read_bytes == 3 * 2 * 4 * 10 * 16 * 4


def test_out_is_written_where_it_lies() -> None:
    def into(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty(10, 8, device=x.device)
        torch.mul(x, x, out=out)
        return out

    record = trace(Does(into), [t(10, 8)])
    assert sum(life.nbytes for life in record.storages if life.born >= 0) == 320


def test_an_input_given_twice_is_one_tensor() -> None:
    x = t(2, 10, 64)
    record = trace(nn.MultiheadAttention(64, 4, batch_first=True), [x, x, x])
    assert sum(s.nbytes for s in record.storages if s.category == "inputs") == 2 * 10 * 64 * 4


def test_a_frozen_layer_before_a_norm_gets_no_gradient() -> None:
    conv = nn.Conv2d(3, 64, 3).requires_grad_(False)
    module = nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU())
    ours, real = (
        trace(module, (2, 3, 16, 16), mode="training", device=device) for device in ("meta", "cpu")
    )
    facts = [
        [(op.op, [ref.shape for ref in op.outputs]) for op in record.ops] for record in (ours, real)
    ]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrence_is_what_the_cpu_runs(layer: type[nn.RNNBase]) -> None:
    module = layer(8, 16, 2, batch_first=True)
    ours, real = (trace(module, (2, 5, 8), device=device) for device in ("meta", "cpu"))
    assert ours.traced_on == "fake"
    assert [op.op for op in ours.ops] == [op.op for op in real.ops]
    assert [op.read_bytes for op in ours.ops] == [op.read_bytes for op in real.ops]
