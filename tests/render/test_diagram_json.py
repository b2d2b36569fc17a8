from __future__ import annotations

import json

import pytest
from render.diagrams import MAKERS, residual, symbolic

from blocktool.render.json import read, to_json
from blocktool.results.diagram import Diagram


@pytest.mark.parametrize("name", MAKERS)
def test_it_comes_back_as_it_was(name: str) -> None:
    assert read(to_json(MAKERS[name]()), Diagram) == MAKERS[name]()


def test_the_fields_are_those_that_are_published() -> None:
    report = json.loads(to_json(residual()))
    assert (report["schema_version"], report["kind"]) == ("1", "diagram")
    assert report["edges"][1] == {"source": "n1", "target": "n4", "shapes": [], "skip": True}
    assert report["nodes"][4]["shapes"] == [[1, 8, 4, 4], [1, 8]]
    assert report["nodes"][4]["cost"] == {
        "params": 1168, "macs": 18432, "activation_bytes": 1024, "moved_bytes": 8192,
    }  # fmt: skip
    assert json.loads(to_json(symbolic()))["nodes"][1]["shapes"] == [
        ["B", 3, "(H + 1)//2", "(W + 1)//2"]
    ]
