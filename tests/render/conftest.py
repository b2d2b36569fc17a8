"""Snapshots: rendered text beside the tests, to be read in review like any other code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "snapshots"


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """Compare a text with the file of that name; BLOCKTOOL_UPDATE_SNAPSHOTS=1 writes it anew."""

    def compare(name: str, text: str) -> None:
        path = _FOLDER / name
        if os.environ.get("BLOCKTOOL_UPDATE_SNAPSHOTS") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing; BLOCKTOOL_UPDATE_SNAPSHOTS=1 writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare
