"""The table of a profile's modules: where the time goes, and where it is badly spent."""

from __future__ import annotations

from collections.abc import Callable

from blocktool.render import units
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.guides import guided
from blocktool.render.profile_tree import TimeNode, height, shown_tree, walk
from blocktool.render.styled import Glyphs, Line, bar, clean, wrap
from blocktool.render.view import View
from blocktool.results.profile import ModuleTimes

_NOTHING = 5e-4  # a share that reads <0.1%
_Cells = Callable[[Callable[["TimeNode"], str | None]], list[Cell]]


def module_lines(times: ModuleTimes, view: View, glyphs: Glyphs) -> list[Line]:
    """The tree with its times, what no module accounts for, and what the clocks cost."""
    told = [*accounts(times), *(f"note: {note}" for note in times.notes)]
    lines: list[Line] = []
    if times.rows:
        tree, levels = shown_tree(times.rows, view)
        lines += layout(_columns(tree, view, glyphs), view.width, glyphs)
        told += _cut_remarks(tree, levels, glyphs)
    return [
        *lines,
        *(
            [(line, "dim")]
            for text in told
            for line in wrap(clean(text, unicode=view.unicode), view.width)
        ),
    ]


def accounts(times: ModuleTimes) -> list[str]:
    """How much of the time is in leaf modules, and what it cost to find out."""
    rest = units.percent(max(0.0, 1 - times.attributed))
    runs = "1 run" if times.runs == 1 else f"{times.runs} runs"
    cost = times.overhead
    told = f"{units.percent(abs(cost))} {'more' if cost > 0 else 'less'} than" if cost else "as"
    return [
        f"{units.percent(times.attributed)} of the time is in leaf modules; {rest} is what other "
        "modules do between the calls of those in them",
        f"{runs} with a clock at every module: {units.duration(times.instrumented_ms)}, {told} "
        f"the {units.duration(times.whole_ms)} without",
    ]


def _cut_remarks(tree: TimeNode, levels: int, glyphs: Glyphs) -> list[str]:
    told = []
    shown = height(tree)
    if shown < levels:
        told.append(f"{shown} of {levels} levels shown; --depth {levels} shows all.")
    if any(node.count > 1 for node in walk(tree)):
        told.append(
            f"{glyphs.times}n: n equal modules in one row, with the times of all n; "
            "--expand shows each."
        )
    return told


def _columns(tree: TimeNode, view: View, glyphs: Glyphs) -> list[Column]:
    nodes = list(walk(tree))
    named = guided(
        tree, glyphs, unicode=view.unicode, style=lambda node: "dim" if _idle(node) else ""
    )
    named[0] = Cell(clean(tree.type, unicode=view.unicode), "bold")
    cells = min(max(6, (view.width - 76) // 4), 16)

    def figures(show: Callable[[TimeNode], str | None], style: str = "") -> list[Cell]:
        texts = [clean(show(node) or "", unicode=view.unicode) for node in nodes]
        return [Cell(text, "dim" if text in ("", "0", "0%") else style) for text in texts]

    def tones(show: Callable[[TimeNode], str]) -> list[Cell]:
        return [
            Cell(clean(show(node), unicode=view.unicode), _tone(node, index))
            for index, node in enumerate(nodes)
        ]

    types = [clean(node.type, unicode=view.unicode) for node in nodes[1:]]
    return [
        Column("Module", named, shrink_to=14),
        Column("Type", [Cell(""), *(Cell(text, "cyan") for text in types)], shrink_to=8, drop=4),
        Column("Calls", figures(lambda node: str(node.calls), "dim"), right=True, drop=1),
        Column("Total", tones(lambda node: units.duration(node.total_ms)), right=True),
        *_backward(nodes, figures),
        Column("Own", tones(lambda node: units.percent(node.share)), right=True),
        Column("time", [_bar(node, cells, glyphs) for node in nodes], drop=3, gap=1),
        Column("GFLOP/s", figures(lambda node: units.rate(node.gflops)), right=True),
        Column("GB/s", figures(lambda node: units.rate(node.gbps)), right=True, drop=2),
        *_limit_columns(nodes, figures),
    ]


def _backward(nodes: list[TimeNode], figures: _Cells) -> list[Column]:
    if not any(node.backward_ms for node in nodes):
        return []
    return [Column("Backward", figures(lambda node: units.duration(node.backward_ms)), right=True)]


def _limit_columns(nodes: list[TimeNode], figures: _Cells) -> list[Column]:
    if all(node.attained is None for node in nodes):
        return []

    def attained(node: TimeNode) -> str | None:
        return None if node.attained is None else units.whole_percent(node.attained)

    return [
        Column("Of limit", figures(attained), right=True),
        Column("Bound", figures(lambda node: node.limits.bound if node.limits else None)),
    ]


def _tone(node: TimeNode, index: int) -> str:
    if index == 0:
        return "bold"
    return "dim" if _idle(node) else ""


def _idle(node: TimeNode) -> bool:
    return node.share < _NOTHING and not node.children


def _bar(node: TimeNode, cells: int, glyphs: Glyphs) -> Cell:
    return Cell(bar(node.share, cells, glyphs) if node.share >= _NOTHING else "", "green")
