"""Versions and platform behind a trace."""

from __future__ import annotations

import platform
import sys

import torch

from blocktool._version import __version__
from blocktool.results.environment import Environment


def environment() -> Environment:
    """What this process runs on; of the zoos only those that were imported."""
    packages: dict[str, str] = {
        name: str(getattr(sys.modules[name], "__version__", "unknown"))
        for name in ("timm", "torchvision")
        if name in sys.modules
    }
    return Environment(
        blocktool=__version__,
        torch=str(torch.__version__),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages=packages,
    )
