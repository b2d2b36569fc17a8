from __future__ import annotations

from dataclasses import replace

import pytest
from render.summaries import backbone, row

from blocktool.analysis.fold import (
    ModuleNode,
    fold,
    height,
    limit_depth,
    module_tree,
    sort_siblings,
    walk,
)
from blocktool.results.summary import ModuleRow


def _names(node: ModuleNode) -> list[str]:
    return [child.name for child in node.children]


def _folded(*rows: ModuleRow) -> ModuleNode:
    macs = sum(r.macs for r in rows if "." not in r.path)
    return fold(module_tree((row("", "Net", params=1_000, macs=macs), *rows)))


def test_the_tree_follows_the_paths():
    tree = module_tree(backbone().modules)
    assert _names(tree) == ["stem", "stage", "head", "auxiliary"]
    assert [node.row.path for node in walk(tree)] == [r.path for r in backbone().modules]
    assert height(tree) == 3


def test_a_row_without_its_parent_hangs_from_the_nearest_ancestor():
    tree = module_tree((row(""), row("a"), row("a.b.c"), row("x.y")))
    assert _names(tree) == ["a", "x.y"]
    assert _names(tree.children[0]) == ["b.c"]


def test_no_rows_are_no_tree():
    with pytest.raises(ValueError, match="row of the module itself"):
        module_tree(())


def test_equal_siblings_fold_and_add_up():
    stage = fold(module_tree(backbone().modules)).children[1]
    first, rest = stage.children
    assert (first.name, first.count) == ("0", 1)
    assert (rest.name, rest.count) == ("1-4", 4)
    assert rest.row.macs == 4 * 1_500_000
    assert rest.row.param_bytes == 4 * 4 * 1_200
    assert rest.row.output_shapes == ((1, 8, 16, 16),)
    # Children of a fold stand for as many, and add up to it as well.
    (conv,) = rest.children
    assert (conv.name, conv.count, conv.row.params) == ("conv1-2", 8, 8 * 600)
    assert sum(child.row.macs for child in stage.children) == stage.row.macs


def test_folding_keeps_every_column_adding_up_to_its_parent():
    for before, after in zip(
        module_tree(backbone().modules).children,
        fold(module_tree(backbone().modules)).children,
        strict=True,
    ):
        for figure in ("params", "macs", "activation_bytes"):
            total = sum(getattr(child.row, figure) for child in before.children)
            assert sum(getattr(child.row, figure) for child in after.children) == total


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Conv1d"},
        {"macs": 11},
        {"calls": 2},
        {"detail": "stride=2"},
        {"input_shapes": ((2, 8, 16, 16),)},
        {"output_shapes": ((2, 8, 16, 16),)},
        {"read_bytes": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_difference_keeps_siblings_apart(change: dict[str, object]):
    same = row("1", macs=10)
    assert _names(_folded(row("0", macs=10), same)) == ["0-1"]
    assert _names(_folded(row("0", macs=10), replace(same, **change))) == ["0", "1"]


def test_a_difference_below_keeps_siblings_apart():
    tree = _folded(row("0"), row("0.conv"), row("1"), row("1.conv", detail="3, 8"))
    assert _names(tree) == ["0", "1"]
    tree = _folded(row("0"), row("0.conv"), row("1"), row("1.other"))
    assert _names(tree) == ["0", "1"]


def test_only_running_numbers_fold():
    assert _names(_folded(row("query"), row("key"), row("value"))) == ["query", "key", "value"]
    assert _names(_folded(row("conv1"), row("conv2"), row("conv3"))) == ["conv1-3"]
    assert _names(_folded(row("conv1"), row("norm2"))) == ["conv1", "norm2"]
    assert _names(_folded(row("0"), row("2"))) == ["0", "2"]


def test_siblings_that_share_parameters_stay_apart():
    """Two tied layers of 700 parameters below a module of 1000: a sum of 1400 would be a lie."""
    assert _names(_folded(row("0", params=700), row("1", params=700))) == ["0", "1"]
    assert _names(_folded(row("0", params=500), row("1", params=500))) == ["0-1"]


def test_what_a_module_computes_itself_has_a_node():
    attention = row("", "Attention", params=30, macs=100)
    tree = module_tree((attention, row("qkv", params=20, macs=60), row("proj", params=10, macs=20)))
    own = tree.children[-1]
    assert (own.name, own.row.type) == ("(itself)", "own operations")
    assert (own.row.macs, own.row.params) == (20, 0)
    assert sum(child.row.macs for child in tree.children) == 100


def test_depth_and_order():
    tree = module_tree(backbone().modules)
    assert [node.name for node in walk(limit_depth(tree, 1))] == ["", *_names(tree)]
    assert limit_depth(tree, 0).children == ()
    by_macs = sort_siblings(tree, lambda node: node.row.macs)
    assert _names(by_macs) == ["stage", "stem", "head", "auxiliary"]
    assert _names(by_macs.children[0]) == ["0", "1", "2", "3", "4"]  # equals keep their order


def test_called_looks_below():
    stem, stage, head, auxiliary = module_tree(backbone().modules).children
    assert stage.row.calls == 0
    assert [stem.called, stage.called, head.called, auxiliary.called] == [True, True, True, False]
