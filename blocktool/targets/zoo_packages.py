"""Importing timm and torchvision, also where torchvision's compiled operators do not load."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from blocktool.errors import TargetError
from blocktool.targets.loading import user_code_running
from blocktool.targets.user_code import describe_exception

_MISSING_OPERATOR = "operator torchvision::"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[Any] = []  # a torch Library takes its definitions with it when it is collected


def import_zoo(package: str) -> Any:
    """Import ``"timm"`` or ``"torchvision"``.

    Raises TargetError where the package is not installed or cannot be imported.
    """
    try:
        if importlib.util.find_spec(package) is None:
            raise _not_installed(package)
        with user_code_running():
            # timm imports torchvision; on its own, so that a failure is known to be torchvision's.
            torchvision = _import_torchvision()
            return torchvision if package == "torchvision" else importlib.import_module(package)
    except TargetError:
        raise
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("timm", "torchvision"):
            raise _not_installed(missing) from None
        raise TargetError(
            f"{package} cannot be imported: it needs '{error.name}'", hint=f"install {missing}"
        ) from error
    except Exception as error:
        raise TargetError(
            f"{package} cannot be imported: {describe_exception(error)}",
            hint="its version may not go with this torch: pip check",
        ) from error


def _not_installed(package: str) -> TargetError:
    return TargetError(
        f"{package} is not installed", hint="pip install timm torchvision, or the extra [zoo]"
    )


def _import_torchvision() -> Any:
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    # Where torch and torchvision were built for different devices (a CPU torch beside the usual
    # torchvision wheel, for one), torchvision's compiled library does not load. torchvision allows
    # for that nearly everywhere, but still registers fake kernels for these two operators, which
    # fails while nobody has declared them. With the two schemas declared it imports, and all of its
    # models that need no compiled operator work; those that do say so when they run. This is
    # only tried after the import has failed for this reason (it takes 5 ms to fail), so that a
    # torchvision that is whole is left alone.
    from torch.library import Library

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    if not _libraries:
        library = Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _libraries.append(library)
    return importlib.import_module("torchvision")
