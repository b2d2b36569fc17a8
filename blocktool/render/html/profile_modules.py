"""Where the time of a case goes, by module."""

from __future__ import annotations

from blocktool.render import units
from blocktool.render.html.icicle import Metric, icicle
from blocktool.render.html.pieces import Block, Cell, Column, Details, Notes, Prose
from blocktool.render.html.tree import Node, tree_table
from blocktool.render.profile_keys import keys_of, named
from blocktool.render.profile_tree import TimeNode, shown_tree
from blocktool.render.view import View
from blocktool.results.profile import ModuleTimes, Profile

_MOST = 4
"""Cases whose modules are on the page; there is more of them in -f csv."""

_ALL = 1_000  # levels: as deep as modules go
_METRICS = (
    Metric("time", "Time", units.duration),
    Metric("macs", "MACs", lambda value: units.count(round(value))),
    Metric("moved", "Bytes moved", lambda value: units.size(round(value))),
)
_TITLES = ("Calls", "Time", "Own time", "Own share", "MACs", "GFLOP/s", "GB/s", "Of limit")


def module_blocks(profile: Profile, view: View, most: int) -> list[Block | None]:
    """An icicle and a table for each case that has modules, which share ``most`` rows; all but the
    first closed."""
    keys = keys_of(profile.cases)
    found: list[Block | None] = []
    timed = [case for case in profile.cases if case.modules is not None and case.modules.rows]
    share = most // max(len(timed[:_MOST]), 1)
    for i, case in enumerate(timed[:_MOST]):
        assert case.modules is not None  # filtered above
        where = named(case, keys)
        blocks = _of_case(f"times-{i}", where, profile.root_type, case.modules, view, share)
        found += blocks if i == 0 else [Details(f"Modules: {where}", tuple(blocks))]
    if len(timed) > _MOST:
        found.append(Prose((f"{len(timed) - _MOST} more cases have modules: -f csv has them.",)))
    return found


def _of_case(
    name: str, where: str, title: str, times: ModuleTimes, view: View, most: int
) -> list[Block]:  # fmt: skip
    whole = shown_tree(times.rows, View(depth=_ALL, expand=True))[0]
    at = f", {where}" if where else ""
    # A phase that lies outside all modules counts as a child of the root; so it is drawn.
    columns = (Column("Type"), *(Column(each, right=True) for each in _TITLES), Column("Bound"))
    data = tree_table(_node(whole, title), columns, f"Time by module{at}", most=most)
    drawn = whole if view.expand else shown_tree(times.rows, View(depth=_ALL))[0]
    chart = icicle(
        name, f"Modules by time{at}", _node(drawn, title), _METRICS, data,
        levels=view.depth, most=most,
    )  # fmt: skip
    told = (
        f"From {times.runs} runs with a clock at each module, which took "
        f"{units.duration(times.instrumented_ms)} instead of {units.duration(times.whole_ms)}; "
        f"{units.percent(times.attributed)} of the time lies in modules without children."
    )
    blocks: list[Block] = [chart or data, Prose((told,))]
    if times.notes:
        blocks.append(Notes("Notes", tuple((note, "") for note in times.notes)))
    return blocks


def _node(module: TimeNode, title: str = "", above: str = "") -> Node:
    name = title or module.name
    path = "" if title else f"{above}.{module.name}".lstrip(".")
    attained = module.attained
    return Node(
        name,
        path,
        module.type,
        module.count,
        {"time": module.total_ms, "macs": module.macs, "moved": module.moved_bytes},
        (
            Cell(module.type),
            Cell(f"{module.calls:,}", module.calls),
            Cell(units.duration(module.total_ms), module.total_ms),
            Cell(units.duration(module.own_ms), module.own_ms),
            Cell(units.percent(module.share), module.share),
            Cell(units.count(module.macs), module.macs),
            Cell(units.rate(module.gflops) if module.macs else "", module.gflops),
            Cell(units.rate(module.gbps) if module.moved_bytes else "", module.gbps),
            Cell("" if attained is None else units.whole_percent(attained), attained),
            Cell(module.limits.bound if module.limits else ""),
        ),
        tuple(_node(child, above=path) for child in module.children),
    )
