"""The blocks that configurations name: what they take, and what is built from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from blocktool.errors import TargetError
from blocktool.results.specs import TensorSpec
from blocktool.targets.catalog import find_block
from blocktool.targets.config_source import ConfigSource
from blocktool.targets.entry import BlockEntry
from blocktool.targets.parameters import Parameter
from blocktool.targets.references import is_reference, load_reference
from blocktool.targets.signatures import callable_parameters, takes_any_keyword
from blocktool.targets.yaml_file import KeyPath


@dataclass(frozen=True)
class NamedBlock:
    """The block that a configuration names.

    ``make`` is our own block's name (its class is imported when it is built), or another's class;
    ``preset`` what another package's entry gives its constructor, ``open_ended`` whether that
    takes arguments that it does not name.
    """

    make: str | Callable[..., Any]
    parameters: Mapping[str, Parameter]
    entry: BlockEntry | None = None
    preset: Mapping[str, object] | None = None
    open_ended: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is a block of blocktool."""
        return isinstance(self.make, str)

    def parameters_for(self, values: Mapping[str, object]) -> dict[str, Parameter]:
        """The constructor's arguments; where it takes others as well, those that are given too."""
        others = {name: Parameter(name, Any, required=False) for name in values}
        return {**(others if self.open_ended else {}), **self.parameters}

    def in_stage(self) -> NamedBlock:
        """The block without the arguments that a stage gives it."""
        managed = {"in_channels", "out_channels", "stride"}
        if "out_channels" not in self.parameters:
            managed = set(list(self.parameters)[:1])  # its width
        kept = {name: p for name, p in self.parameters.items() if name not in managed}
        preset = {name: v for name, v in (self.preset or {}).items() if name not in managed}
        return NamedBlock(self.make, kept, self.entry, preset, self.open_ended)

    def maker(self) -> str | Callable[..., Any]:
        """What a configuration's ``block`` is, with the presets."""
        if self.preset and not isinstance(self.make, str):
            return functools.partial(self.make, **self.preset)
        return self.make

    def default_inputs(self, arguments: Mapping[str, object]) -> tuple[TensorSpec, ...] | None:
        """The default inputs of the block with these arguments, None where it has none."""
        return None if self.entry is None else self.entry.default_inputs(arguments)


def named_block(source: ConfigSource, path: KeyPath, name: str) -> NamedBlock:
    """The block of this name, of the value at ``path``: ours, another package's, an import path.

    What is not ours is imported. Raises ConfigError for a name or a path that leads nowhere.
    """
    try:
        if is_reference(name):
            found = load_reference(name)
            if not callable(found):
                raise TargetError(f"{name} is no class and no function")
            return NamedBlock(
                found, callable_parameters(found), open_ended=takes_any_keyword(found)
            )
        entry = find_block(name)
        if entry.is_ours:
            return NamedBlock(name, entry.class_parameters, entry)
        made = entry.load()
        open_ended = takes_any_keyword(made)
        return NamedBlock(made, entry.parameters, entry, entry.arguments, open_ended)
    except TargetError as error:
        raise source.error(path, error.message, error.hint, error.details) from error
