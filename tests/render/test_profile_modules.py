from __future__ import annotations

import re
from dataclasses import replace

import pytest
from render.profile_pieces import case, module, profile
from render.profiles import by_module

from blocktool.render.profile_modules import accounts
from blocktool.render.profile_table import render
from blocktool.render.profile_tree import SCREEN, height, shown_tree, walk
from blocktool.render.view import TIME_KEYS, View
from blocktool.results.profile import ModuleTime, ModuleTimes


def _times() -> ModuleTimes:
    times = by_module().cases[0].modules
    assert times is not None
    return times


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("expand", [True, False])
def test_own_times_add_up_to_the_whole_at_any_depth(depth: int, expand: bool):
    tree, levels = shown_tree(_times().rows, View(depth=depth, expand=expand))
    nodes = list(walk(tree))
    assert sum(node.own_ms for node in nodes) == pytest.approx(100.0)
    assert sum(node.share for node in nodes) == pytest.approx(1.0)
    assert levels == 3
    assert height(tree) == min(depth, 3)
    for node in nodes:
        # What a module takes is its own time and that of its children, as they are shown.
        assert node.total_ms == pytest.approx(node.own_ms + sum(c.total_ms for c in node.children))


def test_equal_modules_are_one_row_with_the_figures_of_all():
    tree, _ = shown_tree(_times().rows, View())
    nodes = {node.name: node for node in walk(tree)}
    pair = nodes["1-2"]
    # By hand: 21.5 and 23 ms, 1 GMAC each; limits of 80%.
    assert (pair.count, pair.calls, pair.total_ms, pair.own_ms) == (2, 2, 44.5, 2.0)
    assert pair.gflops == pytest.approx(2 * 2e9 / 44.5e-3 / 1e9)
    assert pair.attained == pytest.approx(0.8)
    assert pair.limits is not None
    assert pair.limits.bound == "compute"
    assert nodes["0"].count == 1  # twice the MACs: another row
    expanded, _ = shown_tree(_times().rows, View(expand=True))
    assert [node.name for node in walk(expanded)].count("conv") == 4


def test_only_the_same_work_folds():
    rows = [module("", "Net", 6.0, 0.0, 6.0)]
    rows += [module(f"{i}", "Linear", 1.0 + i / 10, 1.0, 6.0, macs=100) for i in range(4)]
    rows[2] = replace(rows[2], moved_bytes=5)
    tree, _ = shown_tree(rows, View())
    assert [node.name for node in tree.children] == ["0", "1", "2-3"]
    named = [replace(row, path=row.path and f"layer_{'abcd'[int(row.path)]}") for row in rows]
    assert len(shown_tree(named, View())[0].children) == 4


def test_a_limit_that_is_missing_is_missing_in_the_sum():
    rows = [module("", "Net", 2.0, 0.0, 2.0), *(module(f"{i}", "A", 1.0, 1.0, 2.0) for i in "01")]
    rows[2] = replace(rows[2], roofline=None)
    node = shown_tree(rows, View())[0].children[0]
    assert (node.count, node.limits, node.attained) == (2, None, None)


def test_rows_whose_parent_is_missing_hang_from_the_nearest():
    rows = [module("", "Net", 3.0, 1.0, 3.0), module("a.b.c", "Conv2d", 2.0, 2.0, 3.0)]
    tree, _ = shown_tree(rows, View())
    assert [node.name for node in walk(tree)] == ["", "a.b.c"]
    with pytest.raises(ValueError, match="no modules"):
        shown_tree([], View())


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("time", ["stage", "stem", "head"]),
        ("own", ["stage", "stem", "head"]),
        ("macs", ["stage", "stem", "head"]),
        ("name", ["head", "stage", "stem"]),
        ("attained", ["stem", "head", "stage"]),  # a container has no limit of its own
        ("calls", ["stem", "head", "stage"]),
    ],
)
def test_siblings_are_ordered_as_asked(key: str, order: list[str]):
    assert key in TIME_KEYS
    tree, _ = shown_tree(_times().rows, View(depth=1, sort_times=key))  # type: ignore[arg-type]
    assert [node.name for node in tree.children] == order


def test_depth_is_chosen_to_fit_a_screen_unless_it_is_given():
    rows = [module("", "Net", 200.0, 0.0, 200.0)]
    for i in range(10):
        rows.append(module(f"{i}", f"A{i}", 20.0, 0.0, 200.0))
        rows += [module(f"{i}.{j}", f"B{j}", 2.0, 2.0, 200.0) for j in range(10)]
    tree, levels = shown_tree(rows, View())
    assert len(list(walk(tree))) == 11 <= SCREEN
    assert levels == 2
    times = ModuleTimes(200.0, 201.0, 1, 0.9, tuple(rows))
    text = render(profile(case(modules=times)), View())
    assert "1 of 2 levels shown; --depth 2 shows all" in text
    assert len(list(walk(shown_tree(rows, View(depth=2))[0]))) == 111


def test_the_table_by_module():
    text = render(by_module(), View(width=140))
    assert re.search(
        r"└─ conv +Conv2d +2 +42\.50 ms +42\.5% █+. +94\.1 +0\.188 +80% +compute", text
    )
    assert "93.0% of the time is in leaf modules; 7.0% is" in text
    assert "12 runs with a clock at every module: 100.9 ms, 1.7% more than the 99.20 ms" in text
    assert "×n: n equal modules in one row" in text
    assert "Backward" not in text


def test_the_backward_has_a_column_in_training():
    rows: list[ModuleTime] = [
        module("", "Net", 10.0, 0.5, 10.0, backward_ms=6.0),
        module("fc", "Linear", 8.5, 8.5, 10.0, macs=10**6, backward_ms=6.0),
        module("(optimizer)", "phase", 1.0, 1.0, 10.0, calls=0),
    ]
    made = profile(case(modules=ModuleTimes(10.0, 10.1, 1, 0.85, tuple(rows), ("by phase",))))
    text = render(made, View(width=140))
    assert re.search(r"├─ fc +Linear +1 +8\.500 ms +6\.000 ms +85\.0% ", text)
    assert re.search(r"└─ \(optimizer\) +phase +0 +1\.000 ms ", text)
    assert "note: by phase" in text
    assert "1 run with a clock" in text


@pytest.mark.parametrize(
    ("instrumented", "told"),
    [(100.0, "100.0 ms, as the 100.0 ms"), (101.0, "1.0% more than"), (99.0, "1.0% less than")],
)
def test_what_the_clocks_cost(instrumented: float, told: str):
    _, cost = accounts(ModuleTimes(100.0, instrumented, 3, 0.9, ()))
    assert told in cost


def test_cases_by_module_are_named_and_not_too_many():
    times = _times()
    cases = [case(i, 2**i, 10.0, modules=times) for i in range(6)]
    text = render(profile(*cases), View(width=140))
    assert re.findall(r"By module: (.*)", text) == [f"batch {2**i}" for i in range(4)]
    assert "and 2 cases more by module: -f json has them" in text
