"""Files for speedscope, held to its published format."""

from __future__ import annotations

import pytest
from render.profile_pieces import case, module, profile
from render.profiles import HOSTILE, by_module, hostile, single
from render.speedscope_files import read, stacks

from blocktool.errors import UsageError
from blocktool.render.profile_speedscope import render
from blocktool.render.view import View
from blocktool.results.profile import ModuleTimes


def test_own_times_stand_under_the_modules_above() -> None:
    file = read(render(by_module(), View()))
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
    found = stacks(read(render(made, View())))
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
    file = read(render(made, View()))
    names = [each["name"] for each in file["profiles"]]
    assert names == ["torchvision:resnet50, batch 1", "torchvision:resnet50, batch 16"]
    path = ["Net", "a", "a.b: Conv2d"]  # "a" has no row of its own
    assert stacks(file, 1)[1:] == [(path, 16.0), (["Net", "(optimizer): phase"], 1.0)]
    assert len(file["shared"]["frames"]) == 4


def test_names_are_kept_whatever_they_are() -> None:
    file = read(render(hostile(), View()))
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
