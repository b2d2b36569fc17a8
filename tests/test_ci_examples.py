"""What other repositories copy from examples/ci: valid for its reader, with commands that exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocktool import __version__, cli
from blocktool.cli.app import command
from blocktool.render.formats import choose_format

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "examples" / "ci" / "check-shapes.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
CONFIG = ROOT / "examples" / "ci" / "pre-commit-config.yaml"


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _steps() -> list[dict[str, Any]]:
    (job,) = _load(WORKFLOW)["jobs"].values()
    return list(job["steps"])


def _commands() -> Iterator[list[str]]:
    """The words of every blocktool command in the workflow and in the hooks."""
    for step in _steps():
        for line in str(step.get("run", "")).splitlines():
            words = shlex.split(line)
            if words[:1] == ["blocktool"]:
                yield words
    entries = {hook["id"]: shlex.split(hook["entry"]) for hook in _load(HOOKS)}
    yield from entries.values()
    for repo in _load(CONFIG)["repos"]:
        for hook in repo["hooks"]:
            yield [*entries[hook["id"]], *hook["args"]]


def _parsed(words: list[str]) -> dict[str, Any]:
    """The parameters of a command line, as the command line itself reads them."""
    tool, name, *rest = words
    assert tool == "blocktool"
    found = command().commands[name]
    with found.make_context(name, rest) as context:
        return dict(context.params)


def test_the_workflow_has_what_github_needs():
    workflow = _load(WORKFLOW)
    triggers = workflow[True]  # "on" is a boolean in YAML 1.1, which PyYAML reads
    assert "pull_request" in triggers
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert re.fullmatch(r"[A-Za-z_][\w-]*", name)
        assert job["runs-on"]
        assert job["timeout-minutes"] > 0
    for step in _steps():
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= {"name", "uses", "with", "run", "if", "continue-on-error"}
        assert "@" in step.get("uses", "@")
    uploaded = next(s for s in _steps() if s.get("uses", "").startswith("actions/upload-artifact"))
    assert any(uploaded["with"]["path"] in str(step.get("run")) for step in _steps())


def test_there_are_commands_to_check():
    assert len(list(_commands())) == 6


@pytest.mark.parametrize("words", list(_commands()), ids=" ".join)
def test_commands_name_options_that_exist(words: list[str]):
    asked = _parsed(words)
    choose_format("check-shapes", asked["format"], asked["output"])
    targets = [word for word in asked["words"] or () if "=" not in word]
    assert targets or len(words) == 2


def test_an_option_that_does_not_exist_is_found(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["check-shapes", "conv", "--sizes", "32"]) == 2
    assert "--sizes" in capsys.readouterr().err


def test_the_hook_has_what_pre_commit_needs():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for hook in _load(HOOKS):
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert all(isinstance(hook[key], str) for key in ("id", "name", "entry", "language"))
        assert hook["entry"].split()[0] in scripts
        assert hook["pass_filenames"] is False
    assert [hook["id"] for hook in _load(HOOKS)] == ["blocktool-check-shapes"]


def test_the_configuration_uses_a_hook_that_is_offered():
    offered = {hook["id"] for hook in _load(HOOKS)}
    (repo,) = _load(CONFIG)["repos"]
    assert repo["rev"] == f"v{__version__}"
    assert {hook["id"] for hook in repo["hooks"]} == offered
    (hook,) = repo["hooks"]
    assert re.search(hook["files"], "configs/resnet.yaml")
    assert re.search(hook["files"], "my_package/models/backbone.py")
    assert not re.search(hook["files"], "docs/index.md")
