"""The catalog as text for people."""

from __future__ import annotations

from blocktool.render.columns import Cell, Column, layout
from blocktool.render.styled import ASCII, UNICODE, Glyphs, Line, clean, to_text, wrap
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedOption, Listing


def render(listing: Listing, view: View) -> str:
    """Every block with its options and their defaults; a single block with a table of them."""
    glyphs = UNICODE if view.unicode else ASCII
    lines: list[Line] = []
    for block in listing.blocks:
        lines += [*_block(block, view, glyphs, alone=len(listing.blocks) == 1), []]
    for config in listing.configs:
        summary = wrap(clean(config.summary, unicode=view.unicode), view.width - 4)
        lines.append([(clean(config.path, unicode=view.unicode), "bold")])
        lines += [*([("    " + line, "dim")] for line in summary), []]
    if len(listing.blocks) > 1:
        hint = "blocktool summary NAME [OPTION=VALUE ...] tells what a block is."
        lines += [[(line, "dim")] for line in wrap(hint, view.width)]
    elif lines:
        lines.pop()
    return to_text(lines, color=view.color)


def _block(block: ListedBlock, view: View, glyphs: Glyphs, *, alone: bool) -> list[Line]:
    def plain(text: str) -> str:
        return clean(text, unicode=view.unicode)

    lines: list[Line] = [[(plain(block.name), "bold"), (f"  {plain(block.summary)}", "")]]
    if not alone:
        options = " ".join(_short(option) for option in block.options)
        return lines + [[("    " + line, "dim")] for line in wrap(plain(options), view.width - 4)]
    lines.append([(plain(block.path), "dim")])
    if block.input:
        lines.append([(f"default input {plain(block.input)}", "dim")])
    columns = [
        Column("Option", [Cell(plain(option.name)) for option in block.options]),
        Column(
            "Default", [Cell(plain(_default(option))) for option in block.options], shrink_to=10
        ),
        Column(
            "Type", [Cell(plain(option.type), "cyan") for option in block.options], shrink_to=10
        ),
    ]
    return [*lines, [], *layout(columns, view.width, glyphs)]


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
