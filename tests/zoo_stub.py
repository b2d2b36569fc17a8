"""timm and torchvision for tests, importable also where torchvision's compiled ops are not."""

from __future__ import annotations

from typing import Any

from blocktool.targets.zoo_packages import import_zoo


def import_torchvision() -> Any:
    """The torchvision package; where its compiled operators do not load, without them."""
    return import_zoo("torchvision")


def import_timm() -> Any:
    """The timm package, which imports torchvision."""
    return import_zoo("timm")
