"""Other libraries' modules as references for ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from block_keys import State
from torch import Tensor, nn

Keys = Callable[[State], State]

every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
every_mode = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give norms, biases, running statistics and all that is constant values of their own.

    As constructed, a norm's weight is one (or zero, at the end of a residual branch), its bias
    and mean zero, the last convolution of a pre-activation block zero and a LayerScale tiny: tests
    against such modules would pass with half of the work left out. In place; returns the module.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.copy_(values * (high - low) + low)

    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                draw(tensor, 0.3, 0.9)
            elif tensor.ndim == 1 or (tensor.numel() and tensor.min() == tensor.max()):
                draw(tensor, -0.3, 0.3)
    return module


def waves(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers between -1 and 1 that do not repeat, the same in both precisions."""
    size = torch.Size(shape).numel()
    return torch.linspace(-3, 3, size, dtype=torch.float64).mul(7).sin().view(shape).to(dtype)


def whole(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whole numbers from -3 to 3, of which sums of products have no rounding, in any order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, shape, generator=generator).to(dtype)


@contextmanager
def no_fast_path() -> Iterator[None]:
    """torch's transformer layers in eval as they are in training: their fast path rounds."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def copy_over(ours: nn.Module, theirs: nn.Module, keys: Keys = dict) -> None:
    """Randomise ``theirs`` and load it into ``ours``, every key of both being used."""
    randomize(theirs)
    ours.load_state_dict(keys(theirs.state_dict()), strict=True)


def assert_same(
    ours: nn.Module,
    theirs: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    keys: Keys = dict,
    *,
    tolerance: float = 0.0,
    gradients: float | None = None,
    **options: Any,
) -> None:
    """Both give the same output, the same gradients of inputs and parameters, the same buffers.

    ``options`` are keyword arguments of ours. ``tolerance`` is relative to the largest magnitude
    of what is compared; 0 is bit for bit. ``gradients`` is the tolerance of the gradients where it
    differs: where two sum over tokens in different orders, only their outputs may be equal.
    """
    inputs = x if isinstance(x, tuple) else (x,)
    results = []
    for module, given in ((ours, options), (theirs, {})):
        module.zero_grad()
        leaves = [each.clone().requires_grad_() for each in inputs]
        # Copies: a layer that works in place may not touch a leaf.
        out = module(*(leaf.clone() for leaf in leaves), **given)
        # Weighted, since the plain sum of what a norm gives has no gradient.
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
        (out * weights).sum().backward()
        results.append((out.detach(), [leaf.grad for leaf in leaves]))
    (mine, my_gradients), (wanted, their_gradients) = results
    _assert_close(mine, wanted, tolerance, "output")
    loose = tolerance if gradients is None else gradients
    for place, pair in enumerate(zip(my_gradients, their_gradients, strict=True)):
        _assert_close(*pair, loose, f"gradient of input {place}")
    compared = 0
    for take in (_gradients, lambda module: dict(module.named_buffers())):
        mine, wanted = take(ours), keys(take(theirs)) if take(theirs) else {}
        assert mine.keys() == wanted.keys()
        for name, value in mine.items():
            _assert_close(value, wanted[name], loose if take is _gradients else tolerance, name)
            compared += 1
    assert compared


def _gradients(module: nn.Module) -> State:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def _assert_close(mine: Tensor, wanted: Tensor, tolerance: float, name: str) -> None:
    assert (mine.shape, mine.dtype) == (wanted.shape, wanted.dtype), name
    if tolerance and wanted.is_floating_point():
        error = (mine - wanted).abs().max()
        assert error <= tolerance * wanted.abs().max(), f"{name}: {error:g} off"
    else:
        assert torch.equal(mine, wanted), f"{name}: {(mine - wanted).abs().max():g} off"
