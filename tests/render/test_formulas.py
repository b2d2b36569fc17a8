"""Formulas in every format; the Python one is run, and compared with the texts."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from render.formula_reports import backbone, hostile

from blocktool.analysis import expressions
from blocktool.render import (
    formulas_latex,
    formulas_markdown,
    formulas_python,
    formulas_table,
    json,
)
from blocktool.render.formula_python import python
from blocktool.render.formula_shorthand import FIGURES, Shorthand
from blocktool.render.view import View
from blocktool.results.formulas import Formulas

MAKERS = {"backbone": backbone, "hostile": hostile}
PLACES = (
    {"B": 2, "H": 49, "W": 49, "C": 48, "G": 4},
    {"B": 5, "H": 64, "W": 33, "C": 16, "G": 2},
    {"B": 3, "H": 57, "W": 20, "C": 40, "G": 5},
)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("width", [80, 120])
def test_table(name: str, width: int, snapshot: Callable[[str, str], None]) -> None:
    text = formulas_table.render(MAKERS[name](), View(width=width))
    snapshot(f"formulas-{name}-{width}.txt", text)
    assert max(map(len, text.splitlines())) <= width


def test_table_options(snapshot: Callable[[str, str], None]) -> None:
    text = formulas_table.render(backbone(), View(width=140, expand=True, unicode=False))
    snapshot("formulas-backbone-expand-ascii-140.txt", text)
    assert text.isascii()
    assert "1 of 2 levels" in formulas_table.render(backbone(), View(depth=1))
    assert "\x1b[" in formulas_table.render(backbone(), View(color=True))
    assert "\x1b" not in formulas_table.render(hostile(), View())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("render", "suffix"),
    [
        (formulas_markdown.render, "md"),
        (formulas_latex.render, "tex"),
        (formulas_python.render, "py.txt"),
    ],
)
def test_files(name: str, render: Any, suffix: str, snapshot: Callable[[str, str], None]) -> None:
    snapshot(f"formulas-{name}.{suffix}", render(MAKERS[name](), View()))


@pytest.mark.parametrize("make", MAKERS.values())
def test_json_comes_back(make: Callable[[], Formulas]) -> None:
    assert json.read(json.to_json(make()), Formulas) == make()


def sizes_of(formulas: Formulas, place: dict[str, int]) -> dict[str, int]:
    return {symbol.name: place[symbol.name] for symbol in formulas.symbols}


@pytest.mark.parametrize("make", MAKERS.values())
def test_python_gives_the_same_numbers(make: Callable[[], Formulas]) -> None:
    formulas = make()
    source = formulas_python.render(formulas, View())
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    module: dict[str, Any] = {}
    exec(compile(source, "formulas", "exec"), module)
    for place in PLACES:
        sizes = sizes_of(formulas, place)
        for name in FIGURES:
            text = getattr(formulas.totals, name)
            if text is None:
                assert name not in module
                continue
            wanted = expressions.evaluate(expressions.parse(text), sizes)
            found = module[name](**sizes)
            assert type(found) is int
            assert found == wanted, name
        rows = module["modules"](**sizes)
        assert list(rows) == [row.path for row in formulas.modules]
        for row in formulas.modules:
            wanted = expressions.evaluate(expressions.parse(row.macs or "0"), sizes)
            assert rows[row.path]["macs"] == wanted
        least = all(sizes[s.name] >= s.least for s in formulas.symbols)
        true = all(expressions.evaluate(expressions.parse(c), sizes) for c in formulas.conditions)
        assert module["holds"](**sizes) is bool(least and true)


@pytest.mark.parametrize(
    "text",
    [
        "ceil(H/4) + floor(H/3)",
        "(17*C**2/16 + 3*C)*G",
        "C/4 - C/8 + H",
        "(C/2)**2 - H % 7",
        "max(C/4, H//2)*2",
        "-3*H + C",
        "ceil(H/4) >= C/8",
    ],
)
def test_python_is_exact(text: str) -> None:
    node = expressions.parse(text)
    source = python(node)
    assert "/" not in source.replace("//", "")
    for place in PLACES:
        sizes = {**place, "C": 16 * place["C"]}
        assert eval(source, {}, dict(sizes)) == expressions.evaluate(node, sizes)


def test_latex_is_balanced() -> None:
    for make in MAKERS.values():
        text = formulas_latex.render(make(), View())
        body = re.sub(r"\\[{}]", "", re.sub(r"(?m)^%.*$", "", text))
        assert body.count("{") == body.count("}")
        assert body.count(r"\left") == body.count(r"\right")
        assert body.count(r"\begin") == body.count(r"\end") == 2
        assert not re.search(r"(?<!\\)[_^](?!\{)", body)
        assert "|" not in body or r"a\_b|" in body


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("8704*B*H*W", r"8704 \, B \, H \, W"),
        ("9*C**2/G + 2*C", r"\frac{9 \, C^{2}}{G} + 2 \, C"),
        ("B*(H - 1)", r"B \, \left(H - 1\right)"),
        ("B - (H - 1)", r"B - \left(H - 1\right)"),
        ("(H + 1)//2", r"\left\lfloor \frac{H + 1}{2} \right\rfloor"),
        ("H % 7 == 0", r"H \bmod 7 = 0"),
        ("max(H, W) >= 3", r"\max\left(H, W\right) \geq 3"),
    ],
)
def test_latex_by_hand(text: str, latex: str) -> None:
    assert formulas_latex.latex(expressions.parse(text)) == latex


def test_shorthand_keeps_the_value() -> None:
    texts = (
        "B*((H + 1)//2)*((W + 1)//2) + (((H + 1)//2 + 6)//7)*W",
        "max(H//2, (H + 1)//2) - H//4",
        "((H + 1)//4)*3",
    )
    short = Shorthand(texts, ("B", "H", "W"))
    names = [name for name, _ in short.definitions]
    assert len(set(names)) == len(names) == 6
    for place in PLACES:
        known = dict(place)
        for name, node in short.definitions:
            known[name] = int(expressions.evaluate(node, known))
        for text in texts:
            found = expressions.evaluate(short.node(text), known)
            assert found == expressions.evaluate(expressions.parse(text), place)


def incomplete() -> Formulas:
    """A shape without a formula, and a peak for fewer sizes than the rest."""
    report = hostile()
    totals = replace(
        report.totals,
        peak_live_bytes="12*B*C*H*W + 88*C",
        peak_live_bytes_where=("C % 16 == 0", "G == 1 or H >= 9"),
    )
    rows = tuple(replace(row, output_shapes=(None,)) for row in report.modules)
    return replace(report, outputs=(None,), totals=totals, modules=rows)


def test_what_is_unknown_is_a_dash_or_null() -> None:
    report = incomplete()
    table = formulas_table.render(report, View(width=100))
    assert "H, W: bfloat16) → - · training" in table
    assert re.search(r"^  a_b\S+ +Conv\\2d +- ", table, re.MULTILINE)
    assert "| - |" in formulas_markdown.render(report, View())
    assert " & - & " in formulas_latex.render(report, View())
    text = json.to_json(report)
    assert '"outputs": [null]' in text
    assert '"output_shapes": [null]' in text
    assert json.read(text, Formulas) == report


def test_the_peak_has_its_conditions_in_every_format() -> None:
    report = incomplete()
    table = formulas_table.render(report, View(width=100))
    assert "12*B*C*H*W + 88*C\n" in table
    assert "\n                    where C % 16 == 0 and (G == 1 or H >= 9)\n" in table
    markdown = formulas_markdown.render(report, View())
    assert "`12*B*C*H*W + 88*C` where `C % 16 == 0 and (G == 1 or H >= 9)` |" in markdown
    latex = formulas_latex.render(report, View())
    assert r"88 \, C \quad \text{for } C \bmod 16 = 0" in latex
    assert '"peak_live_bytes_where": ["C % 16 == 0", "G == 1 or H >= 9"]' in json.to_json(report)
    module: dict[str, Any] = {}
    exec(formulas_python.render(report, View()), module)
    assert module["peak_live_bytes"](C=32, G=1, B=2, H=3, W=5) == 12 * 2 * 32 * 15 + 88 * 32
    assert module["peak_live_bytes"](C=16, G=2, B=2, H=9, W=5) == 12 * 2 * 16 * 45 + 88 * 16
    for sizes in ({"C": 24, "G": 1, "H": 9}, {"C": 32, "G": 2, "H": 8}):
        with pytest.raises(ValueError, match="only where C % 16 == 0 and"):
            module["peak_live_bytes"](**sizes, B=2, W=5)
        assert module["macs"](**sizes, B=2, W=5) > 0
