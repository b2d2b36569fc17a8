"""Budgets of targets in pyproject.toml: how they are written, and what is wrong in which line."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Project

from blocktool.cli.budgets import Budget
from blocktool.cli.settings import budgets
from blocktool.errors import ConfigError


def test_budgets_in_every_form(project: Project) -> None:
    project.write(
        "pyproject.toml",
        """
        [tool.blocktool.budgets]
        "net.py:Net" = ["macs<=5G", "params<=26M"]
        "net.py:Net layer1" = "macs<=1G"

        [tool.blocktool.budgets."examples/resnet50.yaml"]
        fail-on = ["macs<=5G", "layer1.*:params<=1M"]
        input = "1x3x384x384"
        batch = 8
        dtype = "bfloat16"
        mode = "training"

        [tool.blocktool.budgets."timm:vit_small_patch16_224"]
        fail_on = "params<=30M"
        input = ["1x3x224x224", "mask=1x196:bool"]
        """,
    )
    assert budgets(Path.cwd()) == {
        "net.py:Net": Budget(("macs<=5G", "params<=26M")),
        "net.py:Net layer1": Budget(("macs<=1G",)),
        "examples/resnet50.yaml": Budget(
            ("macs<=5G", "layer1.*:params<=1M"), ("1x3x384x384",), "8", "bfloat16", "training"
        ),
        "timm:vit_small_patch16_224": Budget(("params<=30M",), ("1x3x224x224", "mask=1x196:bool")),
    }


def test_budgets_of_a_folder_above(project: Project) -> None:
    project.write("pyproject.toml", '[tool.blocktool.budgets]\n"net.py:Net" = "macs<=5G"')
    below = project.root / "deeply" / "below"
    below.mkdir(parents=True)
    assert budgets(below) == {"net.py:Net": Budget(("macs<=5G",))}


@pytest.mark.parametrize("text", ["", "[tool.blocktool]\ndepth = 3", "[tool.other]\nx = 1"])
def test_no_budgets(project: Project, text: str) -> None:
    project.write("pyproject.toml", text)
    assert budgets(Path.cwd()) == {}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("budgets = 3", "tool.blocktool.budgets is not a table", 'budgets."net.py:Net"]'),
        ("budgets.net = 3", "budgets.'net': 3 is not a text or a list of texts", None),
        ('budgets.net = ["macs<=1", 3]', "is not a text or a list of texts", None),
        ("budgets.net = []", "budgets.'net' has no rule", 'fail-on = ["macs<=5G"]'),
        ('budgets.net.input = "1x3"', "budgets.'net' has no rule", 'fail-on = ["macs<=5G"]'),
        ('budgets.net.fail-in = "x"', "budgets.'net': unknown key 'fail-in'", "fail-on?"),
        (
            'budgets.net = {fail-on="macs<=1", fail_on="params<=1"}',
            "budgets.'net': 'fail_on' is said twice",
            "under fail-on",
        ),
        ('budgets.net.zzz = "x"', "unknown key 'zzz'", "keys: fail-on, input, batch"),
        (
            'budgets.net = "macs=5G"',
            "budgets.'net': the rule 'macs=5G' cannot be read",
            "did you mean macs==5G?",
        ),
        ('budgets.net = {fail-on="macs<=1", input=3}', "input: 3 is not a text or a list", None),
        ('budgets.net = {fail-on="macs<=1", batch=true}', "batch: True is not a text", None),
        ('budgets.net = {fail-on="macs<=1", mode=[1]}', "mode: [1] is not a text", None),
    ],
)
def test_wrong_budgets(project: Project, text: str, message: str, hint: str | None) -> None:
    path = project.write("pyproject.toml", f"[tool.blocktool]\n{text}")
    with pytest.raises(ConfigError) as raised:
        budgets(Path.cwd())
    assert raised.value.message.startswith(f"{path}: ")
    assert message in raised.value.message
    if hint is not None:
        assert hint in (raised.value.hint or "")


def test_budgets_are_no_unknown_key_of_the_settings(blocktool, project: Project) -> None:
    project.write(
        "pyproject.toml",
        """
        [tool.blocktool]
        depth = 1

        [tool.blocktool.budgets]
        conv = ["macs<=1"]
        """,
    )
    done = blocktool("list")
    assert (done.code, done.err) == (0, "")
    project.write("pyproject.toml", '[tool.blocktool.budget]\nconv = "macs<=1"')
    done = blocktool("list")
    assert done.code == 2
    assert "unknown key 'budget'" in done.err
    assert "did you mean budgets?" in done.err
