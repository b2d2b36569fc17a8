"""Optimizers by name, for one step inside a training trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import torch

from blocktool.errors import UsageError

OptimizerFactory = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd-momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "adamax": ("Adamax", {}),
}
"""Class in ``torch.optim`` and its arguments, by the name on the command line."""


def optimizer_factory(name: str) -> OptimizerFactory:
    """A factory for the optimizer called ``name``, with torch's defaults.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in OPTIMIZERS:
        near = get_close_matches(name, OPTIMIZERS, 1)
        raise UsageError(
            f"unknown optimizer '{name}'",
            hint=f"did you mean {near[0]}?" if near else f"choose one of {', '.join(OPTIMIZERS)}",
        )
    cls, arguments = OPTIMIZERS[name]
    # Tensor by tensor, as on CPU: the multi-tensor kind is a choice of the CUDA device.
    return lambda parameters: getattr(torch.optim, cls)(parameters, foreach=False, **arguments)
