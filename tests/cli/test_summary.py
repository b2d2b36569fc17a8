from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import Project

from blocktool.render.json import read_summary

# 3*8*9 + 8*8*9 multiply-accumulates per pixel; weights and biases of both convolutions.
MACS_PER_PIXEL, PARAMS = 792, 3 * 8 * 9 + 8 + 8 * 8 * 9 + 8


def test_table(blocktool, net):
    done = blocktool("summary", net, "-i", "2x3x10x10")
    assert (done.code, done.err) == (0, "")
    assert "net.py:Net  Net" in done.out
    assert "2x3x10x10 → 2x8x10x10" in done.out
    assert "158.400 K" in done.out  # 2 * 100 * 792
    assert "\x1b" not in done.out


def test_json(blocktool, net):
    done = blocktool("summary", net, "-i", "2x3x10x10", "--format", "json")
    assert (done.code, done.err) == (0, "")
    totals = json.loads(done.out)["totals"]
    assert totals["macs"] == 200 * MACS_PER_PIXEL
    assert totals["params"] == PARAMS
    assert read_summary(done.out).target == net


def test_arguments_reach_the_constructor(blocktool, net):
    done = blocktool("summary", net, "width=16", "-i", "1x3x10x10", "-f", "json")
    assert json.loads(done.out)["totals"]["params"] == 3 * 16 * 9 + 16 + 16 * 16 * 9 + 16


def test_batch_select_and_mode(blocktool, net):
    line = ("summary", net, "-i", "1x3x10x10", "-f", "json")
    report = json.loads(blocktool(*line, "--batch", "5").out)
    assert report["inputs"][0]["shape"] == [5, 3, 10, 10]
    report = json.loads(blocktool(*line, "--select", "b").out)
    assert report["inputs"][0]["shape"] == [1, 8, 10, 10]
    assert report["totals"]["macs"] == 100 * 576
    done = blocktool(*line, "--mode", "training", "--input-grad", "--optimizer", "sgd")
    report = json.loads(done.out)
    assert [phase["phase"] for phase in report["phases"]] == ["forward", "backward", "optimizer"]
    assert report["totals"]["macs"] == 3 * 100 * MACS_PER_PIXEL
    assert report["optimizer"] == "sgd"


def test_attention_is_that_of_the_device_unless_asked(blocktool, net):
    line = ("summary", net, "-i", "1x3x10x10", "-f", "json")
    assert json.loads(blocktool(*line).out)["attention"] == "cpu"
    assert json.loads(blocktool(*line, "--attention", "cuda").out)["attention"] == "cuda"


def test_views(blocktool, net):
    line = ("summary", net, "-i", "1x3x10x10")
    assert "aten.convolution  contraction" in blocktool(*line, "--ops").out
    flat = blocktool(*line, "--depth", "0").out
    assert "├─" not in flat
    assert "0 of 1 levels shown" in flat
    ordered = blocktool(*line, "--sort", "macs").out
    assert ordered.index("─ b ") < ordered.index("─ a ")


def test_csv_and_markdown(blocktool, net):
    line = ("summary", net, "-i", "1x3x10x10")
    rows = list(csv.DictReader(io.StringIO(blocktool(*line, "-f", "csv").out)))
    assert [row["path"] for row in rows] == ["", "a", "b"]
    assert sum(int(row["macs"]) for row in rows[1:]) == 100 * MACS_PER_PIXEL
    assert "| `b` | Conv2d |" in blocktool(*line, "-f", "markdown").out


def test_output_file(blocktool, net, project: Project):
    line = ("summary", net, "-i", "1x3x10x10", "-o", "out.json")
    done = blocktool(*line)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote {project.root.resolve() / 'out.json'}\n"
    assert read_summary(Path("out.json").read_text()).totals.params == PARAMS
    done = blocktool(*line)
    assert done.code == 2
    assert done.err.startswith("error: out.json exists\n  hint: ")
    done = blocktool(*line, "--force", "-f", "csv", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Path("out.json").read_text().startswith("path,type")
    assert blocktool(*line[:-1], "-", "-f", "csv").out.startswith("path,type")


def test_the_output_is_checked_before_the_work(blocktool):
    done = blocktool("summary", "no_such.py:Net", "-o", "missing/out.json")
    assert (done.code, "there is no directory" in done.err) == (2, True)


def test_what_the_module_prints_does_not_spoil_the_result(blocktool, project: Project):
    project.write(
        "loud.py",
        """
        print("imported")
        from torch import nn

        class Loud(nn.Module):
            def forward(self, x):
                print("called")
                return x + 1
        """,
    )
    done = blocktool("summary", "loud.py:Loud", "-i", "1x3", "-f", "json")
    assert json.loads(done.out)["totals"]["params"] == 0
    assert {"imported", "called"} <= set(done.err.split())


UNCOVERED = """
    import torch
    from torch import nn

    library = torch.library.Library("blocktool_cli_test", "DEF")
    library.define("warp(Tensor x) -> Tensor")
    library.impl("warp", lambda x: torch.empty_like(x), "CompositeExplicitAutograd")

    class Warp(nn.Module):
        def forward(self, x):
            return torch.ops.blocktool_cli_test.warp(x)
"""


def test_uncovered_operations_are_said_aloud(blocktool, project: Project):
    project.write("warp.py", UNCOVERED)
    line = ("summary", "warp.py:Warp", "-i", "1x3")
    done = blocktool(*line)
    assert done.code == 0
    assert "warning: not counted: blocktool_cli_test.warp x1" in done.out
    done = blocktool(*line, "--strict", "-f", "json")
    assert done.code == 1
    assert json.loads(done.out)["uncovered_ops"][0]["op"] == "blocktool_cli_test.warp"
    assert done.err == "warning: not counted: blocktool_cli_test.warp x1\n"
    done = blocktool(*line, "--strict", "-f", "json", "-q")
    assert (done.code, done.err) == (1, "")


def test_strict_is_content_where_all_is_counted(blocktool, net):
    assert blocktool("summary", net, "-i", "1x3x10x10", "--strict").code == 0


def test_verbose(blocktool, net):
    done = blocktool("summary", net, "-i", "1x3x10x10", "-v")
    assert done.code == 0
    assert done.err.startswith("traced 2 operations on meta in ")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ([], "missing argument 'TARGET'", "blocktool summary --help shows what there is"),
        (["{net}", "--dept", "3"], "no such option: --dept", "did you mean --depth?"),
        (["{net}", "--depth"], "option '--depth' requires an argument", "--help"),
        (["{net}", "--depth", "a"], "--depth: 'a' is not a whole number", "--help"),
        (["{net}", "--depth", "-1"], "--depth: -1 is too small", "the least is 0"),
        (["{net}", "--batch", "0"], "--batch: 0 is too small", "the least is 1"),
        (["{net}", "--mode", "train"], "--mode: no such choice: 'train'", "did you mean training?"),
        (["{net}", "--sort", "x"], "--sort: no such choice: 'x'", "choose from params, macs"),
        (["{net}", "--attention", "gpu"], "--attention: no such choice: 'gpu'", "cpu, cuda, math"),
        (["{net}", "--color", "red"], "--color: no such choice: 'red'", "auto, always, never"),
        (["{net}", "-f", "jsn"], "summary has no format 'jsn'", "did you mean json?"),
        (["{net}", "-o", "out.xml"], "summary has no format 'junit'", "it has table, json"),
        (["{net}", "-o", "."], ". is a directory", "name a file in it"),
        (["{net}"], "net.py:Net has no default input", "-i 1x3x224x224"),
        (["{net}", "-i", "1x0x3"], "1x0x3", "the smallest size is 1"),
        (["net.py:Nat", "-i", "1x3"], "net.py has no attribute 'Nat'", "did you mean Net?"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(blocktool, net, args, message, hint):
    done = blocktool("summary", *(arg.replace("{net}", net) for arg in args))
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert second.startswith("  hint: ")
    assert hint in second


def test_an_error_in_the_forward_keeps_the_users_lines(blocktool, net):
    done = blocktool("summary", net, "-i", "1x4x10x10")
    assert done.code == 2
    assert done.err.startswith("error: net.py:Net")
    assert "in forward" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in blocktool("summary", net, "-i", "1x4x10x10", "--debug").err
