"""What other repositories copy from examples/ci: valid for its reader, with commands that exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Project
from render.summaries import backbone

from blocktool import __version__, cli
from blocktool.analysis.gate_rules import read_rule
from blocktool.cli.app import command
from blocktool.render.formats import choose_format
from blocktool.render.json import to_json

ROOT = Path(__file__).parents[1]
WORKFLOWS = [ROOT / "examples" / "ci" / name for name in ("check-shapes.yml", "compare.yml")]
HOOKS = ROOT / ".pre-commit-hooks.yaml"
CONFIG = ROOT / "examples" / "ci" / "pre-commit-config.yaml"


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in _load(workflow)["jobs"].values() for step in job["steps"]]


def _commands() -> Iterator[list[str]]:
    """The words of every blocktool command in the workflows and in the hooks."""
    for workflow in WORKFLOWS:
        for step in _steps(workflow):
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


KEYS = {"name", "uses", "with", "run", "if", "continue-on-error", "working-directory", "env"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_what_github_needs(path: Path):
    workflow = _load(path)
    triggers = workflow[True]  # "on" is a boolean in YAML 1.1, which PyYAML reads
    assert "pull_request" in triggers
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert re.fullmatch(r"[A-Za-z_][\w-]*", name)
        assert job["runs-on"]
        assert job["timeout-minutes"] > 0
    for step in _steps(path):
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= KEYS
        assert "@" in step.get("uses", "@")
    written = [
        os.path.normpath(os.path.join(step.get("working-directory", "."), file))
        for step in _steps(path)
        for file in re.findall(r"-o (\S+)", str(step.get("run", "")))
    ]
    (upload,) = (s for s in _steps(path) if s.get("uses", "").startswith("actions/upload-artifact"))
    for file in upload["with"]["path"].split():
        assert file in written


def test_there_are_commands_to_check():
    assert len(list(_commands())) == 13


@pytest.mark.parametrize("words", list(_commands()), ids=" ".join)
def test_commands_name_options_that_exist(words: list[str]):
    asked = _parsed(words)
    kind = "comparison" if words[1] in ("compare", "report") else words[1]
    choose_format(kind, asked["format"], asked["output"])
    if words[1] == "check-shapes":
        assert [word for word in asked["words"] or () if "=" not in word] or len(words) == 2
    if words[1] == "compare":
        assert [read_rule(rule) for rule in asked["fail_on"]]
        assert len(asked["operands"]) == 2


def _cost() -> dict[str, Any]:
    (path,) = (each for each in WORKFLOWS if each.stem == "compare")
    job: dict[str, Any] = _load(path)["jobs"]["cost"]
    return job


def test_both_reports_are_made_alike_and_compared():
    base, head = (step for step in _cost()["steps"] if "summary" in step.get("run", ""))
    assert (base["working-directory"], head["working-directory"]) == ("base", "head")
    assert base["run"].replace("base", "head") == head["run"]
    places = {step["with"]["path"] for step in _cost()["steps"] if "checkout" in str(step)}
    assert places == {"base", "head"}
    (compare,) = (each for each in _commands() if each[:4] == COMPARED)
    assert compare[-2:] == ["-o", "../comparison.json"]


COMPARED = ["blocktool", "compare", "../base.json", "../head.json"]


def _compare(job: str) -> tuple[str, list[str]]:
    """The folder in which a job compares, and the words of the command after ``blocktool``."""
    (path,) = (each for each in WORKFLOWS if each.stem == "compare")
    (step,) = (s for s in _load(path)["jobs"][job]["steps"] if s.get("name") == "Compare")
    return step["working-directory"], shlex.split(step["run"])[1:]


def test_the_heads_own_rules_are_held(project: Project, monkeypatch: pytest.MonkeyPatch):
    for name in ("base.json", "head.json"):
        project.write(name, to_json(backbone()))
    project.write("base/pyproject.toml", "[tool.blocktool.budgets]")
    rule = project.write(
        "head/pyproject.toml", '[tool.blocktool.budgets]\n"net.py:Net" = "macs<=1"'
    )
    folder, words = _compare("cost")
    monkeypatch.chdir(project.root / folder)
    assert cli.run([*words, "-q"]) == 1
    made = json.loads((project.root / "comparison.json").read_text())
    assert [each["rule"] for each in made["rules"] if each["outcome"] == "failed"] == ["macs<=1"]
    rule.unlink()
    assert cli.run([*words, "-q", "--force"]) == 0


def test_latencies_are_those_of_both_sides_in_one_thread():
    folder, words = _compare("latency")
    asked = _parsed(["blocktool", *words])
    assert folder == "head"
    assert asked["operands"] == ["../base/net.py:Net", "net.py:Net"]
    assert (asked["targets"], asked["measure"], asked["threads"]) == (True, True, 1)


def test_what_tests_print_is_not_in_the_summary_of_their_job(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    runpy.run_path(str(ROOT / "tests" / "conftest.py"))
    assert "GITHUB_STEP_SUMMARY" not in os.environ


GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--jq*) cat ids ;; esac
"""


@pytest.mark.parametrize("ids", ["", "17\n", "17\n23\n"])
def test_one_comment_is_brought_up_to_date(project: Project, ids: str):
    assert _cost()["permissions"] == {"contents": "read", "pull-requests": "write"}
    (step,) = (each for each in _cost()["steps"] if each.get("name") == "Comment")
    project.write("gh", GH).chmod(0o755)
    project.write("ids", ids)
    variables = {"COMMENTS": "repos/me/it/issues", "NUMBER": "5"}
    assert set(step["env"]) == {*variables, "GH_TOKEN"}
    path = f"{project.root}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        env={**variables, "PATH": path},
        check=True,
        timeout=20,
    )
    asked, *wrote = (project.root / "calls").read_text().splitlines()
    assert "repos/me/it/issues/5/comments" in asked
    assert '(.body | startswith("<!-- blocktool compare -->"))' in asked
    (wrote_once,) = wrote
    assert wrote_once.endswith("-F body=@comparison.md")
    if ids:
        assert "PATCH repos/me/it/issues/comments/17 " in wrote_once
    else:
        assert "POST repos/me/it/issues/5/comments " in wrote_once


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
