"""What there is to look at: the answer of ``blocktool list``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListedOption:
    """An argument of a block's constructor.

    ``type`` as a person would write it; ``default`` where it has one, as text where it is no plain
    value.
    """

    name: str
    type: str
    required: bool
    default: bool | int | float | str | None = None


@dataclass(frozen=True, slots=True)
class ListedBlock:
    """A block of the catalog: its name as a target, what it is, and where it is defined.

    ``input`` is the default input with ``{name}`` for an argument, None where there is none.
    """

    name: str
    summary: str
    path: str
    input: str | None
    options: tuple[ListedOption, ...]


@dataclass(frozen=True, slots=True)
class ListedConfig:
    """A YAML configuration that lies at hand, and its first comment."""

    path: str
    summary: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The blocks and the example configurations."""

    blocks: tuple[ListedBlock, ...]
    configs: tuple[ListedConfig, ...]
