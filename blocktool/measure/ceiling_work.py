"""What is run to find a ceiling: tiny modules, matrix products, and on CUDA convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from blocktool.measure.devices import synchronize

_LEAST_SIZE = 96


@dataclass(frozen=True)
class Work:
    """Something to run, how much of it there is (FLOPs or bytes), and how often it is run in one
    sample."""

    run: Callable[[], None]
    amount: float
    calls: int = 1


def product(size: int, dtype: torch.dtype, device: torch.device) -> Work:
    """A square matrix product. The values matter a little: a GPU draws less power with zeros."""
    # Each row is a window of one line of random numbers, which is cheaper than a random matrix.
    line = torch.rand(2 * size, device=device) - 0.5
    left = line.as_strided((size, size), (1, 1)).to(dtype).contiguous()
    right = left.flip(0).contiguous()
    out = torch.empty_like(left)

    def run() -> None:
        torch.mm(left, right, out=out)

    return Work(run, 2.0 * size**3)


def convolution(size: int, device: torch.device) -> Work:
    """A 1x1 convolution with as many FLOPs as the product of square matrices: a kernel size for
    which no algorithm saves multiplications."""
    side = 32
    batch = max(1, size // side**2)
    shape = (batch, size, side, side)
    x = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.rand((size, size, 1, 1), device=device)
    weight = weight.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        torch.conv2d(x, weight)

    return Work(run, 2.0 * batch * side**2 * size**2)


def started(device: torch.device, jobs: Iterable[Callable[[int], Work]]) -> None:
    """Run a little of everything, so that no library starts while the time is counted: that of a
    GPU takes longer than all the measurements."""
    for run in tiny_modules(device):
        run()
    torch.ones(1, device=device).copy_(torch.zeros(1, device=device))
    for work in jobs:
        with suppress(RuntimeError, TypeError, NotImplementedError):  # no such kernel
            work(_LEAST_SIZE).run()
    synchronize(device)


def tiny_modules(device: torch.device) -> Iterator[Callable[[], None]]:
    """Modules on a few numbers: a linear, an activation, a normalization and a convolution."""
    for module, shape in (
        (nn.Linear(4, 4), (1, 4)),
        (nn.ReLU(), (1, 4)),
        (nn.LayerNorm(4), (1, 4)),
        (nn.Conv2d(4, 4, 1), (1, 4, 1, 1)),
    ):
        yield partial(_call, module.to(device).eval(), torch.zeros(shape, device=device))


def _call(module: nn.Module, x: torch.Tensor) -> None:
    module(x)


def convolutions_alone_use_tf32(device: torch.device) -> bool:
    """Whether float32 convolutions run faster than float32 products, as torch is set to."""
    if device.type != "cuda" or torch.version.cuda is None:
        return False
    if torch.cuda.get_device_capability(device) < (8, 0):
        return False
    convolutions = getattr(torch.backends.cudnn, "conv").fp32_precision  # noqa: B009 (no stub)
    return bool(convolutions == "tf32" != torch.backends.cuda.matmul.fp32_precision)


def floating(name: str) -> torch.dtype | None:
    """torch's dtype of this name, where a matrix product of it counts in FLOPs."""
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else None
