"""How far the outputs of a changed module are from the original's, and how large a module is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from blocktool.results.quantize import OutputDifference
from blocktool.trace.structure import named_tensors


def output_differences(original: Any, changed: Any) -> tuple[OutputDifference, ...]:
    """One entry for each floating or complex tensor of two equally nested outputs, in order.

    The signal-to-quantization-noise ratio is the power of the original over that of the difference,
    in dB, as ``torchao.quantization.utils.compute_error`` has it.

    Raises ValueError where the two differ in structure or shape.
    """
    ours, theirs = list(named_tensors(changed)), list(named_tensors(original))
    if [(name, tensor.shape) for name, tensor in ours] != [(n, t.shape) for n, t in theirs]:
        raise ValueError("the outputs differ in structure or shape")
    return tuple(
        _difference(name, reference, tensor)
        for (name, reference), (_, tensor) in zip(theirs, ours, strict=True)
        if reference.is_floating_point() or reference.is_complex()
    )


def _difference(name: str | None, original: Tensor, changed: Tensor) -> OutputDifference:
    wide = torch.complex128 if original.is_complex() else torch.float64
    reference, noise = original.detach().cpu().to(wide), changed.detach().cpu().to(wide)
    noise = noise - reference
    signal_norm, noise_norm = float(reference.norm()), float(noise.norm())
    if signal_norm == 0 or not reference.numel():
        return OutputDifference(name, None, None)
    sqnr = math.inf if noise_norm == 0 else 20 * math.log10(signal_norm / noise_norm)
    return OutputDifference(name, sqnr, float(noise.abs().max() / reference.abs().max()))


def module_bytes(module: nn.Module) -> int:
    """Bytes of the storages behind all tensors that a module keeps, each storage once.

    Parameters, buffers (also those that are not saved) and tensors in plain attributes; of a
    tensor that wraps others (int8 data and scales) those that it wraps.
    """
    storages: dict[int, int] = {}
    for tensor in _tensors(module):
        for plain in _plain(tensor):
            storage = plain.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def parameter_bytes(module: nn.Module) -> int:
    """Bytes of a layer's own parameters."""
    return sum(parameter.nbytes for parameter in module.parameters(recurse=False))


def holds_int8(tensor: Tensor) -> bool:
    """Whether this is an int8 tensor, or wraps one."""
    return any(plain.dtype is torch.int8 for plain in _plain(tensor))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    for one in module.modules():
        yield from one.parameters(recurse=False)
        yield from one.buffers(recurse=False)
        yield from (value for value in vars(one).values() if isinstance(value, Tensor))


def _plain(tensor: Tensor) -> Iterator[Tensor]:
    wrapper: Any = tensor  # no type of torch's says of a tensor that it wraps others
    if not is_traceable_wrapper_subclass(wrapper):
        yield tensor
        return
    names, _ = wrapper.__tensor_flatten__()
    for name in names:
        yield from _plain(getattr(wrapper, name))
