"""What a sweep is made of: groups of cases. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blocktool.analysis.expressions import ExpressionError, Node, names_in, parse
from blocktool.check.plan import Sweep
from blocktool.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Group:
    """All cases of one target with one choice of its arguments.

    ``arguments`` are ``KEY=VALUE`` strings. ``module`` is a module that is at hand, in place of
    what the target names.
    """

    target: str
    arguments: tuple[str, ...]
    sweep: Sweep
    module: nn.Module | None = None


def where_of(sweep: Sweep, names: frozenset[str] | None) -> Node | None:
    """The condition on sizes; UsageError where it is no expression of these names."""
    if sweep.where is None:
        return None
    try:
        node = parse(sweep.where, names)
    except ExpressionError as error:
        raise expression_error("--where", error) from None
    if not names_in(node):
        raise UsageError(f"--where: '{sweep.where}' names no size", hint="for example H % 32 == 0")
    return node


def expression_error(option: str, error: ExpressionError) -> UsageError:
    """An expression's error in our words, with a pointer at the place."""
    return UsageError(f"{option}: {error.reason}", hint=error.hint, details=error.pointer)
