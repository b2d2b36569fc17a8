"""What is on the page of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from blocktool._version import __version__
from blocktool.render.html.pieces import Block, Cell, Column, Details, Page, Table, sections
from blocktool.render.html.words import plural
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedOption, Listing


def page(listing: Listing, view: View) -> Page:
    """A table for each group of blocks, the options of each, and the configurations."""
    groups = [
        (group or "other packages", list(blocks))
        for group, blocks in groupby(listing.blocks, lambda block: block.group)
    ]
    wanted: list[tuple[str, str, Sequence[Block | None]]] = [
        (f"group-{i}", name.capitalize(), [_table(name, blocks), *map(_options, blocks)])
        for i, (name, blocks) in enumerate(groups)
    ]
    configs: list[Block | None] = []
    if listing.configs:
        rows = tuple((Cell(each.path, code=True), Cell(each.summary)) for each in listing.configs)
        columns = (Column("File"), Column("What it is"))
        configs.append(Table("Configurations that lie at hand", columns, rows))
    blocks = plural(len(listing.blocks), "block")
    return Page(
        title="Blocks and configurations",
        kind="Catalog",
        lines=(f"{blocks}, {plural(len(listing.configs), 'configuration')}",),
        sections=sections(*wanted, ("configurations", "Configurations", configs)),
        versions=f"blocktool {__version__}",
    )


def _table(group: str, blocks: Sequence[ListedBlock]) -> Table:
    rows = tuple(
        (Cell(block.name, code=True), Cell(block.summary), Cell(" ".join(block.inputs), code=True))
        for block in blocks
    )
    columns = (Column("Name"), Column("What it is"), Column("Default input"))
    return Table(f"Blocks: {group}", columns, rows)


def _options(block: ListedBlock) -> Details | None:
    if not block.options:
        return None
    rows = tuple(
        (Cell(each.name, code=True), Cell(_default(each), code=True), Cell(each.type))
        for each in block.options
    )
    columns = (Column("Option"), Column("Default"), Column("Type"))
    table = Table(f"Options of {block.name}", columns, rows, ordered=False)
    return Details(f"Options of {block.name}", (table,))


def _default(option: ListedOption) -> str:
    """As it would be written on a command line."""
    if option.required:
        return "required"
    if option.default is None:
        return "null"
    return str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
