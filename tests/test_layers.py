"""Imports only go down, and what needs no torch does not import it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Project

PACKAGE = Path(__file__).parents[1] / "blocktool"

FREE = {"errors", "processes", "_version"}
"""What every room may import, but for the blocks, which stand alone."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "_version": set(),
    "processes": set(),
    "results": set(),
    "blocks": set(),
    "optimize": {"blocks", "results", "targets", "trace"},
    "targets": {"blocks", "results"},
    "trace": {"analysis", "targets", "blocks", "results"},
    "measure": {"analysis", "blocks", "optimize", "results", "targets", "trace"},
    "analysis": {"results"},
    "render": {"analysis", "results"},
    "check": {"analysis", "blocks", "results", "targets", "trace"},
    "api": {"analysis", "check", "measure", "optimize", "results", "targets", "trace"},
    "__init__": {"api"},
    "cli": {
        *("analysis", "blocks", "check", "measure", "optimize", "render", "results"),
        *("targets", "trace"),
    },
    "pytest_plugin": {"api", "check", "render", "results", "targets"},
    "__main__": {"cli"},
}
"""Each room, or module beside the rooms, and the rooms below it."""

WITHOUT_TORCH = {"results", "analysis", "render"}
"""Rooms in which torch is not imported at all, not even late."""


def rooms(root: Path) -> Iterator[tuple[str, Path]]:
    """Every module of the package with its room."""
    for file in sorted(root.rglob("*.py")):
        yield file.relative_to(root).parts[0].removesuffix(".py"), file


def imported(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every import, at any depth of the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = [root.name, *file.relative_to(root).parts[:-1]]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def violations(root: Path) -> list[str]:
    """Each import that goes up or sideways, or brings torch where it must not be."""
    found = []
    for room, file in rooms(root):
        where = file.relative_to(root.parent)
        if room not in MAY_IMPORT:
            found.append(f"{where}: the room '{room}' is not in MAY_IMPORT")
            continue
        below = MAY_IMPORT[room] | (FREE if room != "blocks" else set())
        for line, name in imported(file, root):
            first, _, rest = name.partition(".")
            if first == "torch" and room in WITHOUT_TORCH:
                found.append(f"{where}:{line}: imports {name}")
            if first != root.name:
                continue
            inner = rest.partition(".")[0]
            # What the package itself exports comes from _version and api.
            other = "_version" if inner == "__version__" else inner
            other = other if other in MAY_IMPORT else "api"
            if other != room and other not in below:
                found.append(f"{where}:{line}: imports {name}")
    return found


def test_imports_go_down() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("results/x.py", "import blocktool.analysis.summary"),
        ("results/x.py", "from blocktool.targets.target import Target"),
        ("results/x.py", "import torch"),
        ("analysis/x.py", "def f():\n    import torch.nn as nn"),
        ("analysis/x.py", "from torch.utils import data"),
        ("analysis/x.py", "from blocktool.render import table"),
        ("render/x.py", "from blocktool import cli"),
        ("render/deep/x.py", "from ...cli import main"),
        ("render/x.py", "from ..trace import tracer"),
        ("blocks/x.py", "from blocktool.results.specs import TensorSpec"),
        ("blocks/x.py", "from blocktool.errors import BlocktoolError"),
        ("targets/x.py", "from blocktool.trace import tracer"),
        ("targets/x.py", "from blocktool import summarize"),
        ("trace/x.py", "import importlib\nimportlib.import_module('blocktool.cli.main')"),
        (
            "trace/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import blocktool.cli",
        ),
        ("attic/x.py", "import os"),
    ],
)
def test_an_import_that_goes_up_is_found(project: Project, file: str, source: str) -> None:
    project.write("blocktool/__init__.py", "from blocktool._version import __version__")
    project.write(f"blocktool/{file}", source)
    (found,) = violations(project.root / "blocktool")
    assert f"blocktool/{file}" in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("cli/x.py", "import torch\nfrom blocktool.render import table"),
        ("render/x.py", "from ..results import specs\nfrom . import units\nimport torchlike"),
        (
            "render/x.py",
            "from blocktool import __version__\nfrom blocktool.errors import OutputError",
        ),
        ("blocks/x.py", "import torch\nfrom blocktool.blocks.norm import norm"),
    ],
)
def test_an_import_that_goes_down_is_not(project: Project, file: str, source: str) -> None:
    project.write(f"blocktool/{file}", source)
    assert violations(project.root / "blocktool") == []


def modules_of(*wanted: str) -> list[str]:
    return [
        ".".join(["blocktool", *file.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        for room, file in rooms(PACKAGE)
        if room in wanted
    ]


def torch_after(code: str) -> str:
    """What has brought torch along after ``code``, as a fresh interpreter sees it."""
    code += "\nimport sys; print(*[n for n in ('torch', 'fvcore', 'timm') if n in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.mark.parametrize(
    "wanted", ["__init__", "errors", "results", "analysis", "render", "targets", "cli"]
)
def test_start_up_without_torch(wanted: str) -> None:
    names = modules_of(wanted)
    assert names, f"there is no room '{wanted}'"
    assert torch_after("\n".join(f"import {name}" for name in names)) == ""


def test_that_check_sees_torch() -> None:
    assert torch_after("import torch") == "torch"
