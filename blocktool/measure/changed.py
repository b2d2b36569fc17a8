"""A variant that is ready to be timed, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from blocktool.trace.inputs import CallArguments


class Unavailable(Exception):  # noqa: N818 -- an answer, not a failure of ours
    """A variant cannot be had for this module, in this mode or on this machine; ``reason`` says
    why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Changed:
    """A variant that is ready to be timed.

    ``autocast`` is the dtype of the autocast that the forward runs under, None without.
    ``notes`` say what was done, and what to know about the figures. ``traceable`` is false of what
    a trace does not see into: compiled code and int8.
    """

    module: nn.Module
    arguments: CallArguments
    autocast: torch.dtype | None = None
    notes: tuple[str, ...] = ()
    traceable: bool = True
