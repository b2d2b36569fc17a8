"""Several reports on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blocktool.render.html.pieces import Block, Chart, Details, Page, Section


def joined(pages: Sequence[Page], names: Sequence[str]) -> Page:
    """One page of all: the sections of each report follow each other, named after it, and no two
    charts or headings have the same id."""
    sections: list[Section] = []
    for number, (page, name) in enumerate(zip(pages, names, strict=True), start=1):
        for section in page.sections:
            sections.append(
                Section(
                    f"r{number}-{section.id}",
                    f"{name}: {section.title}",
                    tuple(_renamed(block, number) for block in section.blocks),
                )
            )
    lines = [
        f"{name}: {page.kind.lower()} of {page.title}; {page.lines[0] if page.lines else ''}"
        for page, name in zip(pages, names, strict=True)
    ]
    versions = dict.fromkeys(page.versions for page in pages)
    return Page(
        title=", ".join(dict.fromkeys(page.title for page in pages)),
        kind="Reports",
        lines=tuple(lines),
        sections=tuple(sections),
        versions="; ".join(versions),
    )


def _renamed(block: Block, number: int) -> Block:
    if isinstance(block, Chart):
        return replace(block, id=f"r{number}-{block.id}")
    if isinstance(block, Details):
        return replace(block, blocks=tuple(_renamed(inner, number) for inner in block.blocks))
    return block
