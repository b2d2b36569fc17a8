"""What starts at zero gets values, and nothing else does."""

from __future__ import annotations

import copy

import torch
from torch import nn

from blocktool.blocks import BottleneckBlock
from blocktool.measure.zeros import without_zeros


def test_only_what_is_zero_everywhere_and_no_bias() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 400, bias=False), nn.LazyLinear(2)
    )
    with torch.no_grad():
        module[0].weight[0] = 0
        for parameter in (module[0].bias, module[1].weight, module[2].weight):
            parameter.zero_()
    before = copy.deepcopy(module.state_dict())
    state = torch.get_rng_state()
    assert without_zeros(module) == ("1.weight", "2.weight")
    assert torch.equal(torch.get_rng_state(), state)
    changed = {
        name
        for name, value in module[:3].state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"1.weight", "2.weight"}
    assert module[1].weight.tolist() == [0.5] * 4
    assert 0.45 < float(module[2].weight.detach().std()) < 0.55  # 1 / sqrt(4)
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert without_zeros(module) == ()


def test_always_the_same_values() -> None:
    modules = [nn.Linear(5, 5), nn.Linear(5, 5)]
    for module in modules:
        nn.init.zeros_(module.weight)
        without_zeros(module)
        torch.rand(1)
    assert torch.equal(modules[0].weight, modules[1].weight)


def test_a_residual_branch_shows() -> None:
    block, x = BottleneckBlock(16, 16).eval(), torch.randn(1, 16, 4, 4)
    with torch.no_grad():
        hidden = block(x)
        assert torch.equal(hidden, x.relu())  # its last norm starts at zero
        assert without_zeros(block)
        assert not torch.allclose(block(x), hidden, atol=1e-2)
