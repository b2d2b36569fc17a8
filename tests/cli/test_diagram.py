from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from blocktool import cli
from blocktool.blocks.names import BLOCK_PATHS
from blocktool.cli.diagram_options import Format
from blocktool.render.formats import formats_of
from blocktool.render.json import read
from blocktool.results.diagram import Diagram

ROOT = Path(__file__).parents[2]
LINE = ("diagram", "net.py:Net", "-i", "2x3x10x10")


def nodes(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.lstrip().startswith("n")]


def test_mermaid_on_stdout(blocktool, net):
    done = blocktool(*LINE)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == "flowchart TD"
    first, a, b, last, *edges = nodes(done.out)
    assert first == 'n1(["input<br>2×3×10×10"]):::end_'
    assert a.startswith('n2["a · Conv2d<br>3×3<br>2×8×10×10<br>224 params, 43.2 K MACs"]')
    assert b.startswith('n3["b · Conv2d<br>')
    assert last.startswith('n4(["output')
    assert edges == ["n1 --> n2", "n2 --> n3", "n3 --> n4"]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("out.mmd", b"%%{init"),
        ("out.svg", b"<svg "),
        ("out.md", b"**Data flow of"),
        ("out.json", b"{\n"),
        ("out", b"%%{init"),
    ],
)
def test_the_suffix_implies_the_format(blocktool, net, name, start):
    done = blocktool(*LINE, "-o", name)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote {Path(name).resolve()}\n"
    assert Path(name).read_bytes().startswith(start)


def test_png(blocktool, net):
    done = blocktool(*LINE, "-o", "out.png")
    if done.code and "no font" in done.err:
        pytest.skip("no font is installed")
    assert (done.code, done.out) == (0, "")
    assert Path("out.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert blocktool(*LINE, "-o", "out.png").code == 2
    assert blocktool(*LINE, "-o", "out.png", "--force", "-q").err == ""


def test_png_without_resvg_is_refused_before_the_work(blocktool, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    done = blocktool("diagram", "no_such.py:Net", "-f", "png")
    assert done.code == 2
    assert done.err == (
        "error: PNG images need resvg-py, which is not installed\n"
        '  hint: pip install "blocktool[diagram]", or write an SVG: -f svg\n'
    )


def test_options_reach_the_picture(blocktool, net):
    report = read(blocktool(*LINE, "-f", "json", "--batch", "5", "--depth", "0").out, Diagram)
    assert (report.depth, [n.path for n in report.nodes]) == (0, ["", "", ""])
    assert report.nodes[0].shapes == ((5, 3, 10, 10),)
    report = read(blocktool(*LINE, "-f", "json", "--select", "b").out, Diagram)
    assert report.target == "net.py:Net b"
    assert report.nodes[0].shapes == ((2, 8, 10, 10),)
    assert blocktool(*LINE, "--direction", "LR").out.splitlines()[1] == "flowchart LR"
    assert "MACs" not in blocktool(*LINE, "--cost", "none").out
    assert "moved" in blocktool(*LINE, "--cost", "bytes").out
    assert "bfloat16" in blocktool(*LINE, "--dtype", "bf16").out
    report = json.loads(blocktool(*LINE, "--mode", "training", "-f", "json").out)
    assert report["total"]["macs"] == 200 * 792


def test_symbols(blocktool, net):
    done = blocktool("diagram", "net.py:Net", "--symbolic", "-i", "Bx3xHxW")
    assert (done.code, done.err) == (0, "")
    assert "b · Conv2d<br>3×3<br>(B, 8, H, W)<br>584 params" in done.out
    assert "at B = 2, H = 224, W = 192" in done.out


REPEATED = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(6)))
            self.unused = nn.Linear(3, 3)

        def forward(self, x):
            return self.blocks(x)
"""


def test_repeated_modules_and_those_that_are_not_drawn(blocktool, project: Project):
    project.write("repeated.py", REPEATED)
    line = ("diagram", "repeated.py:Net", "-i", "1x3x4x4")
    done = blocktool(*line)
    assert "blocks.0-5 · Conv2d ×6" in done.out
    assert done.err == "not drawn: 1 module that is never called: unused\n"
    done = blocktool(*line, "--expand", "--depth", "2", "-q")
    assert (done.out.count("Conv2d"), done.err) == (6, "")


def test_what_github_would_not_draw_is_said(blocktool, project: Project):
    project.write("repeated.py", REPEATED.replace("range(6)", "range(501)"))
    done = blocktool(
        "diagram", "repeated.py:Net", "-i", "1x3x4x4", "--expand", "--depth", "9", "-o", "x.mmd"
    )
    assert done.code == 0
    assert done.err.splitlines()[0].startswith("warning: ")
    assert "GitHub draws no more than" in done.err


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--depth", "-1"], "--depth: -1 is too small", "the least is 0"),
        (["--cost", "flops"], "--cost: no such choice: 'flops'", "choose from macs, params"),
        (["--direction", "TB"], "--direction: no such choice: 'TB'", "choose from TD, LR"),
        (["-f", "table"], "diagram has no format 'table'", "it has mermaid, svg, png"),
        (["-o", "out.csv"], "diagram has no format 'csv'", "did you mean svg?"),
        (["--symbolic", "--select", "a"], "--select cannot be had with --symbolic", "leave out"),
        (["--symbolic", "width=C"], "C: a diagram has no symbols", "give them numbers"),
        (["--select", "d"], "net.py:Net has no submodule 'd'", "for example a, b"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(blocktool, net, args, message, hint):
    done = blocktool("diagram", net, "-i", "1x3x8x8", *args)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert message in first
    assert hint in second


def test_the_help_names_every_format(blocktool):
    (option,) = Format.__metadata__
    assert all(name in option.help for name in formats_of("diagram"))


def test_bytes_on_stdout(net, capsysbinary):
    code = cli.run(["diagram", net, "-i", "1x3x8x8", "-f", "png"])
    done = capsysbinary.readouterr()
    if b"no font" in done.err:
        pytest.skip("no font is installed")
    assert code == 0
    assert done.out.startswith(b"\x89PNG\r\n\x1a\n")
    assert done.out.endswith(b"IEND\xaeB`\x82")


IDENTITY = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.shortcut, self.a = nn.Identity(), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            shortcut = self.shortcut(x)
            return self.a(x) + shortcut
"""


@pytest.mark.parametrize("options", [(), ("--symbolic",), ("--mode", "training"), ("-d", "cpu")])
def test_modules_that_do_nothing_stand_where_they_are_read(blocktool, project, options):
    project.write("identity.py", IDENTITY)
    done = blocktool("diagram", "identity.py:Net", "-i", "2x3x4x4", "-f", "json", *options)
    report = read(done.out, Diagram)
    by_id = {node.id: node.name or node.type for node in report.nodes}
    assert [f"{by_id[e.source]}-{by_id[e.target]}" for e in report.edges] == [
        *("input-shortcut", "input-a", "shortcut-add", "a-add", "add-output")
    ]
    moved = {node.name: node.cost.moved_bytes for node in report.nodes}
    assert moved["shortcut"] == 0


TWICE = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b = self.a

        def forward(self, query, key):
            return self.a(query) * key

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, left, right):
            return self.net(right, left)
"""


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (("Net", "-i", "2x3", "-i", "2x3"), ["query", "key"]),
        (("Net", "-i", "2x3", "-i", "key=2x3"), ["query", "key"]),
        (("Net", "-i", "Bx3", "-i", "Bx3", "--symbolic"), ["query", "key"]),
        (("Outer", "-i", "2x3", "-i", "2x3"), ["left", "right"]),
        (("Outer", "-i", "2x3", "-i", "2x3", "--select", "net"), ["query", "key"]),
    ],
)
def test_inputs_are_called_what_the_forward_calls_them(blocktool, project, target, names):
    project.write("twice.py", TWICE)
    done = blocktool("diagram", f"twice.py:{target[0]}", *target[1:], "-f", "json")
    assert [n.name for n in read(done.out, Diagram).nodes if n.kind == "input"] == names
    assert "never called" not in done.err  # b is a


def _make() -> Any:
    path = ROOT / "docs" / "images" / "make.py"
    spec = importlib.util.spec_from_file_location("make_pictures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["residual", "cross-attention"])
def test_the_pictures_in_the_documents_are_what_is_drawn(name):
    made = _make()
    assert made.picture(name) == (made.FOLDER / f"{name}.svg").read_text(encoding="utf-8")


def test_the_chart_in_the_documents_is_what_is_drawn(blocktool):
    text = (ROOT / "docs" / "diagram.md").read_text(encoding="utf-8")
    chart = text.partition("```mermaid\n")[2].partition("```")[0]
    line = text.partition("(`blocktool ")[2].partition("`")[0]
    assert blocktool(*line.split()).out == chart


def test_every_block_has_its_picture_in_the_documents():
    text = (ROOT / "docs" / "patterns.md").read_text(encoding="utf-8")
    for name in BLOCK_PATHS:
        assert (_make().FOLDER / f"{name}.svg").exists()
        assert f"images/blocks/{name}.svg" in text
