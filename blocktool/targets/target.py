"""What every way of naming a module comes down to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blocktool.results.specs import TensorSpec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Target:
    """A module that can be built, and the inputs it takes where nothing else is said.

    ``name`` is what the user wrote, ``source`` the kind of place it came from (``"catalog"``,
    ``"config"``, ``"python"``, ``"timm"``, ``"torchvision"``, or a third party's prefix).

    ``build()`` makes a new module at each call, on the device of an enclosing
    ``with torch.device(...)``; a target that is an instance returns that instance. It raises
    TargetError where the arguments do not fit and ModuleError where the constructor itself fails.

    ``inputs`` are the target's own default inputs, None where it has none. ``shared`` is true of a
    target that is an instance.
    """

    name: str
    source: str
    build: Callable[[], torch.nn.Module]
    inputs: tuple[TensorSpec, ...] | None = None
    shared: bool = False
