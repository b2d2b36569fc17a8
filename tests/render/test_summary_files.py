"""CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from render.summaries import backbone, troubled

from blocktool.render import summary_csv, summary_markdown
from blocktool.render.view import View


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_module_with_plain_numbers():
    rows = _read(summary_csv.render(backbone(), View()))
    assert [r["path"] for r in rows] == [r.path for r in backbone().modules]
    assert int(rows[0]["macs"]) == 12_000_000
    assert rows[0]["input_shapes"] == "1x3x32x32"
    shallow = _read(summary_csv.render(backbone(), View(depth=1)))
    assert [r["path"] for r in shallow] == ["", "stem", "stage", "head", "auxiliary"]


def test_csv_of_operations():
    rows = _read(summary_csv.render(backbone(), View(ops=True)))
    assert [r["op"] for r in rows] == ["aten.convolution", "aten.relu_", "vision.warp"]
    assert int(rows[0]["flops"]) == 24_000_000


def test_csv_quotes_what_needs_it():
    rows = _read(summary_csv.render(troubled(), View()))
    assert [r["path"] for r in rows] == [r.path for r in troubled().modules]
    assert [r["type"] for r in rows] == [r.type for r in troubled().modules]


@pytest.mark.parametrize("name", ["backbone", "troubled"])
def test_markdown(name: str, snapshot: Callable[[str, str], None]):
    made = {"backbone": backbone, "troubled": troubled}[name]()
    snapshot(f"{name}.md", summary_markdown.render(made, View(ops=True)))


def test_markdown_tables_are_rectangular():
    text = summary_markdown.render(troubled(), View(ops=True))
    for block in text.split("\n\n"):
        if block.startswith("|"):
            counts = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(counts) == 1
