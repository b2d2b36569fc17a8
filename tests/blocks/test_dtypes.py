"""Every block in half precision and under autocast: its dtype kept, its values close."""

from __future__ import annotations

import pytest
import torch
from block_variants import Variant, every_variant, plain_variants
from torch import Tensor, nn

# Relative to the largest value: a few roundings, of 8 and 11 bits.
TOLERANCES = {torch.bfloat16: 4e-2, torch.float16: 5e-3}
train_and_eval = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])

GRADIENTS = 0.15  # of their norm: at the bend of a ReLU a rounding turns some on or off

DEVICES = [torch.device("cpu"), pytest.param(torch.device("cuda"), marks=pytest.mark.gpu)]
every_device = pytest.mark.parametrize("device", DEVICES, ids=str)


def _without_drops(block: nn.Module) -> nn.Module:
    """What is dropped is drawn in other numbers for another dtype or device."""
    for module in block.modules():
        for rate in ("p", "drop_prob", "attn_drop"):
            if hasattr(module, rate):
                setattr(module, rate, 0.0)
    return block


def _assert_close(mine: Tensor, wanted: Tensor, tolerance: float) -> None:
    assert mine.shape == wanted.shape
    error = (mine.double() - wanted.double()).abs().max() / wanted.abs().max()
    assert error <= tolerance


def _assert_alike(mine: Tensor | None, wanted: Tensor | None) -> None:
    assert mine is not None
    assert wanted is not None
    assert (mine.double() - wanted.double()).norm() <= GRADIENTS * wanted.double().norm()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _holds(variant: Variant, dtype: torch.dtype, training: bool, device: torch.device) -> None:
    half = _without_drops(variant.block(dtype=dtype, device=device)).train(training)
    exact = _without_drops(variant.make(dtype=torch.float64, device=device)).train(training)
    exact.load_state_dict(half.state_dict())
    inputs = variant.inputs(dtype=dtype, device=device)
    leaves = [x.clone().requires_grad_() for x in inputs]
    doubles = [x.double().requires_grad_() for x in inputs]
    out, wanted = half(*leaves), exact(*doubles)
    assert out.dtype == dtype
    _assert_close(out, wanted, TOLERANCES[dtype])
    weights = torch.linspace(-1, 1, out.numel(), device=device).view(out.shape)
    (out * weights.to(dtype)).sum().backward()
    (wanted * weights.to(dtype)).sum().backward()
    for leaf, double in zip(leaves, doubles, strict=True):
        _assert_alike(leaf.grad, double.grad)
    for name, parameter in half.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == dtype, name
        assert torch.isfinite(parameter.grad).all(), name


@every_device
@every_variant
def test_bfloat16(variant: Variant, device: torch.device) -> None:
    _holds(variant, torch.bfloat16, True, device)


@every_device
@train_and_eval
@plain_variants()
def test_float16(variant: Variant, training: bool, device: torch.device) -> None:
    _holds(variant, torch.float16, training, device)


@every_device
@train_and_eval
@plain_variants("multi-head-attention/heads", "residual/options")
# torch says so itself of its rms_norm, whose weight autocast leaves in float32.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
def test_autocast(variant: Variant, training: bool, device: torch.device) -> None:
    block = _without_drops(variant.block(device=device)).train(training)
    inputs = variant.inputs(device=device)
    state = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = block(*inputs)
    out.float().square().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in block.parameters())
    block.load_state_dict(state)
    _assert_close(out, block(*inputs), TOLERANCES[torch.bfloat16])


@pytest.mark.gpu
@train_and_eval
@plain_variants()
def test_the_gpu_gives_what_the_cpu_does(variant: Variant, training: bool) -> None:
    block = _without_drops(variant.block(dtype=torch.float64)).train(training)
    there = _without_drops(variant.block(dtype=torch.float64)).to("cuda").train(training)
    inputs = variant.inputs(dtype=torch.float64)
    out, found = block(*inputs), there(*(x.cuda() for x in inputs))
    out.square().sum().backward(), found.square().sum().backward()
    torch.testing.assert_close(found.cpu(), out)
    for mine, wanted in zip(there.parameters(), block.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.cpu(), wanted.grad)
