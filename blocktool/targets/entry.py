"""A block of the catalog: where its class is, and what makes its name work alone."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blocktool.blocks.names import BLOCK_PATHS
from blocktool.errors import TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.parameters import Parameter
from blocktool.targets.signatures import callable_parameters, class_parameters

if TYPE_CHECKING:
    from torch import nn

_PLACE = re.compile(r"{([\w|]+)}")


@dataclass(frozen=True, kw_only=True)
class BlockEntry:
    """A block of the catalog.

    ``path`` is the import path of the class (``"blocktool.blocks.conv:ConvBlock"``), ``summary``
    one line about it, ``group`` the heading that it is listed under, and ``arguments`` what its
    constructor gets unless something else is said.

    ``inputs`` are the default inputs, none where it is empty. ``{name}`` stands for an argument,
    ``{name|other}`` for the first of several that is not null; an input in which all are null is
    left out (``"context=1x64x{kv_dim}"``).
    """

    name: str
    path: str
    summary: str = ""
    group: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is a block of blocktool, not of another package."""
        return self.path in BLOCK_PATHS.values()

    @property
    def class_parameters(self) -> Mapping[str, Parameter]:
        """The constructor's arguments in its order, with its own defaults.

        Another package's class is imported for it. Raises TargetError where that fails.
        """
        return class_parameters(self.path) if self.is_ours else callable_parameters(self.load())

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The constructor's arguments in its order, with the entry's own values as defaults.

        Raises TargetError as :attr:`class_parameters` does.
        """
        return {
            name: Parameter(name, parameter.type, False, self.arguments[name])
            if name in self.arguments
            else parameter
            for name, parameter in self.class_parameters.items()
        }

    def load(self) -> Callable[..., nn.Module]:
        """Import the class. Raises TargetError where that fails (another package's, that is)."""
        module, _, name = self.path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as error:
            if self.is_ours:
                raise
            from blocktool.targets.user_code import describe_exception, user_frames

            raise TargetError(
                f"block '{self.name}' ({self.path}) cannot be imported: "
                f"{describe_exception(error)}",
                details=user_frames(error),
            ) from error
        return found  # type: ignore[no-any-return]

    def default_inputs(self, arguments: Mapping[str, object]) -> tuple[TensorSpec, ...] | None:
        """The default inputs with these arguments, None where there are none.

        So it is where an argument that they need is no size: the constructor will say what is
        wrong with it.
        """
        from blocktool.targets.inputs import parse_inputs

        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        values = {**defaults, **arguments}
        texts = []
        for template in self.inputs:
            sizes = {place: _first(values, place) for place in _PLACE.findall(template)}
            if any(size is None for size in sizes.values()):
                continue
            if not all(type(size) is int and size > 0 for size in sizes.values()):
                return None
            texts.append(_PLACE.sub(lambda match, sizes=sizes: str(sizes[match[1]]), template))  # type: ignore[misc]
        return parse_inputs(texts) or None


def _first(values: Mapping[str, object], names: str) -> object:
    """The first value that is not null of ``"name|other"``."""
    found = (values.get(name) for name in names.split("|"))
    return next((value for value in found if value is not None), None)
