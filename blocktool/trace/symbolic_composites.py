"""Operations that torch takes apart, in C++, before a dispatch mode sees them.

Some of these cannot do it for symbols, and others ask what would only make more conditions.
Meanwhile they are taken apart here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_RESIZING = (
    *(f"upsample_nearest{n}d" for n in (1, 2, 3)),
    *(f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)


@contextmanager
def composites_routed(*, layouts_asked: bool) -> Iterator[None]:
    """Take them apart here for a while. Without ``layouts_asked`` nothing is asked about how a
    tensor lies in memory where the result has one shape whatever the answer is; each such question
    (of ``contiguous``, whether anything was cut off a tensor at all) splits the sizes into more
    ways through a module."""
    library = torch.library.Library("aten", "IMPL")
    try:
        for name in _RESIZING:
            library.impl(f"{name}.vec", _resizing(name), "AutogradMeta")
        if not layouts_asked:
            library.impl("adaptive_avg_pool2d", _adaptive_avg_pool2d, "AutogradMeta")
            torch.Tensor.contiguous = _contiguous(torch.Tensor.contiguous)  # type: ignore[method-assign]
        yield
    finally:
        library._destroy()
        if not layouts_asked:
            del torch.Tensor.contiguous  # it is inherited


def _resizing(name: str) -> Callable[..., Tensor]:
    """``F.interpolate`` of one kind, by size or by scale; the scale is an argument of its own
    before the flag for corners is."""
    operation = getattr(torch.ops.aten, name).default

    def resized(
        x: Tensor, output_size: Any, *flags_and_scales: Any, scale_factors: Any = None
    ) -> Tensor:
        *flags, scales = flags_and_scales if scale_factors is None else (*flags_and_scales, None)
        scales = scale_factors if scale_factors is not None else scales
        if output_size is None:
            output_size = [_scaled(n, s) for n, s in zip(x.shape[2:], scales, strict=True)]
        given = scales if scales is not None else [None] * len(output_size)
        out: Tensor = operation(x, output_size, *flags, *given)
        return out

    return resized


def _scaled(size: Any, scale: float) -> Any:
    if scale == int(scale):
        return size * int(scale)
    return int(size * scale) if type(size) is int else torch.sym_int(size * scale)


def _adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    if all(type(size) is int and size == 1 for size in output_size):
        return x.mean((-1, -2), keepdim=True)
    pooled: Tensor = torch.ops.aten._adaptive_avg_pool2d(x, output_size)
    return pooled


def _contiguous(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def contiguous(
        x: Tensor, memory_format: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        if x._has_symbolic_sizes_strides:
            return x.clone(memory_format=memory_format)
        return original(x, memory_format=memory_format)

    return contiguous
