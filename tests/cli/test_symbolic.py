"""``blocktool summary --symbolic``, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from blocktool.render import json as reports
from blocktool.results.formulas import Formulas

ODD = """
    from torch import nn

    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 3, 3, stride=2, padding=1)
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x):
            return x + self.up(self.down(x))

    class Thirds(nn.Module):
        def __init__(self, channels=8):
            super().__init__()
            self.conv = nn.Conv2d(3, channels // 3, 1)

        def forward(self, x):
            return self.conv(x)

    class Copies(nn.Module):
        def __init__(self, number=2):
            super().__init__()
            self.number = number

        def forward(self, x):
            return tuple(x * 2 for _ in range(self.number))

    class Picky(nn.Module):
        def forward(self, x):
            return x[x > 0]
"""


def test_table(blocktool: Any) -> None:
    done = blocktool("summary", "bottleneck", "--symbolic")
    assert (done.code, done.err) == (0, "")
    assert "MACs                69632*B*H*W" in done.out
    assert "(B, 256, H, W) → (B, 256, H, W) · forward" in done.out


def test_json_and_numeric_summary_agree(blocktool: Any, net: str) -> None:
    done = blocktool("summary", net, "--symbolic", "-i", "Bx3xHxW", "-f", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["kind"] == "formulas"
    assert report["totals"]["macs"] == "792*B*H*W"  # 3*8*9 + 8*8*9
    assert report["totals"]["params"] == str(3 * 8 * 9 + 8 + 8 * 8 * 9 + 8)
    read = reports.read(done.out, Formulas)
    assert [symbol.name for symbol in read.symbols] == ["B", "H", "W"]
    numeric = json.loads(blocktool("summary", net, "-i", "2x3x10x12", "-f", "json").out)
    assert numeric["totals"]["macs"] == 792 * 2 * 10 * 12


def test_free_arguments(blocktool: Any) -> None:
    args = ("conv", "in_channels=C", "out_channels=C", "--symbolic", "-f", "json")
    totals = json.loads(blocktool("summary", *args).out)["totals"]
    assert totals["params"] == "9*C**2 + 2*C"
    assert totals["macs"] == "9*B*C**2*H*W"


def test_groups_divide(blocktool: Any) -> None:
    args = ("grouped-conv", "in_channels=C", "out_channels=C", "groups=G", "--symbolic")
    totals = json.loads(blocktool("summary", *args, "-f", "json").out)["totals"]
    assert totals["params"] == "9*C**2/G + 2*C"
    assert totals["macs"] == "9*B*C**2*H*W/G"


def test_what_is_no_polynomial_is_left_out(blocktool: Any) -> None:
    done = blocktool("summary", "transformer", "dim=C", "--symbolic", "-f", "json")
    report = json.loads(done.out)
    assert report["totals"]["params"] == "12*C**2 + 13*C"
    assert report["totals"]["elementwise_flops"] is None  # the number of heads is rounded
    assert "not a polynomial in C" in done.err


def test_what_has_no_shape_in_arguments_has_none(blocktool: Any, project: Project) -> None:
    project.write("odd.py", ODD)
    args = ("summary", "odd.py:Thirds", "channels=C", "--symbolic", "-i", "Bx3xHxW")
    report = json.loads(blocktool(*args, "-f", "json").out)
    assert report["outputs"] == [None]
    assert report["inputs"][0]["shape"] == ["B", 3, "H", "W"]
    assert {tuple(row["output_shapes"]) for row in report["modules"]} == {(None,)}
    table = blocktool(*args).out
    assert "(B, 3, H, W) → - · forward" in table
    assert "left out: some shapes" in table


def test_how_many_outputs_there_are_may_depend_on_arguments(
    blocktool: Any, project: Project
) -> None:
    project.write("odd.py", ODD)
    args = ("odd.py:Copies", "number=K", "--symbolic", "-i", "Bx3xHxW", "-f", "json")
    report = json.loads(blocktool("summary", *args).out)
    assert set(report["outputs"]) == {None}
    assert report["totals"]["activation_bytes"] == "12*B*H*K*W"  # 3 channels of 4 bytes each


def test_limited_peak_is_data(blocktool: Any) -> None:
    args = ("conv", "in_channels=C", "out_channels=C", "groups=C", "--symbolic")
    totals = json.loads(blocktool("summary", *args, "-f", "json").out)["totals"]
    assert totals["peak_live_bytes_where"] == ["C % 16 == 0"]
    assert "\n                    where C % 16 == 0\n" in blocktool("summary", *args).out


def test_quarters_need_multiples_of_four(blocktool: Any) -> None:
    args = ("bottleneck", "in_channels=C", "--symbolic", "-f", "json")
    report = json.loads(blocktool("summary", *args).out)
    assert "C % 4 == 0" in report["conditions"]
    # 1x1 to C/4, 3x3, 1x1 back, and three norms.
    assert report["totals"]["params"] == "17*C**2/16 + 3*C"


def test_conditions_are_shown(blocktool: Any, project: Project) -> None:
    project.write("odd.py", ODD)
    done = blocktool("summary", "odd.py:Joined", "--symbolic", "-i", "Bx3xHxW")
    assert done.code == 0
    assert "where " in done.out
    assert "H % 2 == 0" in done.out
    assert "W % 2 == 0" in done.out


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("json", '{\n  "schema_version"'), ("md", "## conv"), ("tex", "% conv"), ("py", '"""Figures')],
)
def test_output_file(blocktool: Any, tmp_path: Path, suffix: str, start: str) -> None:
    file = tmp_path / f"out.{suffix}"
    done = blocktool("summary", "conv", "--symbolic", "-o", str(file))
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote {file}\n"
    assert file.read_text().startswith(start)
    assert blocktool("summary", "conv", "--symbolic", "-o", str(file)).code == 2
    done = blocktool("summary", "conv", "--symbolic", "-o", str(file), "--force", "-q")
    assert (done.code, done.err) == (0, "")


def test_batch_is_a_number(blocktool: Any) -> None:
    done = blocktool("summary", "conv", "--symbolic", "--batch", "8", "-f", "json")
    totals = json.loads(done.out)["totals"]
    assert totals["macs"] == f"{8 * 64 * 64 * 9}*H*W"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--symbolic", "--ops"), "--ops cannot be had with --symbolic"),
        (("--symbolic", "--cross-check"), "--cross-check cannot be had with --symbolic"),
        (("--symbolic", "--device", "cpu"), "--device cannot be had with --symbolic"),
        (("--symbolic", "--sort", "macs"), "--sort cannot be had with --symbolic"),
        (("--symbolic", "-f", "csv"), "formulas has no format 'csv'"),
        (("-f", "latex"), "summary has no format 'latex'"),
        (("--symbolic", "-i", "Bx64x"), "'' is not a size"),
        (("--symbolic", "-i", "Bx64x(HxW"), "'(H': "),
        (("--symbolic", "-i", "Bx0xHxW"), "size 0 is not positive"),
        (("--symbolic", "-i", "Bx65xHxW"), "expected (B, C=64, H, W)"),
        (("--symbolic", "in_channels=H"), "H is the height of the input"),
        (("--symbolic", "no_such=C"), "no_such"),
        (
            ("--symbolic", "in_channels=C", "out_channels=O", "kernel_size=K", "stride=S"),
            "4 arguments are left open: C, O, K, S",
        ),
    ],
)
def test_mistakes_are_one_line_and_a_hint(
    blocktool: Any, args: tuple[str, ...], message: str
) -> None:
    done = blocktool("summary", "conv", *args)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert done.err.startswith("error: ")
    assert "  hint: " in done.err


def test_what_has_no_formulas(blocktool: Any, project: Project) -> None:
    project.write("odd.py", ODD)
    done = blocktool("summary", "odd.py:Picky", "--symbolic", "-i", "Bx3xHxW")
    assert done.code == 2
    assert "has no formulas" in done.err
    assert "Traceback" not in done.err
