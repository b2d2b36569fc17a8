"""Arguments as plain values, which YAML can hold, and back. Needs no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from blocktool.blocks.config import ConfigurationError
from blocktool.blocks.import_paths import import_object, import_path_of, is_import_path

Path = tuple[str | int, ...]


def to_plain(value: object, path: Path = ()) -> Any:
    """A value as YAML can hold it: tuples as lists, what can be imported as its import path.

    Raises ConfigurationError, with the path of the part, for one that cannot be written.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        if is_import_path(value):
            raise ConfigurationError(path, f"'{value}' would be read as an import path")
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key, path): to_plain(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, functools.partial) and not value.args:
        return [callable_to_plain(value.func, path), to_plain(value.keywords, path)]
    if callable(value):
        return callable_to_plain(value, path)
    raise ConfigurationError(path, f"a {type(value).__name__} cannot be written: {value!r:.60}")


def callable_to_plain(value: object, path: Path) -> str:
    """The import path of a class or function. Raises ConfigurationError where it has none."""
    found = import_path_of(value)
    if found is None:
        name = getattr(value, "__qualname__", None) or type(value).__name__
        raise ConfigurationError(
            path, f"{name} cannot be imported by name; define it at the top level of a module"
        )
    return found


def from_plain(value: object, path: Path = ()) -> Any:
    """What :func:`to_plain` wrote: lists as tuples, the objects at import paths.

    Raises ConfigurationError for an import path that leads nowhere.
    """
    if isinstance(value, str) and is_import_path(value):
        try:
            return import_object(value)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(path, f"'{value}': {error}") from error
    if isinstance(value, Mapping):
        return {key: from_plain(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(from_plain(item, (*path, index)) for index, item in enumerate(value))
    return value


def _key(key: object, path: Path) -> str:
    if type(key) is not str:
        raise ConfigurationError(path, f"a key must be a string, got {key!r}")
    return key
