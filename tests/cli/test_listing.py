from __future__ import annotations

import inspect
import json

from conftest import Project

from blocktool.blocks import BottleneckBlock


def test_every_block_is_listed_with_its_defaults(blocktool, project: Project):
    done = blocktool("list", "-f", "json")
    assert (done.code, done.err) == (0, "")
    blocks = {block["name"]: block for block in json.loads(done.out)["blocks"]}
    assert {"conv", "self-attention", "residual", "bottleneck"} <= set(blocks)
    listed = {option["name"]: option["default"] for option in blocks["bottleneck"]["options"]}
    for name, parameter in inspect.signature(BottleneckBlock).parameters.items():
        if name in listed and name != "in_channels":  # the catalog's own, so that it runs alone
            assert listed[name] == parameter.default, name
    assert listed["in_channels"] == 256


def test_what_is_listed_can_be_summarized(blocktool, project: Project):
    names = [block["name"] for block in json.loads(blocktool("list", "-f", "json").out)["blocks"]]
    for name in names:
        assert blocktool("summary", name, "-q", "-f", "json").code == 0, name


def test_table(blocktool, project: Project):
    project.write(
        "examples/small.yaml", "# A small one,\n# in two lines.\n#\n# not this\nstages: []\n"
    )
    out = blocktool("list").out
    assert "bottleneck  bottleneck of ResNet" in out
    assert "examples/small.yaml\n    A small one, in two lines.\n" in out
    assert "small.yaml" not in blocktool("list", "bottleneck").out


def test_one_block(blocktool):
    out = blocktool("list", "bottleneck").out
    assert "blocktool.blocks.residual:BottleneckBlock" in out
    assert "base_width" in out
    assert "conv  convolution" not in out


def test_errors(blocktool):
    done = blocktool("list", "botleneck")
    assert done.err == "error: unknown block 'botleneck'\n  hint: did you mean bottleneck?\n"
    done = blocktool("list", "-f", "csv")
    assert done.err == "error: list has no format 'csv'\n  hint: it has table, json\n"
