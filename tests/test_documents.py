"""The examples in the documents run as they stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from blocktool.blocks.names import BLOCK_PATHS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("docs/*.md"), ROOT / "README.md")
    if "```python" in path.read_text()
)
_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run(path: Path) -> None:
    """Those of one document one after the other, in one namespace, as a reader would."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__example__"}
    for example in _EXAMPLE.finditer(text):
        code = ast.parse(example[1])
        ast.increment_lineno(code, text[: example.start(1)].count("\n"))
        exec(compile(code, str(path), "exec"), names)


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = _LINK.findall(path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_the_picture_shows_every_block_and_is_what_its_script_draws() -> None:
    folder = ROOT / "docs" / "images"
    picture = (folder / "block_components.svg").read_text(encoding="utf-8")
    for path in BLOCK_PATHS.values():
        assert f">{path.partition(':')[2]}<" in picture
    script = [sys.executable, str(folder / "block_components.py")]
    drawn = subprocess.run(script, capture_output=True, check=True, encoding="utf-8").stdout
    assert drawn == picture
