"""Parameters that a fresh module starts with at zero, such as the last norm of a residual branch.

Zeros hide what a branch computes: its output is exact whatever the precision, and the error of a
variant would be too. How long a module takes does not depend on them.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from blocktool.optimize.samples import own_random_numbers

_FACTOR = 0.5
"""Branches show, but do not outweigh what they are added to: norms that have seen no data do not
keep their outputs from growing with depth, up to where float16 ends."""


def without_zeros(module: nn.Module) -> tuple[str, ...]:
    """Give values to the parameters that are zero everywhere, in place; returns their names.

    Factors per channel become 0.5, other weights are drawn with a variance of one over their
    inputs, always the same. Biases stay zero, as they are in most fresh modules.
    """
    found = [
        (name, parameter)
        for name, parameter in module.named_parameters()
        if _may_hide(name, parameter) and not bool(parameter.detach().any())
    ]
    if found:
        with own_random_numbers(found[0][1].device), torch.no_grad():
            for _, parameter in found:
                if parameter.numel() == max(parameter.shape, default=1):
                    parameter.fill_(_FACTOR)
                else:
                    inputs = parameter.numel() // parameter.shape[0]
                    parameter.normal_(0, 1 / math.sqrt(inputs))
    return tuple(name for name, _ in found)


def _may_hide(name: str, parameter: nn.Parameter) -> bool:
    if is_lazy(parameter) or parameter.is_meta or not parameter.numel():
        return False
    return parameter.is_floating_point() and not name.endswith("bias")
