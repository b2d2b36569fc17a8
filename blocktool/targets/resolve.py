"""Which kind of target a name is, and where to look for it.

The kinds, in the order in which they are tried:

1. ``timm:NAME`` and ``torchvision:NAME``, a model of a zoo;
2. ``file.yaml``, a configuration;
3. ``pkg.module:attr``, ``path/to/file.py:attr`` or ``path/to/file.py``, the user's own module; a
   single word before the colon may instead be the prefix of a third party's source, from the
   entry-point group ``blocktool.sources``, unless a module of that name lies in the working
   directory;
4. anything else, a block of the catalog.

An entry point of ``blocktool.sources`` is named like its prefix and loads to a callable
``(name: str, arguments: dict[str, object]) -> Target``.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence

from blocktool.errors import BlocktoolError, TargetError
from blocktool.targets.arguments import parse_arguments
from blocktool.targets.target import Target

SOURCES_GROUP = "blocktool.sources"

_KINDS = (
    "a target is a block (bottleneck), a configuration (net.yaml), an import path (pkg.mod:Net, "
    "file.py:Net) or a zoo's model (timm:resnet50, torchvision:resnet50)"
)


def resolve(target: str, arguments: Sequence[str] = ()) -> Target:
    """The target that ``target`` names, with ``KEY=VALUE`` strings for its constructor or keys.

    Nothing is built yet: that is ``Target.build()``. The user's own module is imported, as is a
    zoo, since there is no other way to know whether the name is right.

    Raises TargetError (ConfigError for a configuration) for a name that leads nowhere, arguments
    that do not fit, or a module that cannot be imported.
    """
    name = target.strip()
    if not name:
        raise TargetError("empty target", hint=_KINDS)
    values = parse_arguments(arguments)
    prefix, colon, rest = name.partition(":")

    if colon and prefix in ("timm", "torchvision"):
        from blocktool.targets.zoo import zoo_target

        return zoo_target(prefix, rest.strip(), values)
    if name.lower().endswith((".yaml", ".yml")):
        from blocktool.targets.config import load_config

        return load_config(name, tuple(values.items()))
    if colon:
        return _third_party(prefix, rest, values) or _import_target(name, values)
    if name.endswith(".py"):
        return _import_target(name, values)
    if os.path.exists(name) and ("/" in name or "\\" in name or not _is_block(name)):
        raise TargetError(
            f"'{name}' is neither a Python file nor a YAML configuration", hint=_KINDS
        )
    return _block_target(name, values)


def _import_target(name: str, values: dict[str, object]) -> Target:
    from blocktool.targets.importing import import_target

    return import_target(name, values)


def _is_block(name: str) -> bool:
    """Whether the catalog knows the name: a folder called ``conv`` must not hide the block."""
    from blocktool.targets.catalog import find_block

    try:
        find_block(name)
    except TargetError:
        return False
    return True


def _block_target(name: str, values: dict[str, object]) -> Target:
    if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", name):
        module, _, attr = name.rpartition(".")
        raise TargetError(
            f"unknown target '{name}'",
            hint=f"an import path has a colon before the attribute: {module}:{attr}",
        )
    if "/" in name or "\\" in name:
        from blocktool.targets.loading import no_file

        raise no_file(name, hint=_KINDS)
    from blocktool.targets.block import block_target
    from blocktool.targets.catalog import find_block

    try:
        entry = find_block(name)
    except TargetError as error:
        if error.hint and "did you mean" in error.hint:
            raise
        raise TargetError(
            error.message, hint=f"{error.hint}; {_KINDS}" if error.hint else _KINDS
        ) from None
    return block_target(entry, values)


def _third_party(prefix: str, rest: str, values: dict[str, object]) -> Target | None:
    """The target of a third party's source, None where no entry point has this prefix.

    Only a single word is looked up (``importlib.metadata`` reads every installed distribution),
    and what lies in the working directory comes first: the user put it there.
    """
    if not re.fullmatch(r"[A-Za-z_][\w-]*", prefix):
        return None
    if os.path.isfile(f"{prefix}.py") or os.path.isfile(os.path.join(prefix, "__init__.py")):
        return None
    from importlib.metadata import entry_points

    for entry in entry_points(group=SOURCES_GROUP, name=prefix):
        made_by = f"the source '{prefix}' ({entry.value})"
        try:
            made = entry.load()(rest, values)
        except BlocktoolError:
            raise
        except Exception as error:
            from blocktool.targets.user_code import describe_exception, user_frames

            raise TargetError(
                f"{made_by} failed: {describe_exception(error)}", details=user_frames(error)
            ) from error
        if not isinstance(made, Target):
            raise TargetError(f"{made_by} returned {type(made).__name__}, not a Target")
        return made
    return None
