from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from conftest import Project

from blocktool import cli
from blocktool.cli import terminal

NET = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.a = nn.Conv2d(3, width, 3, padding=1)
            self.b = nn.Conv2d(width, width, 3, padding=1)

        def forward(self, x):
            return self.b(self.a(x))
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Blocktool = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment that would change what is printed."""
    for name in list(os.environ):
        if name.startswith("BLOCKTOOL_") or name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(terminal, "_choice", "auto")


@pytest.fixture
def blocktool(capsys: pytest.CaptureFixture[str]) -> Blocktool:
    """Run a command line in this process."""

    def call(*args: str) -> Outcome:
        capsys.readouterr()
        code = cli.run(args)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def net(project: Project) -> str:
    """A target in the working directory: 224 + 584 parameters, 3600 MACs a pixel, no input."""
    project.write("net.py", NET)
    return "net.py:Net"
