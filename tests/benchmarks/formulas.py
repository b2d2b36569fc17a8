"""Formulas against numeric runs: figures compared, figures that differ, and the time it takes.

    python tests/benchmarks/formulas.py

prints the table of docs/formulas.md. Every figure of every module and of the whole is compared at
ten sizes or more.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from symbolic_models import MODELS, Case, block_case, model_case

import blocktool
from blocktool.analysis import expressions
from blocktool.render.formula_shorthand import FIGURES
from blocktool.results.formulas import Formulas
from blocktool.results.summary import Summary
from blocktool.targets.catalog import CATALOG


def value(text: str | None, sizes: dict[str, int]) -> object:
    return None if text is None else expressions.evaluate(expressions.parse(text), sizes)


def holds(found: Formulas, sizes: dict[str, int]) -> bool:
    least = all(sizes[symbol.name] >= symbol.least for symbol in found.symbols)
    return least and all(value(condition, sizes) for condition in found.conditions)


def differing(found: Formulas, numeric: Summary, sizes: dict[str, int]) -> tuple[int, int]:
    """Figures that were compared, and those that differ."""
    pairs = [(found.totals, numeric.totals), *zip(found.modules, numeric.modules, strict=True)]
    compared = wrong = 0
    for formulas, figures in pairs:
        for name in FIGURES:
            if hasattr(formulas, name) and hasattr(figures, name):
                compared += 1
                wrong += value(getattr(formulas, name), sizes) != getattr(figures, name)
    return compared, wrong


def row(case: Case, name: str) -> str:
    hints = {"B": 2, "H": 180, "W": 190} if name == "swin_t" else case.hints
    started = time.perf_counter()
    found = blocktool.formulas(case.module, case.inputs, hints=hints, compare=0)
    seconds = time.perf_counter() - started
    places = [sizes for sizes in (*case.sizes, *around(hints)) if holds(found, sizes)][:12]
    compared = wrong = 0
    for sizes in places:
        numeric = blocktool.summarize(case.module, case.at(sizes))
        some, bad = differing(found, numeric, sizes)
        compared, wrong = compared + some, wrong + bad
    peaks = (found.totals.peak_live_bytes or "").count(", ") + 1
    return f"| {name} | {seconds:.2f} s | {len(places)} | {compared} | {wrong} | {peaks} |"


def around(hints: dict[str, int]) -> list[dict[str, int]]:
    """More sizes, for modules that take few."""
    if "H" not in hints:
        return []
    steps = range(400)
    return [
        {"B": 2 + step % 5, "H": 130 + 7 * step % 97, "W": 130 + 11 * step % 97} for step in steps
    ]


def main() -> None:
    print("| module | time | sizes | figures compared | differ | terms of the peak |")
    print("|-|-|-|-|-|-|")
    blocktool.formulas(block_case("conv").module, ("B", 64, "H", "W"))  # imports
    for name in sorted(CATALOG):
        print(row(block_case(name), name), flush=True)
    for name in MODELS:
        print(row(model_case(name), name), flush=True)


if __name__ == "__main__":
    main()
