from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import Project

from blocktool.blocks import BottleneckBlock
from blocktool.blocks.names import BLOCK_PATHS


def test_every_block_is_listed_with_its_defaults(blocktool, project: Project):
    done = blocktool("list", "-f", "json")
    assert (done.code, done.err) == (0, "")
    blocks = {block["name"]: block for block in json.loads(done.out)["blocks"]}
    assert list(blocks) == list(BLOCK_PATHS)
    assert blocks["cross-attention"]["group"] == "attention"
    assert blocks["cross-attention"]["inputs"] == [
        "1x196x{channels}",
        "context=1x64x{context_channels|channels}",
    ]
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
    assert "  examples/small.yaml\n      A small one, in two lines.\n" in out
    assert "small.yaml" not in blocktool("list", "bottleneck").out
    groups = ["Convolution\n", "Attention\n", "Residual\n", "Configurations\n"]
    assert [out.index(group) for group in groups] == sorted(out.index(group) for group in groups)


def test_one_block(blocktool):
    out = blocktool("list", "bottleneck").out
    assert "blocktool.blocks.residual:BottleneckBlock" in out
    assert "base_width" in out
    assert "conv  convolution" not in out


def test_a_configuration_lists_its_keys(blocktool, project: Project):
    project.write(
        "examples/net.yaml",
        """
        # A net.
        in_channels: 1
        stages:
          - {block: conv, num_blocks: 2, out_channels: 8, norm: [group, {num_groups: 4}]}
        head: null
        """,
    )
    (config,) = json.loads(blocktool("list", "-f", "json").out)["configs"]
    assert (config["path"], config["summary"]) == ("examples/net.yaml", "A net.")
    options = {option["name"]: (option["type"], option["default"]) for option in config["options"]}
    assert options == {
        "in_channels": ("an integer", 1),
        "stages.0.block": ("a string", "conv"),
        "stages.0.num_blocks": ("an integer", 2),
        "stages.0.out_channels": ("an integer", 8),
        "stages.0.norm": ("a list", '["group", {"num_groups": 4}]'),
        "head": ("null", None),
    }
    # Each can be said on the command line, as it stands.
    again = [
        f"{name}={'null' if default is None else default}" for name, (_, default) in options.items()
    ]
    plain = blocktool("summary", "examples/net.yaml", "-i", "1x1x8x8", "-f", "json")
    assert blocktool("summary", "examples/net.yaml", *again, "-i", "1x1x8x8", "-f", "json") == plain
    assert plain.code == 0
    assert "stages.0.num_blocks" in blocktool("list", "examples/net.yaml").out


def test_a_damaged_example_does_not_stop_the_list(blocktool, project: Project):
    project.write("examples/half.yaml", "stages: [")
    done = blocktool("list")
    assert (done.code, done.err) == (0, "")
    assert "examples/half.yaml:1: not YAML" in done.out
    assert blocktool("list", "examples/half.yaml").code == 2
    assert blocktool("list", "examples/holf.yaml").err.endswith(
        "did you mean examples/half.yaml?\n"
    )


def test_needs_no_torch(project: Project):
    project.write("examples/net.yaml", "stages: [{block: conv, num_blocks: 1, out_channels: 8}]")
    code = """
import sys
from blocktool import cli
assert cli.run(["list", "-f", "json"]) == 0
assert "torch" not in sys.modules
"""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, stdout=-3)


def test_errors(blocktool):
    done = blocktool("list", "botleneck")
    assert done.err == "error: unknown block 'botleneck'\n  hint: did you mean bottleneck?\n"
    done = blocktool("list", "-f", "csv")
    assert done.err == "error: list has no format 'csv'\n  hint: it has table, json, html\n"
