from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest
from render.summaries import backbone

from blocktool.errors import UsageError
from blocktool.render import formats
from blocktool.render.view import View


@pytest.mark.parametrize("name", formats.formats_of("summary"))
def test_every_format_renders(name: str):
    of_the_whole = name in ("bencher", "github-action-benchmark")
    text = formats.renderer("summary", name)(backbone(), View())
    assert ("net.py:Net" if of_the_whole else "head") in text


@pytest.mark.parametrize(
    ("asked", "output", "name"),
    [
        (None, None, "table"),
        (None, "-", "table"),
        (None, "out.JSON", "json"),
        (None, "a.b/out.csv", "csv"),
        (None, "out.md", "markdown"),
        (None, "out.html", "html"),
        (None, "out.HTM", "html"),
        (None, "out.txt", "table"),
        (None, "out", "table"),
        ("csv", "out.json", "csv"),
        ("csv", "out.xyz", "csv"),
    ],
)
def test_the_format_is_asked_for_or_implied(asked: str | None, output: str | None, name: str):
    assert formats.choose_format("summary", asked, output) == name


@pytest.mark.parametrize(
    ("asked", "output", "message", "hint"),
    [
        ("jsn", None, "summary has no format 'jsn'", "did you mean json?"),
        ("junit", None, "summary has no format 'junit'", "it has table, json, csv, markdown"),
        (None, "out.xml", "summary has no format 'junit'", "it has table, json, csv, markdown"),
        (None, "out.xyz", "the suffix of 'out.xyz' implies no format", "say which with -f"),
    ],
)
def test_no_such_format(asked: str | None, output: str | None, message: str, hint: str):
    with pytest.raises(UsageError) as caught:
        formats.choose_format("summary", asked, output)
    assert caught.value.message == message
    assert hint in str(caught.value.hint)


def test_formats_of_other_packages(monkeypatch: pytest.MonkeyPatch):
    class Entry:
        def load(self) -> Any:
            return {"summary": lambda result, view: f"<{result.target}>"}

    def entry_points(*, group: str, name: str) -> list[Entry]:
        return [Entry()] if (group, name) == ("blocktool.formats", "xml") else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert formats.renderer("summary", "xml")(backbone(), View()) == "<net.py:Net>"
    with pytest.raises(UsageError):
        formats.renderer("summary", "yaml")
