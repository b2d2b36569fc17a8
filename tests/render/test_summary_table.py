from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from render.summaries import backbone, row, summary, troubled

from blocktool.render.summary_table import render
from blocktool.render.view import View

Snapshot = Callable[[str, str], None]

_CASES = {
    "backbone-80.txt": (backbone, View(width=80)),
    "backbone-140.txt": (backbone, View(width=140)),
    "backbone-ascii-100.txt": (backbone, View(width=100, unicode=False)),
    "backbone-color-120.txt": (backbone, View(width=120, color=True)),
    "backbone-expand-ops-120.txt": (backbone, View(width=120, expand=True, ops=True, sort="macs")),
    "troubled-80.txt": (troubled, View(width=80, ops=True)),
    "troubled-120.txt": (troubled, View(width=120, ops=True)),
}


@pytest.mark.parametrize("name", _CASES)
def test_snapshots(name: str, snapshot: Snapshot):
    make, view = _CASES[name]
    snapshot(name, render(make(), view))


@pytest.mark.parametrize("width", range(60, 180, 7))
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_asked(width: int, unicode: bool):
    from rich.cells import cell_len  # wide characters count twice, by an independent measure

    for made in (backbone(), troubled()):
        text = render(made, View(width=width, unicode=unicode, ops=True, expand=True))
        assert max(map(cell_len, text.splitlines())) <= width
        if not unicode:
            assert text.isascii()


def test_colour_changes_nothing_but_colour():
    plain = render(backbone(), View(width=120, unicode=False))
    colored = render(backbone(), View(width=120, unicode=False, color=True))
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    # The parts of the stacked bar are told apart by colour instead of by shade.
    shades = str.maketrans("=+-:.*", "######")
    assert stripped.translate(shades) == plain.translate(shades)


def test_names_are_not_markup_and_cannot_reach_the_terminal():
    text = render(troubled(), View(width=120, color=True))
    assert "[red]" in text
    assert "\x1b[31m" not in text


def test_depth_is_chosen_to_fit_a_screen_unless_it_is_given():
    blocks = [row(f"{i}", params=i) for i in range(10)]
    layers = [row(f"{i}.{j}", params=100 * i + j) for i in range(10) for j in range(10)]
    rows = (row("", "Net", params=10**6), *blocks, *layers)
    text = render(summary(rows), View())
    assert "1 of 2 levels shown; --depth 2 shows all" in text
    assert len([line for line in text.splitlines() if line.startswith(("├", "└"))]) == 10
    assert "levels shown" not in render(summary(rows), View(depth=2))


def test_sorting_orders_siblings():
    text = render(backbone(), View(sort="macs", depth=1))
    assert re.findall(r"[├└]─ (\w+)", text) == ["stage", "stem", "head", "auxiliary"]
    text = render(backbone(), View(sort="name", depth=1))
    assert re.findall(r"[├└]─ (\w+)", text) == ["auxiliary", "head", "stage", "stem"]


def test_without_macs_the_share_is_that_of_elementwise_work():
    rows = (row("", "Net", elementwise=400), row("norm", "LayerNorm", elementwise=300))
    text = render(summary(rows), View())
    assert "% FLOPs" in text.splitlines()[3]
    assert "75.0%" in text


def test_nothing_to_show_is_shown_as_nothing():
    empty = summary((row("", "Identity", output_shapes=()),), phases=(), ops=())
    memory = replace(empty.memory, parameters=0, buffers=0, inputs=0, activations=0, op="")
    text = render(replace(empty, memory=memory, inputs=(), outputs=()), View(ops=True))
    assert "nothing → nothing" in text
    assert "nothing ran" in text
