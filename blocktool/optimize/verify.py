"""Whether a changed module still computes what the original did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from blocktool.optimize.samples import called, own_random_numbers
from blocktool.trace.inputs import CallArguments
from blocktool.trace.limits import one_line
from blocktool.trace.structure import map_tensors, named_tensors

TOLERANCES = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 1e-1,
    torch.float16: 2e-2,
}
"""The largest difference that passes, relative to the largest magnitude of an output. Folding
rounds each weight once more; in a deep network that is some tens of units of the last place."""


class Differs(Exception):  # noqa: N818 -- an answer, not a failure of ours
    """Two modules do not compute the same; the message says how, in one line."""


def working_dtype(module: nn.Module) -> torch.dtype:
    """The narrowest floating dtype of a module's parameters and buffers; float32 if it has none."""
    dtypes = {t.dtype for t in (*module.parameters(), *module.buffers())}
    known = [dtype for dtype in TOLERANCES if dtype in dtypes]  # from wide to narrow
    return known[-1] if known else torch.float32


def differences(
    original: nn.Module, changed: nn.Module, arguments: CallArguments, tolerance: float
) -> tuple[tuple[str | None, float], ...]:
    """The relative error of every output, by name; NaN for one without any finite value.

    Raises Differs where one is above ``tolerance``, the outputs have another structure, or the
    changed module fails.
    """
    with _full_precision():
        expected = list(named_tensors(called(original, arguments)))
        try:
            got = list(named_tensors(called(changed, arguments)))
        except Exception as error:
            raise Differs(f"the changed module fails: {one_line(error)}") from error
    if _form(expected) != _form(got):
        raise Differs("the outputs have another structure, shape or dtype")
    errors = tuple(
        (name, _relative(wanted, tensor))
        for (name, wanted), (_, tensor) in zip(expected, got, strict=True)
    )
    worst = max((error for _, error in errors if not math.isnan(error)), default=0.0)
    if worst > tolerance:
        allowed = f"of the largest magnitude (tolerance {tolerance:.0e})"
        raise Differs(f"the outputs differ by {worst:.1e} {allowed}")
    return errors


def _form(outputs: list[tuple[str | None, Tensor]]) -> list[tuple[Any, ...]]:
    return [(name, tensor.shape, tensor.dtype) for name, tensor in outputs]


def _relative(wanted: Tensor, got: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    kind = torch.complex128 if wanted.is_complex() else torch.float64
    wanted, got = wanted.detach().cpu().to(kind), got.detach().cpu().to(kind)
    finite = wanted.isfinite()
    # Infinities and NaN have to stand where they stood, and are no measure of the rest.
    same = torch.isclose(wanted[~finite], got[~finite], rtol=0, atol=0, equal_nan=True)
    if not same.all():
        return math.inf
    if not finite.any():
        return math.nan
    error = float((wanted[finite] - got[finite]).abs().max())
    if math.isnan(error):
        return math.inf
    largest = float(wanted[finite].abs().max())
    return error / largest if largest else (math.inf if error else 0.0)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Without TF32, whose rounding would hide what is looked for."""
    if not torch.cuda.is_available():
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def randomize(module: nn.Module, *, weights: bool = False) -> None:
    """Draw running statistics, affine parameters and factors anew, in place.

    As constructed they are ones and zeros (1e-6 in ConvNeXt's factors), with which a wrong fold
    would not show; so would weights that are all zero, as at the end of a residual branch. Other
    weights are drawn with ``weights``, and buffers then are zeros.
    """
    with own_random_numbers(), torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.is_floating_point():
                _draw(name, tensor, weights)
        for name, buffer in module.named_buffers():
            if "running_" in name and buffer.is_floating_point():
                _draw(name, buffer, weights)
            elif weights:
                buffer.zero_()  # an index that is valid everywhere


def _draw(name: str, tensor: Tensor, weights: bool) -> None:
    if name.endswith(("bias", "running_mean")) and tensor.ndim <= 1:
        tensor.uniform_(-0.5, 0.5)
    elif tensor.numel() == max(tensor.shape, default=1):
        tensor.uniform_(0.5, 1.5)
    elif weights or not tensor.any():
        fan_in = tensor.numel() // tensor.shape[0]
        tensor.normal_(0, math.sqrt(2 / max(fan_in, 1)))  # https://arxiv.org/abs/1502.01852


def in_float32(module: nn.Module, arguments: CallArguments) -> tuple[nn.Module, CallArguments]:
    """A half-precision module (converted in place) and its arguments in float32; others as is."""
    if working_dtype(module) not in (torch.float16, torch.bfloat16):
        return module, arguments

    def change(tensor: Tensor) -> Tensor:
        return tensor.float() if tensor.is_floating_point() else tensor

    return module.float(), CallArguments(
        tuple(map_tensors(value, change) for value in arguments.args),
        {name: map_tensors(value, change) for name, value in arguments.kwargs.items()},
    )
