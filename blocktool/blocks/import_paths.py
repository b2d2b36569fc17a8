"""Objects by their import path, ``"torch.nn:BatchNorm2d"``. Needs no torch."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_import_path(value: object) -> bool:
    """Whether this is a string such as ``"package.module:Class"``."""
    return isinstance(value, str) and _IMPORT_PATH.fullmatch(value) is not None


def import_object(path: str) -> Any:
    """The object at an import path; its module is imported, which runs the module's code.

    Raises ValueError for a module or an attribute that is not there; what the module itself raises
    while it is imported passes.
    """
    module, _, attribute = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(f"there is no module '{error.name}'") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{module} has no '{attribute}'")
        found = getattr(found, part)
    return found


def import_path_of(value: object) -> str | None:
    """The shortest import path that leads to a class or function, None where none does.

    That is one that is made inside a function, a lambda, or what a script itself defines.
    """
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    packages = module.split(".")
    # What a package exports is more stable than where it keeps it: torch.nn:BatchNorm2d.
    for length in range(1, len(packages) + 1):
        holder = ".".join(packages[:length])
        found: Any = sys.modules.get(holder)
        for part in name.split("."):
            found = getattr(found, part, None)
        path = f"{holder}:{name}"
        if found is value and is_import_path(path):
            return path
    return None
