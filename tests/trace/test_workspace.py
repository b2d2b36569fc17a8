"""Predicted workspaces of CPU convolutions against what the allocator was seen to give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from blocktool.analysis.memory import peak_memory
from blocktool.measure.memory import memory_use
from blocktool.measure.steps import scope, step_for
from blocktool.results.profile import RunMode
from blocktool.trace.inputs import CallArguments
from blocktool.trace.tracer import trace
from blocktool.trace.workspace import cpu_workspace

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX512"),
    reason="oneDNN chooses other kernels for other processors",
)

# In, out, kernel, stride, groups; none 1x1 in float32, which one thread computes without copies.
CONVOLUTIONS = {
    "3x3": (64, 96, 3, 1, 1),
    "strided": (64, 96, 3, 2, 1),
    "odd channels": (50, 70, 3, 1, 1),
    "depthwise": (64, 64, 3, 1, 64),
    "large depthwise": (64, 64, 7, 1, 64),
    "strided depthwise": (96, 96, 5, 2, 96),
    "groups of 16 and 24": (64, 96, 3, 1, 4),
    "groups of 4": (128, 128, 3, 1, 32),
    "groups of 32": (128, 128, 3, 1, 4),
}
POINTWISE = {"1x1": (64, 96, 1, 1, 1), "strided 1x1": (64, 128, 1, 2, 1)}


def bytes_of(
    sizes: tuple[int, int, int, int, int], dtype: torch.dtype, *, last: bool, mode: RunMode
) -> tuple[int, int]:
    """Predicted and measured peak, with a gradient that is dense."""
    channels, out, kernel, stride, groups = sizes
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    form = torch.channels_last if last else torch.contiguous_format
    # In place, so that it adds nothing; its backward makes the gradient of the sum dense.
    module = nn.Sequential(conv, nn.ReLU(inplace=True)).to(dtype=dtype, memory_format=form)
    x = torch.randn(4, channels, 40, 40, dtype=dtype).contiguous(memory_format=form)
    x.requires_grad_(mode == "training")
    record = trace(module, x, mode="training" if mode == "training" else "forward")
    step = step_for(module, CallArguments((x,), {}), mode, CPU)
    with scope(mode):
        step.run()
        use = memory_use(step, [*module.parameters(), x])
    assert use is not None
    return peak_memory(record).peak_live_bytes, use.peak_bytes


def some_or_skip(dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has no bfloat16 here")


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("last", [False, True], ids=["row-major", "channels-last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", [*CONVOLUTIONS, *POINTWISE])
def test_the_peak_is_the_measured_one(
    name: str, dtype: torch.dtype, last: bool, mode: RunMode
) -> None:
    some_or_skip(dtype)
    if name in POINTWISE and dtype == torch.float32:
        pytest.skip("depends on the number of threads")
    sizes = {**CONVOLUTIONS, **POINTWISE}[name]
    predicted, measured = bytes_of(sizes, dtype, last=last, mode=mode)
    assert predicted == pytest.approx(measured, rel=0.04)


def test_a_wider_weight_gradient_takes_more_for_each_thread() -> None:
    some_or_skip(torch.bfloat16)
    x = torch.randn(8, 64, 20, 20, dtype=torch.bfloat16, device="meta")
    weight = torch.randn(64, 64, 3, 3, dtype=torch.bfloat16, device="meta")
    both = [1, 1]
    args = (x, x, weight, None, both, both, both, False, [0, 0], 1, [False, True, False])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = cpu_workspace("aten.convolution_backward", args, None)
        torch.set_num_threads(2)
        two = cpu_workspace("aten.convolution_backward", args, None)
    finally:
        torch.set_num_threads(before)
    # Of one thread: an image and its gradient, two pixels wider, and the sums in float32.
    assert two - one == 2 * 64 * 20 * (22 + 20) + 4 * 64 * 64 * 9


def test_what_is_not_known_is_nothing() -> None:
    one = [1, 1]
    for dtype, transposed in ((torch.float32, True), (torch.float64, False)):
        x = torch.empty(4, 64, 20, 20, dtype=dtype, device="meta")
        weight = torch.empty(64, 64, 3, 3, dtype=dtype, device="meta")
        args = (x, weight, None, one, one, one, transposed, [0, 0], 1)
        assert cpu_workspace("aten.convolution", args, x) == 0
    assert cpu_workspace("aten.mm", (x, x), x) == 0
