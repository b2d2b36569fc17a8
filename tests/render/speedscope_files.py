"""Files for speedscope, read as it reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}
Stacks = list[tuple[list[str], float]]


def read(text: str) -> dict[str, Any]:
    """The file, once it is known to be as https://www.speedscope.app/file-format-schema.json wants
    it: what is required is there, of the right type, and indices and lengths agree."""
    file: dict[str, Any] = json.loads(text)
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert file.keys() <= {
        *("$schema", "shared", "profiles", "name", "activeProfileIndex", "exporter"),
    }
    assert isinstance(file["name"], str)
    assert isinstance(file["exporter"], str)
    assert 0 <= file["activeProfileIndex"] < len(file["profiles"])
    frames = file["shared"]["frames"]
    for frame in frames:
        assert isinstance(frame["name"], str)
        assert frame.keys() <= {"name", "file", "line", "col"}
    for each in file["profiles"]:
        assert each.keys() == {
            *("type", "name", "unit", "startValue", "endValue", "samples", "weights"),
        }
        assert each["type"] == "sampled"
        assert isinstance(each["name"], str)
        assert each["unit"] in UNITS
        assert len(each["samples"]) == len(each["weights"])
        assert all(isinstance(weight, int | float) and weight > 0 for weight in each["weights"])
        for stack in each["samples"]:
            assert stack
            assert all(isinstance(index, int) and 0 <= index < len(frames) for index in stack)
        assert each["endValue"] - each["startValue"] == pytest.approx(sum(each["weights"]))
    return file


def stacks(file: dict[str, Any], number: int = 0) -> Stacks:
    """The samples of one profile: the names of the frames from the root, and the weight."""
    names = [frame["name"] for frame in file["shared"]["frames"]]
    shown = file["profiles"][number]
    pairs = zip(shown["samples"], shown["weights"], strict=True)
    return [([names[index] for index in stack], weight) for stack, weight in pairs]
