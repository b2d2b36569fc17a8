"""The catalog as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from blocktool.render.columns import Cell, Column, layout
from blocktool.render.styled import ASCII, UNICODE, Line, clean, to_text, wrap
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing

_HINT = "blocktool summary NAME [OPTION=VALUE ...] tells what a block is."


def render(listing: Listing, view: View) -> str:
    """Every block with its options and their defaults, under the heading of its group, then the
    configurations; a single one with a table of its options."""
    if len(listing.blocks) + len(listing.configs) == 1:
        alone = [_block_alone(block, view) for block in listing.blocks]
        alone += [_config_alone(config, view) for config in listing.configs]
        return to_text(alone[0], color=view.color)
    lines: list[Line] = []
    for group, blocks in groupby(listing.blocks, lambda block: block.group):
        lines += [_heading(group or "other packages", view), []]
        for block in blocks:
            lines += [*_block(block, view), []]
    if listing.configs:
        lines += [_heading("configurations", view), []]
    for config in listing.configs:
        lines += [*_config(config, view), []]
    lines += [[(line, "dim")] for line in wrap(_HINT, view.width)]
    return to_text(lines, color=view.color)


def _heading(text: str, view: View) -> Line:
    return [(clean(text.capitalize(), unicode=view.unicode), "cyan")]


def _block(block: ListedBlock, view: View) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    options = " ".join(_short(option) for option in block.options)
    return [
        [("  " + plain(block.name), "bold"), (f"  {plain(block.summary)}", "")],
        *_dim(plain(options), view),
    ]


def _config(config: ListedConfig, view: View) -> list[Line]:
    path = clean(config.path, unicode=view.unicode)
    return [[("  " + path, "bold")], *_dim(clean(config.summary, unicode=view.unicode), view)]


def _dim(text: str, view: View) -> list[Line]:
    return [[("      " + line, "dim")] for line in wrap(text, view.width - 6)]


def _block_alone(block: ListedBlock, view: View) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    lines: list[Line] = [
        [(plain(block.name), "bold"), (f"  {plain(block.summary)}", "")],
        [(plain(block.path), "dim")],
    ]
    if block.inputs:
        what = "default input" if len(block.inputs) == 1 else "default inputs"
        lines.append([(f"{what} {plain(' '.join(block.inputs))}", "dim")])
    return [*lines, [], *_options("Option", block.options, view)]


def _config_alone(config: ListedConfig, view: View) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    summary = wrap(plain(config.summary), view.width)
    return [
        [(plain(config.path), "bold")],
        *([(line, "dim")] for line in summary),
        [],
        *_options("Key", config.options, view),
    ]


def _options(title: str, options: Sequence[ListedOption], view: View) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    columns = [
        Column(title, [Cell(plain(option.name)) for option in options]),
        Column("Default", [Cell(plain(_default(option))) for option in options], shrink_to=10),
        Column("Type", [Cell(plain(option.type), "cyan") for option in options], shrink_to=10),
    ]
    return layout(columns, view.width, UNICODE if view.unicode else ASCII)


def _short(option: ListedOption) -> str:
    return option.name if option.required else f"{option.name}={_default(option)}"


def _default(option: ListedOption) -> str:
    """The default as it would be written on the command line."""
    if option.required:
        return "required"
    if option.default is None:
        return "null"
    if isinstance(option.default, bool):
        return str(option.default).lower()
    return str(option.default)
