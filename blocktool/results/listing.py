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

    ``group`` is what it is listed under, None for another package's. ``inputs`` are the default
    inputs: ``{name}`` stands for an argument, ``{name|other}`` for the first that is not null; an
    input in which all are null is left out.
    """

    name: str
    group: str | None
    summary: str
    path: str
    inputs: tuple[str, ...]
    options: tuple[ListedOption, ...]


@dataclass(frozen=True, slots=True)
class ListedConfig:
    """A YAML configuration that lies at hand, its first comment, and its dotted keys.

    The keys' values are their defaults: ``KEY=VALUE`` on the command line overrides them.
    """

    path: str
    summary: str
    options: tuple[ListedOption, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The blocks and the example configurations."""

    blocks: tuple[ListedBlock, ...]
    configs: tuple[ListedConfig, ...]
