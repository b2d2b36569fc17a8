"""Fixtures for all tests, and the rule for tests that need a GPU."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: the tests' tensors are small, and threads that wait for each other on a
# busy machine make a test of a millisecond take seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Before hypothesis is imported: trio, which comes with the driver of the browser, has a plugin for
# it that makes a warning, and warnings are errors here.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")

# Where the tests run in a job on GitHub, what they print is none of its summary.
os.environ.pop("GITHUB_STEP_SUMMARY", None)


class Project:
    """A folder that stands for the user's repository, and the working directory of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        """Write a file, dedented, with the folders that it needs."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty working directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path.resolve()):
            del sys.modules[name]
    sys.path_importer_cache.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where there is no CUDA device, and say so."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
