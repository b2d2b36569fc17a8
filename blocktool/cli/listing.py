"""``blocktool list``: what there is to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

from blocktool.cli import options
from blocktool.cli.options import color_choice
from blocktool.cli.terminal import choose_color, fitted
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing


def list_blocks(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", show_default=False, help="Only these blocks."),
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
    listing = Listing(_blocks(names or ()), () if names else tuple(_configs(Path("examples"))))
    view = fitted(View(), to_file=place.path is not None)
    place.write(renderer("list", kind)(listing, view))


def _blocks(names: Sequence[str]) -> tuple[ListedBlock, ...]:
    """The blocks of these names, or all; those of other packages by name only, since they would
    have to be imported to tell more."""
    from blocktool.targets.catalog import BLOCKS_GROUP, CATALOG, BlockEntry, find_block

    def listed(entry: BlockEntry) -> ListedBlock:
        return ListedBlock(
            name=entry.name,
            summary=entry.summary,
            path=entry.path,
            input=entry.input,
            options=tuple(
                ListedOption(each.name, each.type_name, each.required, _plain(each.default))
                for each in entry.parameters.values()
            ),
        )

    if names:
        return tuple(listed(find_block(name)) for name in names)

    from importlib.metadata import entry_points

    foreign = {point.name: point.value for point in entry_points(group=BLOCKS_GROUP)}
    return (
        *map(listed, CATALOG.values()),
        *(
            ListedBlock(name, f"from {path.partition(':')[0].partition('.')[0]}", path, None, ())
            for name, path in foreign.items()
            if name not in CATALOG
        ),
    )


def _configs(folder: Path) -> Iterable[ListedConfig]:
    """The configurations in a folder, each with the first sentences of its opening comment."""
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        opening = takewhile(lambda line: line.startswith("#") and line.strip("# "), lines)
        yield ListedConfig(path.as_posix(), " ".join(line.strip("# ") for line in opening))


def _plain(value: object) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
