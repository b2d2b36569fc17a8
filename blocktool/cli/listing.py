"""``blocktool list``: what there is to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blocktool.cli import options
from blocktool.cli.options import color_choice
from blocktool.cli.terminal import choose_color, fitted
from blocktool.errors import ConfigError
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing

if TYPE_CHECKING:
    from blocktool.targets.entry import BlockEntry

_SUFFIXES = (".yaml", ".yml")


def list_blocks(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME ...]",
            show_default=False,
            help="Only these blocks, or configurations (a path).",
        ),
    ] = None,
    format: options.ListFormat = None,  # noqa: A002
    output: options.Output = None,
    force: options.Force = False,
    color: options.Color = "auto",
    debug: options.Debug = False,
) -> None:
    """List blocks, their options with defaults, and example configurations.

    The configurations are those in ``examples`` of the working directory.
    """
    choose_color(color_choice(color))
    from blocktool.render.formats import choose_format, renderer
    from blocktool.render.output import destination

    kind = choose_format("list", format, output)
    place = destination(output, force=force)
    listing = _chosen(names) if names else Listing(tuple(_all_blocks()), tuple(_all_configs()))
    view = fitted(View(), to_file=place.path is not None)
    place.write(renderer("list", kind)(listing, view))


def _chosen(names: Sequence[str]) -> Listing:
    """Those of these names."""
    from blocktool.targets.catalog import find_block

    paths = [name for name in names if name.lower().endswith(_SUFFIXES)]
    return Listing(
        tuple(_block(find_block(name)) for name in names if name not in paths),
        tuple(_config(Path(path)) for path in paths),
    )


def _all_blocks() -> Iterator[ListedBlock]:
    """Our blocks, and those of other packages by name only: they would have to be imported to
    tell more."""
    from importlib.metadata import entry_points

    from blocktool.targets.catalog import BLOCKS_GROUP, CATALOG

    yield from map(_block, CATALOG.values())
    for point in entry_points(group=BLOCKS_GROUP):
        if point.name not in CATALOG:
            package = point.value.partition(":")[0].partition(".")[0]
            yield ListedBlock(point.name, None, f"from {package}", point.value, (), ())


def _block(entry: BlockEntry) -> ListedBlock:
    return ListedBlock(
        name=entry.name,
        group=entry.group,
        summary=entry.summary,
        path=entry.path,
        inputs=entry.inputs,
        options=tuple(
            ListedOption(each.name, each.type_name, each.required, _plain(each.default))
            for each in entry.parameters.values()
        ),
    )


def _all_configs() -> Iterator[ListedConfig]:
    """The configurations in ``examples``; of a damaged one, what can be told."""
    files = [file for file in Path("examples").glob("*") if file.suffix in _SUFFIXES]
    for file in sorted(files):
        try:
            yield _config(file)
        except ConfigError as error:
            yield ListedConfig(file.as_posix(), error.message, ())


def _config(path: Path) -> ListedConfig:
    """A configuration with the first sentences of its opening comment, and its keys.

    Raises ConfigError for a file that cannot be read.
    """
    from blocktool.targets.yaml_file import YamlFile

    name = path.as_posix()
    values = YamlFile(name).values
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    opening = takewhile(lambda line: line.startswith("#") and line.strip("# "), lines)
    summary = " ".join(line.strip("# ") for line in opening)
    return ListedConfig(name, summary, tuple(_keys(values)))


def _keys(value: object, path: tuple[str, ...] = ()) -> Iterator[ListedOption]:
    """The dotted keys of all values below this one, as ``KEY=VALUE`` overrides them."""
    from blocktool.targets.parameters import spell_type

    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _keys(item, (*path, key))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _keys(item, (*path, str(index)))
    else:
        kind = "a list" if isinstance(value, list) else spell_type(type(value))
        yield ListedOption(".".join(path), kind, required=False, default=_plain(value))


def _plain(value: object) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, default=str)  # which is YAML as well
