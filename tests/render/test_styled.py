from __future__ import annotations

from unicodedata import bidirectional

import pytest

from blocktool.render.columns import Cell, Column, layout
from blocktool.render.styled import (
    ASCII,
    UNICODE,
    bar,
    clean,
    pad,
    shorten,
    to_text,
    width_of,
    wrap,
)

TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_what_is_too_long_loses_its_middle():
    assert shorten("stages.0.conv", 20, UNICODE) == "stages.0.conv"
    assert shorten("backbone.stages.3.conv", 11, UNICODE) == "backb….conv"
    assert shorten("backbone", 1, ASCII) == "~"
    for width in range(1, 12):
        assert width_of(shorten("畳み込みニューラル", width, UNICODE)) <= width


def test_wide_characters_take_two_columns():
    assert width_of("畳み") == 4
    assert pad("畳み", 6) == "畳み  "
    assert pad("12", 4, right=True) == "  12"


def test_control_characters_never_reach_the_terminal():
    assert clean("a\x1b[31mb\nc\x9bd") == "a�[31mb�c�d"
    assert clean("é\x07", unicode=False) == "??"


@pytest.mark.parametrize(
    "turn",
    [c for c in map(chr, range(0x10000)) if bidirectional(c) in TURNS or c in "\u200e\u200f\u061c"],
    ids=lambda turn: f"U+{ord(turn):04X}",
)
def test_what_shows_text_in_another_order_is_replaced(turn: str) -> None:
    assert clean(f"a{turn}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert clean(f"a{turn}b", unicode=False) == "a?b"


@pytest.mark.parametrize(
    ("share", "text"), [(0, ""), (0.00001, "▏"), (0.5, "█████"), (0.55, "█████▌"), (2, "█" * 10)]
)
def test_bars(share: float, text: str):
    assert bar(share, 10, UNICODE) == text


def test_colour_is_only_where_it_is_asked_for():
    lines = [[("a", "bold"), ("  ", ""), ("[red]", "dim cyan"), ("   ", "")], []]
    assert to_text(lines, color=False) == "a  [red]\n\n"
    assert to_text(lines, color=True) == "\x1b[1ma\x1b[0m  \x1b[2;36m[red]\x1b[0m\n\n"


def test_wrapping_indents_what_follows():
    assert wrap("note: one two three four", 26, indent=6) == ["note: one two three four"]
    assert wrap("note: " + "word " * 6, 26, indent=6) == [
        "note: word word word word",
        "      word word",
    ]


def _table(width: int) -> list[str]:
    columns = [
        Column("Name", [Cell("x" * 30, lead="├─ ")], shrink_to=10),
        Column("Always", [Cell("123.456 M")], right=True),
        Column("Second", [Cell("second")], drop=2),
        Column("First", [Cell("first")], drop=1),
    ]
    return to_text(layout(columns, width, UNICODE), color=False).splitlines()


def test_columns_give_way_in_their_turn_and_figures_stay_whole():
    assert _table(80)[0].split() == ["Name", "Always", "Second", "First"]
    assert _table(50)[0].split() == ["Name", "Always", "Second", "First"]  # the name is shortened
    assert _table(45)[0].split() == ["Name", "Always", "Second"]
    assert _table(36)[0].split() == ["Name", "Always"]
    for width in (80, 50, 45, 36, 22):
        lines = _table(width)
        assert max(map(len, lines)) <= width
        assert "123.456 M" in lines[2]
        assert lines[2].startswith("├─ x")
    assert "123.456 M" in _table(5)[2]  # too narrow for anything, but never a part of a figure


def test_names_lose_a_third_before_a_column_goes():
    assert "…" not in _table(80)[2]
    assert "…" in _table(50)[2]


def test_wide_characters_count_twice_when_text_is_wrapped():
    text = " ".join(["畳み込み"] * 5)  # eight columns each
    assert wrap(text, 25) == ["畳み込み 畳み込み", "畳み込み 畳み込み", "畳み込み"]
    assert " ".join(wrap(text, 25)) == text


def test_bytes_that_are_no_text_can_be_written():
    assert clean("net\udcff.py") == "net\N{REPLACEMENT CHARACTER}.py"
    assert clean("net\udcff.py", unicode=False) == "net?.py"
