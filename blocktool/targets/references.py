"""Import paths among the values of a configuration: ``norm: torch.nn:BatchNorm2d``.

The user's own files count too (``block: net.py:Mixer``), as they do for targets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from blocktool.blocks.import_paths import is_import_path
from blocktool.errors import TargetError

_IN_A_FILE = re.compile(r"[^:]+\.py:[^\W\d]\w*(\.[^\W\d]\w*)*")

KeyPath = tuple[str | int, ...]


def is_reference(value: object) -> bool:
    """Whether this is a string such as ``package.module:Class`` or ``path/to/file.py:Class``."""
    if not isinstance(value, str):
        return False
    return is_import_path(value) or _IN_A_FILE.fullmatch(value) is not None


def load_reference(reference: str) -> Any:
    """What an import path names; the working directory is importable.

    Raises TargetError where it leads nowhere, or its module fails while it is imported.
    """
    from blocktool.targets.importing import find_attribute
    from blocktool.targets.loading import load_module

    module, _, attribute = reference.rpartition(":")
    return find_attribute(load_module(module), module, attribute)


def load_references(
    value: Any, wrap: Callable[[KeyPath, TargetError], TargetError], path: KeyPath = ()
) -> Any:
    """The value with every import path in it replaced by what it names, lists and all.

    ``wrap`` words the error for the part at a path. Raises what it gives.
    """
    if is_reference(value):
        try:
            return load_reference(value)
        except TargetError as error:
            raise wrap(path, error) from error
    if isinstance(value, Mapping):
        return {key: load_references(item, wrap, (*path, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(
            load_references(item, wrap, (*path, index)) for index, item in enumerate(value)
        )
    return value
