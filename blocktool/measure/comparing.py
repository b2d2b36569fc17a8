"""How far one module's outputs are from another's."""

from __future__ import annotations

import math
import sys
from typing import Any

from torch import Tensor

from blocktool.optimize.sqnr import output_differences
from blocktool.results.profile import VariantError
from blocktool.trace.structure import named_tensors


class Incomparable(Exception):  # noqa: N818 -- an answer, not a failure of ours
    """Outputs that cannot be compared; the message says why, in one line."""


def variant_error(precision: str, reference: Any, eager_outputs: Any, outputs: Any) -> VariantError:
    """How far ``outputs`` are from ``reference``, whose precision is named, over all floating
    outputs; likewise the eager module's in the case's own dtype.

    Raises Incomparable where they have another structure or shape.
    """
    error, sqnr_db = _worst(reference, outputs)
    eager_error, _ = _worst(reference, eager_outputs)
    return VariantError(
        reference=precision,
        max_relative_error=error,
        sqnr_db=sqnr_db,
        eager_relative_error=eager_error,
        same_top1=_same_top1(reference, outputs),
    )


def _worst(expected: Any, got: Any) -> tuple[float | None, float | None]:
    """The largest error (None: an output is not finite), and the worst ratio in dB (None: there is
    no noise, or no signal). It is relative to the largest magnitude, unless that is zero."""
    if not is_finite(got):
        return None, None
    try:
        found = output_differences(expected, got)
    except ValueError as error:
        raise Incomparable(str(error)) from None
    errors: list[float] = []
    for difference, (_, tensor) in zip(found, _floating_pairs(expected, got), strict=True):
        known = difference.max_relative_error
        if known is None:  # there is nothing, or zeros, which nothing is relative to
            known = float(tensor.abs().max()) if tensor.numel() else 0.0
        errors.append(min(known, sys.float_info.max))  # of numbers that are finite themselves
    ratios = [difference.sqnr_db for difference in found]
    noisy = [ratio for ratio in ratios if ratio is not None and ratio != math.inf]
    return max(errors), min(noisy, default=None)


def _same_top1(expected: Any, got: Any) -> float | None:
    """Of the items whose largest class stands alone, the share that keep it; of several outputs
    the worst. None where there are no classes, or no such item."""
    shares: list[float] = []
    for reference, tensor in _floating_pairs(expected, got):
        if reference.ndim != 2 or reference.shape[1] < 2 or reference.is_complex():
            continue
        first, second = reference.topk(2, dim=1).values.unbind(1)
        same = (reference.argmax(1) == tensor.argmax(1))[first > second]
        if same.numel():
            shares.append(float(same.double().mean()))
    return min(shares, default=None)


def _floating_pairs(expected: Any, got: Any) -> list[tuple[Tensor, Tensor]]:
    pairs = zip(named_tensors(expected), named_tensors(got), strict=True)
    return [(ours, theirs) for (_, ours), (_, theirs) in pairs if is_floating(ours)]


def is_floating(tensor: Tensor) -> bool:
    """Whether a tensor is real or complex, and not of whole numbers."""
    return tensor.is_floating_point() or tensor.is_complex()


def is_finite(outputs: Any) -> bool:
    """Whether all floating outputs are finite."""
    tensors = [tensor for _, tensor in named_tensors(outputs) if is_floating(tensor)]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)
