"""Predicted live bytes against torch.profiler's memory events on CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from blocktool.analysis.memory import live_bytes, peak_memory
from blocktool.trace.tracer import trace


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(64, 192)
        self.proj = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 4, 16)).permute(2, 0, 3, 1, 4)
        out = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.proj(out.transpose(1, 2).flatten(2))


MODELS = {
    "mlp": (nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256)), (64, 256)),
    "attention": (nn.Sequential(nn.LayerNorm(64), Attention()), (8, 49, 64)),
    "convolution": (
        nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
            nn.BatchNorm2d(32),
            nn.SiLU(),
            nn.Conv2d(32, 64, 1, stride=2, bias=False),
            nn.ReLU(),
        ),
        (4, 3, 96, 96),
    ),
}


def measured_peak(module: nn.Module, x: torch.Tensor, training: bool) -> int:
    """The largest running sum of the allocator's events, above what was there before."""
    module.train(training)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        if training:
            optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
            out = module(x)
            out.sum().backward()
            optimizer.step()
        else:
            with torch.no_grad():
                out = module(x)
    del out
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    held = [*module.parameters(), *module.buffers(), x]
    return peak + sum(t.numel() * t.element_size() for t in held)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_predicted_peak_is_the_measured_one(name: str, training: bool) -> None:
    module, shape = MODELS[name]
    for parameter in module.parameters():
        parameter.grad = None
    x = torch.randn(shape)
    record = trace(module, x, mode="training", optimizer="sgd") if training else trace(module, x)
    predicted = peak_memory(record).peak_live_bytes
    assert predicted == pytest.approx(measured_peak(module, x, training), rel=0.03)


def test_the_categories_make_up_the_peak() -> None:
    for name, (module, shape) in MODELS.items():
        peak = peak_memory(trace(module, shape, mode="training", optimizer="adam"))
        parts = (
            peak.parameters
            + peak.buffers
            + peak.inputs
            + peak.activations
            + peak.gradients
            + peak.optimizer
            + peak.workspace
        )
        assert parts == peak.peak_live_bytes, name


def test_live_bytes_by_hand() -> None:
    # 4 in, 5 out, two rows: parameters 100 bytes, input 32, each result 40.
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Sigmoid())
    record = trace(module, (2, 4))
    assert [op.op for op in record.ops] == ["aten.t", "aten.addmm", "aten.relu", "aten.sigmoid"]
    # The first result is dropped when the third is made.
    assert live_bytes(record) == [132, 172, 212, 212]
    peak = peak_memory(record)
    assert (peak.op, peak.module) == ("aten.relu", "1")


def test_without_operations_the_state_is_the_peak() -> None:
    record = trace(nn.Identity(), (2, 4))
    assert record.ops == ()
    assert peak_memory(record).peak_live_bytes == 32
