"""Rendered files, read as their readers would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt


class Page(HTMLParser):
    """Tags, links and the text of Markdown as a page."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for key, value in attrs if key in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message, as GitHub's runner reads a line of a job's output."""
    match = re.match(r"::(?P<name>[a-z]+)(?: (?P<properties>.*?))?::(?P<data>.*)$", line)
    assert match is not None, line
    properties = {}
    for part in (match["properties"] or "").split(","):
        key, _, value = part.partition("=")
        properties[key] = _unescaped(value.replace("%3A", ":").replace("%2C", ","))
    return match["name"], properties, _unescaped(match["data"])


def _unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
