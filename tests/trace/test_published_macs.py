"""Whole models against figures that were counted elsewhere, to the last digit given.

``tests/data/model_macs.csv`` holds, for 23 classifiers of timm, parameters in millions and GMACs at
one image of the input size given, counted independently of this project; where torchvision has the
same architecture the figures are also those that it publishes with its weights.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from blocktool.analysis.summary import summarize_trace
from blocktool.targets.resolve import resolve
from blocktool.trace.target import trace_target

pytest.importorskip("timm")

DATA = Path(__file__).parents[1] / "data" / "model_macs.csv"


def published() -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_the_table_is_whole() -> None:
    assert len(published()) == 23


@pytest.mark.parametrize("row", published(), ids=lambda row: row["model"])
def test_parameters_and_macs_are_as_published(row: dict[str, str]) -> None:
    target = resolve(f"timm:{row['model']}")
    assert target.inputs is not None
    size = int(row["input_size"])
    summary = summarize_trace(trace_target(target, _square(size)))
    assert summary.traced_on == "meta"
    assert summary.uncovered_ops == ()
    assert f"{summary.totals.params / 1e6:.3f}" == row["params_millions"]
    assert f"{summary.totals.macs / 1e9:.3f}" == row["gmacs"]
