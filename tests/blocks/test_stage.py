from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from blocktool.blocks import (
    BottleneckBlock,
    ConvBlock,
    DropPath,
    ResidualBlock,
    SelfAttention,
    SEResidualBlock,
    Stage,
)
from blocktool.blocks.layers import drop_path_rates


def _rates(stage: Stage) -> list[float]:
    return [block.drop_path.drop_prob if block.drop_path else 0.0 for block in stage]


def test_first_block_changes_width_and_stride_the_rest_keep_them() -> None:
    stage = Stage(BottleneckBlock, 3, 16, 32)
    assert [(b.in_channels, b.out_channels, b.stride) for b in stage] == [
        (16, 32, 2),
        (32, 32, 1),
        (32, 32, 1),
    ]
    assert (stage.in_channels, stage.out_channels, stage.stride) == (16, 32, 2)
    assert (
        stage(torch.zeros(1, 16, 9, 8)).shape == stage.output_shape((1, 16, 9, 8)) == (1, 32, 5, 4)
    )


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "downsamples"),
    [(16, 16, 1, False), (16, 32, 1, True), (16, 16, 2, True)],
)
def test_a_block_of_fixed_width_is_preceded_by_a_convolution(
    in_channels: int, out_channels: int, stride: int, downsamples: bool
) -> None:
    stage = Stage(SelfAttention, 2, in_channels, out_channels, stride=stride, num_heads=2)
    assert hasattr(stage, "downsample") == downsamples
    assert len(stage) == 2 + downsamples
    x = torch.rand(1, in_channels, 9, 8)
    assert stage(x).shape == stage.output_shape(x.shape)
    assert stage[-1].num_heads == 2


def test_options_and_partials_reach_every_block() -> None:
    for stage in (
        Stage(ResidualBlock, 2, 8, 8, attn="se", act="silu"),
        Stage(partial(ResidualBlock, attn="se"), 2, 8, 8, act="silu"),
    ):
        for block in stage:
            assert block.attn is not None
            assert isinstance(block.act, nn.SiLU)


def test_blocks_share_nothing() -> None:
    options: dict[str, Any] = {"norm": ("group", {"num_groups": 4})}
    stage = Stage(ResidualBlock, 3, 8, 8, **options)
    acts = [module for module in stage.modules() if isinstance(module, nn.ReLU)]
    assert len(set(map(id, acts))) == len(acts) == 6
    assert options == {"norm": ("group", {"num_groups": 4})}


def test_one_rate_rises_to_the_last_block() -> None:
    assert _rates(Stage(ResidualBlock, 3, 8, 8, drop_path=0.2)) == pytest.approx([0, 0.1, 0.2])
    assert _rates(Stage(ResidualBlock, 2, 8, 8, drop_path=[0.3, 0.1])) == [0.3, 0.1]


def test_a_single_block_does_not_divide_by_zero() -> None:
    assert drop_path_rates(0.2, 1) == [0.0]
    assert _rates(Stage(ResidualBlock, 1, 8, 8, drop_path=0.2)) == [0.0]


def test_rates_equal_timms() -> None:
    from zoo_stub import import_timm

    import_timm()
    from timm.layers import calculate_drop_path_rates

    assert drop_path_rates(0.3, 5) == pytest.approx(calculate_drop_path_rates(0.3, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blocks": 0}, "num_blocks must be a positive integer, got 0"),
        ({"stride": 0}, "stride must be a positive integer, got 0"),
        ({"drop_path": [0.1]}, "drop_path: 1 rates for 2 blocks"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1"),
        ({"block": ConvBlock, "drop_path": 0.1}, "drop_path: ConvBlock takes none"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    arguments = {"block": ResidualBlock, "num_blocks": 2, "in_channels": 8, "out_channels": 8}
    with pytest.raises(ValueError, match=message):
        Stage(**{**arguments, **options})


def test_checkpointing_gives_the_same_gradients_for_less_memory() -> None:
    kept = Stage(ResidualBlock, 3, 8, 8, stride=1, zero_init_last=False)
    recomputed = Stage(ResidualBlock, 3, 8, 8, stride=1, checkpoint=True)
    recomputed.load_state_dict(kept.state_dict())
    gradients, saved = [], []
    x = torch.rand(2, 8, 6, 6)
    for stage in (kept, recomputed):
        count = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += tensor.numel()
            return tensor

        leaf = x.clone().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = stage(leaf)
        saved.append(count)
        out.square().sum().backward()
        gradients.append([leaf.grad, *(parameter.grad for parameter in stage.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert saved[1] < saved[0] / 4


def _measured_peak(stage: Stage, x: torch.Tensor) -> int:
    """Bytes at the peak of forward and backward, by the profiler's memory events."""
    from torch.profiler import ProfilerActivity, profile

    stage.zero_grad(set_to_none=True)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        out = stage(x)
        out.sum().backward()
        del out
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak + sum(t.numel() * t.element_size() for t in (*stage.state_dict().values(), x))


def test_checkpointing_saves_what_the_trace_predicts() -> None:
    import blocktool

    x = torch.rand(4, 32, 28, 28)
    figures = []
    for checkpoint in (False, True):
        stage = Stage(ResidualBlock, 4, 32, 32, stride=1, checkpoint=checkpoint)
        stage(x).sum().backward()  # what is allocated once
        predicted = blocktool.summarize(stage, x, mode="training").totals.peak_live_bytes
        figures.append((_measured_peak(stage, x), predicted))
    (kept, kept_predicted), (saved, saved_predicted) = figures
    assert saved < 0.6 * kept
    assert kept_predicted == pytest.approx(kept, rel=0.02)
    assert saved_predicted == pytest.approx(saved, rel=0.02)


def test_the_first_block_may_have_options_of_its_own() -> None:
    stage = Stage(BottleneckBlock, 3, 16, 32, stride=1, dilation=4, first={"dilation": 2})
    assert [block.conv2.conv.dilation for block in stage] == [(2, 2), (4, 4), (4, 4)]
    x = torch.zeros(1, 16, 9, 9)
    assert stage(x).shape == stage.output_shape(x.shape) == (1, 32, 9, 9)


def test_a_block_by_its_name() -> None:
    stage = Stage("se-residual", 2, 8, 16, reduction=4)
    assert [type(block) for block in stage] == [SEResidualBlock, SEResidualBlock]
    with pytest.raises(ValueError, match=r"unknown block 'residul'.*did you mean 'residual'"):
        Stage("residul", 2, 8, 16)


def test_channels_last_for_weights_and_maps() -> None:
    stage = Stage(ResidualBlock, 2, 8, 16, channels_last=True)
    weights = [m.weight for m in stage.modules() if isinstance(m, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    out = stage(torch.rand(2, 8, 6, 6))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_drop_path_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.25)
    x = torch.ones(4000, 2, 1, 1)
    out = layer(x)
    assert sorted(set(out.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    assert torch.equal(out[:, 0], out[:, 1])  # a sample as a whole
    assert out.mean().item() == pytest.approx(1.0, abs=0.05)
    assert layer.eval()(x) is x


def test_a_slice_of_a_stage_is_a_sequential() -> None:
    stage = Stage(ResidualBlock, 3, 8, 16)
    part = stage[1:]
    assert type(part) is nn.Sequential
    assert list(part) == list(stage)[1:]
    assert stage[-1] is list(stage)[-1]
