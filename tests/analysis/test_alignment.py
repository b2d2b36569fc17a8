"""Trees of modules laid side by side: every module is found once, and an edit is found as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from blocktool.analysis.alignment import Alignment, align
from blocktool.analysis.module_tree import FIGURES, Node, tree
from blocktool.results.summary import ModuleRow


@dataclass
class Made:
    """A module to be: what it is called, its class, its detail, what it holds."""

    name: str
    kind: str = "Linear"
    detail: str = ""
    params: int = 4
    children: list[Made] = field(default_factory=list)


def rows(made: Made, above: str | None = None) -> list[ModuleRow]:
    path = "" if above is None else ".".join(filter(None, [above, made.name]))
    below = [row for child in made.children for row in rows(child, path)]
    direct = [row for row in below if row.path.count(".") == (path.count(".") + 1 if path else 0)]
    params = made.params + sum(row.params for row in direct)
    figures = dict.fromkeys(FIGURES, 0) | {"params": params, "macs": 2 * params}
    row = ModuleRow(path, made.kind, 1, 0, (), (), **figures, detail=made.detail)
    return [row, *below]


def root(*children: Made, kind: str = "Net") -> Made:
    return Made("", kind, children=list(children), params=0)


def laid(old: Made, new: Made) -> Alignment:
    found = align(tree(rows(old)), tree(rows(new)))
    before, after = ([n for n, _ in found.pairs], [n for _, n in found.pairs])
    replaced = {id(n) for pair in found.pairs if pair[0].row.type != pair[1].row.type for n in pair}
    for side, tops, whole in (
        (before, found.removed, found.old),
        (after, found.added, found.new),
    ):
        again = {id(node) for node in side}
        assert len(again) == len(side)
        left = {id(n) for top in tops for n in top.walk()} | {id(n) for n in found.shell}
        for node in whole.walk():
            if id(node) not in again and id(node) not in left:
                assert any(id(above) in replaced for above in _above(node)), node.path
    return found


def _above(node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def names(nodes: Sequence[Node]) -> list[str]:
    return [node.path for node in nodes]


def turned(found: Alignment) -> dict[str, str]:
    return {old.path: new.path for old, new in found.pairs if old.path != new.path}


def block(name: str, width: int) -> Made:
    return Made(
        name,
        "Block",
        children=[
            Made("fc", "Linear", f"in_features={width}, out_features={width}", width * width),
            Made("act", "ReLU", params=0),
        ],
    )


def test_the_same_is_found_as_it_is():
    made = root(block("a", 8), block("b", 16))
    found = laid(made, made)
    assert (found.removed, found.added, turned(found)) == ([], [], {})
    assert len(found.pairs) == 7


def test_a_renamed_module_is_found_with_what_it_holds():
    found = laid(root(block("a", 8), block("b", 16)), root(block("a", 8), block("c", 16)))
    assert turned(found) == {"b": "c", "b.fc": "c.fc", "b.act": "c.act"}


def test_an_index_moves_on():
    old = root(*(block(str(i), width) for i, width in enumerate((8, 16, 32))))
    new = root(*(block(str(i), width) for i, width in enumerate((8, 12, 16, 32))))
    found = laid(old, new)
    assert names(found.added) == ["1"]
    assert turned(found)["1"] == "2"


def test_a_renamed_module_that_is_built_otherwise_is_still_the_same():
    wide = Made("b", "Conv2d", "16, 32, kernel_size=(3, 3), stride=(1, 1)")
    found = laid(
        root(wide),
        root(replace(wide, name="c", detail="16, 32, kernel_size=(5, 5), stride=(1, 1)")),
    )
    assert turned(found) == {"b": "c"}


def test_two_of_a_class_that_have_nothing_else_in_common_are_not():
    found = laid(
        root(Made("b", "Linear", "in_features=8, out_features=8")),
        root(Made("c", "Linear", "in_features=64, out_features=10")),
    )
    assert (names(found.removed), names(found.added)) == (["b"], ["c"])


def test_what_moved_elsewhere_is_found():
    gate = block("gate", 24)
    found = laid(
        root(block("a", 8), gate),
        root(replace(block("a", 8), children=[*block("a", 8).children, gate])),
    )
    assert turned(found)["gate"] == "a.gate"
    assert (found.removed, found.added) == ([], [])


def test_a_wrapper_is_all_that_is_added():
    inner = root(block("a", 8), block("b", 16))
    outer = root(replace(inner, name="backbone"), kind="Wrapper")
    found = laid(inner, outer)
    assert turned(found)["a"] == "backbone.a"
    assert (found.removed, found.added, names(found.shell)) == ([], [], [""])
    found = laid(outer, inner)
    assert (found.removed, found.added, names(found.shell)) == ([], [], [""])


def test_a_wrapper_with_something_beside():
    """What it holds beside the model is told apart from it; so where the model lost a part."""
    inner = root(block("a", 8), block("b", 16), block("c", 24))
    backbone = root(block("a", 8), block("b", 16))
    outer = root(replace(backbone, name="model", kind="Net"), block("head", 40), kind="Wrapper")
    found = laid(inner, outer)
    assert names(found.shell) == [""]
    assert (names(found.removed), names(found.added)) == (["c"], ["head"])
    assert turned(found)["a.fc"] == "model.a.fc"


def test_another_module_altogether_is_not_listed_piece_by_piece():
    found = laid(root(block("a", 8)), root(Made("a", "Mixer", params=3, children=[Made("x", "Y")])))
    assert (found.removed, found.added) == ([], [])
    assert [(o.path, n.row.type) for o, n in found.pairs] == [("", "Net"), ("a", "Mixer")]


modules = st.recursive(
    st.builds(
        lambda kind, size: Made("", kind, f"in_features={size}", size),
        st.sampled_from(["Linear", "Conv2d", "Norm"]),
        st.integers(1, 5),
    ),
    lambda below: st.builds(
        lambda kind, children: Made("", kind, params=0, children=children),
        st.sampled_from(["Block", "Sequential"]),
        st.lists(below, min_size=1, max_size=4),
    ),
    max_leaves=12,
)


def numbered(made: Made) -> Made:
    children = [replace(numbered(child), name=f"m{i}") for i, child in enumerate(made.children)]
    return replace(made, children=children)


@settings(max_examples=60, deadline=None)
@given(st.lists(modules, min_size=1, max_size=5), st.lists(modules, min_size=1, max_size=5))
def test_every_module_is_found_at_most_once(old: list[Made], new: list[Made]):
    laid(numbered(root(*old)), numbered(root(*new)))


@settings(max_examples=60, deadline=None)
@given(st.lists(modules, min_size=1, max_size=5), st.integers(0, 5))
def test_one_more_is_one_more(siblings: list[Made], place: int):
    """Whatever stands around it, and whatever the numbers behind it become."""
    numbers = count()
    new = Made("", "Novelty", "built=once", 7)
    grown = [*siblings[:place], new, *siblings[place:]]
    old = root(*(replace(numbered(each), name=str(i)) for i, each in enumerate(siblings)))
    more = root(*(replace(numbered(each), name=str(next(numbers))) for each in grown))
    found = laid(old, more)
    assert [node.row.type for node in found.added] == ["Novelty"]
    assert found.removed == []
