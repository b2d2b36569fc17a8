"""Whether what comes out is worth timing: NaN and denormal numbers are computed at other speeds."""

from __future__ import annotations

import torch

from blocktool.measure.changed import Changed
from blocktool.trace.structure import named_tensors

_MANY = 0.1
"""From this share of denormal numbers on they are no accident."""


def doubts_on_outputs(ready: Changed) -> tuple[str, ...]:
    """What is wrong with the values of one more call, in the scope that it is timed in."""
    args, kwargs = ready.arguments.args, ready.arguments.kwargs
    if ready.autocast is None:
        outputs = ready.module(*args, **kwargs)
    else:
        device = next((t.device.type for _, t in named_tensors([args, kwargs])), "cpu")
        with torch.autocast(device, dtype=ready.autocast):
            outputs = ready.module(*args, **kwargs)
    tensors = [t.detach() for _, t in named_tensors(outputs) if t.is_floating_point() and t.numel()]
    if any(not bool(tensor.isfinite().all()) for tensor in tensors):
        return ("the outputs are not finite: NaN or infinite",)
    if any(_denormal(tensor) > _MANY for tensor in tensors):
        return ("the outputs are denormal numbers",)
    return ()


def _denormal(tensor: torch.Tensor) -> float:
    """The share of values that are closer to zero than the smallest normal number."""
    size = tensor.abs()
    tiny = torch.finfo(tensor.dtype).tiny
    return float(((size > 0) & (size < tiny)).double().mean())
