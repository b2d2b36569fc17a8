"""Whether a changed module still computes what the original did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from blocktool.optimize.samples import called, device_of, own_random_numbers
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

RANDOM_TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-3}
"""The same between random parameters: rounding errors grow there from norm to norm (to 1e-4 at the
end of a ResNet-50), and so would a mistake."""


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


def randomize(module: nn.Module, arguments: CallArguments, *, weights: bool = False) -> None:
    """Draw running statistics, affine parameters and factors anew, in place.

    As constructed they are ones and zeros (1e-6 in ConvNeXt's factors), with which a wrong fold
    would not show; so would weights that are all zero, as at the end of a residual branch. Other
    weights are drawn with ``weights``, and buffers then are zeros.

    Running statistics are drawn around those of what the norms get for these ``arguments``: with
    any others, little of the input would be left at the end of a deep network.
    """
    with own_random_numbers(device_of(module, arguments)), torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.is_floating_point():
                _draw(name, tensor, weights)
        for name, buffer in module.named_buffers():
            if "running_" in name and buffer.is_floating_point():
                _draw(name, buffer, weights)
            elif weights:
                buffer.zero_()  # an index that is valid everywhere
    norms = [inner for inner in module.modules() if isinstance(inner, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_settle) for norm in norms]
    try:
        if norms:
            called(module, arguments)
    finally:
        for hook in hooks:
            hook.remove()


def _draw(name: str, tensor: Tensor, weights: bool) -> None:
    if name.endswith(("bias", "running_mean")) and tensor.ndim <= 1:
        tensor.uniform_(-0.5, 0.5)
    elif tensor.numel() == max(tensor.shape, default=1):
        tensor.uniform_(0.5, 1.5)
    elif weights or not tensor.any():
        fan_in = tensor.numel() // tensor.shape[0]
        tensor.normal_(0, math.sqrt(2 / max(fan_in, 1)))  # https://arxiv.org/abs/1502.01852


def _settle(norm: nn.Module, args: tuple[Any, ...]) -> None:
    """Shift and scale the random statistics of a norm to those of its input (B, C, ...)."""
    mean, variance = norm.running_mean, norm.running_var
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor) or not args:
        return
    x = args[0].to(mean.dtype)
    found, center = torch.var_mean(x, [axis for axis in range(x.ndim) if axis != 1], correction=0)
    # Half of what all samples have in common stays: without it, differences between them grow from
    # norm to norm, and rounding errors with them. One scale for all channels: one whose two values
    # happen to be close would be magnified without end.
    center = center / 2
    scale = torch.maximum(found.mean() + center.square().mean(), 0.01 * x.square().mean())
    scale = torch.where(scale > 0, scale, 1)
    mean.mul_(scale.sqrt()).add_(center)
    variance.mul_(scale)


def widened(
    module: nn.Module, arguments: CallArguments, least: torch.dtype = torch.float32
) -> tuple[nn.Module, CallArguments]:
    """A module (converted in place) and its arguments in ``least`` where they are narrower."""
    if torch.promote_types(working_dtype(module), least) == working_dtype(module):
        return module, arguments

    def change(tensor: Tensor) -> Tensor:
        return tensor.to(least) if tensor.is_floating_point() else tensor

    return module.to(least), CallArguments(
        tuple(map_tensors(value, change) for value in arguments.args),
        {name: map_tensors(value, change) for name, value in arguments.kwargs.items()},
    )
