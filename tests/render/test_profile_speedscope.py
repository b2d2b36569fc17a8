"""Files for speedscope, held to its published format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from render.profile_pieces import case, module, profile
from render.profiles import HOSTILE, by_module, hostile, single

from blocktool.errors import UsageError
from blocktool.render.profile_speedscope import render
from blocktool.render.view import View
from blocktool.results.profile import ModuleTimes, Profile

UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}
Stacks = list[tuple[list[str], float]]


def read(made: Profile) -> dict[str, Any]:
    """The file, once it is known to be as https://www.speedscope.app/file-format-schema.json wants
    it: what is required is there, of the right type, and indices and lengths agree."""
    text = render(made, View())
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
    names = [frame["name"] for frame in file["shared"]["frames"]]
    shown = file["profiles"][number]
    pairs = zip(shown["samples"], shown["weights"], strict=True)
    return [([names[index] for index in stack], weight) for stack, weight in pairs]


def test_own_times_stand_under_the_modules_above() -> None:
    file = read(by_module())
    assert file["profiles"][0]["unit"] == "milliseconds"
    assert file["profiles"][0]["endValue"] == pytest.approx(100.0)
    block = ["Backbone", "stage: ModuleList", "stage.1: Block"]
    found = stacks(file)
    assert found[:3] == [
        (["Backbone"], 1.5),
        (["Backbone", "stem: Sequential"], 0.5),
        (["Backbone", "stem: Sequential", "stem.conv: Conv2d"], 17.5),
    ]
    assert (block, 1.0) in found
    assert ([*block, "stage.1.conv: Conv2d"], 20.5) in found
    assert found[-1] == (["Backbone", "head: Linear"], 2.0)


def test_the_time_of_a_frame_is_that_of_its_module() -> None:
    made = by_module()
    assert made.cases[0].modules is not None
    found = stacks(read(made))
    for row in made.cases[0].modules.rows:
        name = f"{row.path}: {row.type}" if row.path else row.type
        assert sum(weight for stack, weight in found if name in stack) == pytest.approx(
            row.total_ms
        )


def test_a_profile_for_each_case_with_modules() -> None:
    def times(ms: float) -> ModuleTimes:
        rows = module("", "Net", ms, 1.0, ms), module("a.b", "Conv2d", ms - 1, ms - 1, ms)
        return ModuleTimes(ms, ms, 3, 1.0, (*rows, module("(optimizer)", "phase", 1, 1, ms)))

    made = profile(
        case(0, 1, 5.0, modules=times(5)), case(1, 8, 9.0), case(2, 16, 9.0, modules=times(17))
    )
    file = read(made)
    names = [each["name"] for each in file["profiles"]]
    assert names == ["torchvision:resnet50, batch 1", "torchvision:resnet50, batch 16"]
    path = ["Net", "a", "a.b: Conv2d"]  # "a" has no row of its own
    assert stacks(file, 1)[1:] == [(path, 16.0), (["Net", "(optimizer): phase"], 1.0)]
    assert len(file["shared"]["frames"]) == 4


def test_names_are_kept_whatever_they_are() -> None:
    file = read(hostile())
    assert file["name"] == HOSTILE
    assert [frame["name"] for frame in file["shared"]["frames"]] == [
        HOSTILE,
        "[red]: Evil\x1b[31m",
        "畳み込み: 畳み込み層",
    ]


def test_without_modules_there_is_nothing_to_show() -> None:
    with pytest.raises(UsageError, match="no case was timed by module") as caught:
        render(single(), View())
    assert caught.value.hint == "add --per-module"
