"""What is timed: the phases of one call, one after another, with nothing around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Phase:
    """``run`` starts the work of one phase; on a GPU it may return before the work is done."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Step:
    """One call as it is measured: "forward" alone, or "forward", "backward" and "optimizer".

    Running the phases in order, any number of times, is always valid: gradients are dropped and
    nothing of the step before is kept alive by the step itself.
    """

    phases: tuple[Phase, ...]
    device: torch.device

    def run(self) -> None:
        """All phases once."""
        for phase in self.phases:
            phase.run()
