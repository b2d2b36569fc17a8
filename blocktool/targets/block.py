"""A block's name and arguments as a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blocktool.errors import ModuleError, TargetError
from blocktool.targets.entry import BlockEntry
from blocktool.targets.parameters import ArgumentProblem, check_arguments
from blocktool.targets.references import KeyPath, load_references
from blocktool.targets.target import Target

if TYPE_CHECKING:
    from torch import nn


def block_target(entry: BlockEntry, arguments: Mapping[str, object]) -> Target:
    """The block with these constructor arguments, as YAML gives them.

    Raises TargetError for an argument that the block does not take, one that it needs, and a value
    of the wrong type; ``Target.build()`` for values that do not go together.
    """
    given = {**entry.arguments, **check_block_arguments(entry, arguments)}
    return Target(
        name=entry.name,
        source="catalog",
        build=lambda: _build(entry, given),
        inputs=entry.default_inputs(given),
    )


def check_block_arguments(entry: BlockEntry, arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments as the types that the block's constructor wants.

    Raises TargetError for the first one that does not fit.
    """
    try:
        return check_arguments(arguments, entry.parameters)
    except ArgumentProblem as problem:
        raise TargetError(_word(entry.name, problem), hint=problem.hint) from None


def _word(name: str, problem: ArgumentProblem) -> str:
    if problem.kind == "unknown":
        return f"{name} takes no argument '{problem.name}'"
    if problem.kind == "missing":
        return f"{name} needs the argument '{problem.name}'"
    return f"{name}: argument '{problem.name}' must be {problem.wanted}, got {problem.got}"


def _build(entry: BlockEntry, arguments: Mapping[str, object]) -> nn.Module:
    def wrap(path: KeyPath, error: TargetError) -> TargetError:
        message = f"{entry.name}: argument '{path[0]}': {error.message}"
        return TargetError(message, hint=error.hint, details=error.details)

    make, loaded = entry.load(), load_references(arguments, wrap)
    try:
        return make(**loaded)
    except Exception as error:
        from blocktool.targets.user_code import describe_exception, user_frames

        if not entry.is_ours:
            raise ModuleError(
                f"{entry.name}: the constructor failed: {describe_exception(error)}",
                details=user_frames(error),
            ) from error
        if not isinstance(error, (ValueError, TypeError)):
            raise
        raise TargetError(f"{entry.name}: {str(error).splitlines()[0]}") from error
