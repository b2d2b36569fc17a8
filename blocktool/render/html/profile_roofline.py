"""The roofline: arithmetic rates over intensity, below what the device can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocktool.render import profile_figures as figures
from blocktool.render import units
from blocktool.render.html.marks import COLORS, DASHES, SYMBOLS, label, log_axis, short
from blocktool.render.html.pieces import Cell, Chart, Column, Prose, Table, Variant
from blocktool.render.profile_keys import keys_of, named
from blocktool.render.profile_words import has_time
from blocktool.results.profile import Profile, ProfileCase
from blocktool.results.roofline import Ceilings

_MODULES = 400
"""Modules that are drawn, the slowest."""
_COMPUTED = {
    "bf16": "bfloat16", "amp-bf16": "bfloat16", "fp16": "float16", "amp-fp16": "float16",
    "int8-dynamic": "int8", "int8-static": "int8",
}  # fmt: skip
"""The dtypes of variants that compute in another one than their case."""
_INSTEAD = {"float16": "bfloat16", "bfloat16": "float16"}


@dataclass(frozen=True, slots=True)
class _Point:
    name: str
    type: str
    intensity: float
    gflops: float
    ms: float
    attained: float | None
    bound: str


def roofline_chart(profile: Profile) -> Chart | Prose | None:
    """Cases, and the modules of each case that has them, below the limits of the dtypes that they
    compute in; None without limits or points, words alone where no limit is known."""
    limits = profile.ceilings
    if limits is None or not limits.gflops or not limits.gbps:
        return None
    timed = [case for case in profile.cases if has_time(case)]
    cases = [case for case in timed if _limit_of(case, limits) is not None]
    left_out = _left_out([case for case in timed if case not in cases])
    if left_out and not cases:
        return Prose((left_out,))
    points = [point for case in cases if (point := _of_case(case, cases))]
    variants = []
    rows: list[tuple[str, _Point]] = []
    if points:
        made = _variant("cases", points, limits, _dtypes(cases, limits))
        variants.append(replace(made, told=f"{made.told} {left_out}".rstrip()))
        rows += [("", point) for point in points]
    keys = keys_of(profile.cases)
    for case in cases:
        if case.modules is None:
            continue
        inner = _of_modules(case)
        if inner:
            where = named(case, keys)
            name = f"modules, {where}" if where else "modules"
            variants.append(_variant(name, inner, limits, _dtypes([case], limits)))
            rows += [(where, point) for point in inner]
    if not variants:
        return None
    return Chart(
        "roofline-chart",
        "Rate over arithmetic intensity",
        variants[0].told,
        {"data": [], "layout": {}},
        _table(rows),
        height=460,
        choose="Points",
        variants=tuple(variants),
    )


def _of_case(case: ProfileCase, cases: Sequence[ProfileCase]) -> _Point | None:
    rate, ms = figures.gflops(case), figures.time_ms(case)
    if not rate or not ms or not case.macs or not case.moved_bytes:
        return None
    line = case.roofline
    return _Point(
        named(case, keys_of(cases)) or "the only case", case.variant,
        2 * case.macs / case.moved_bytes, rate, ms,
        line.attained if line else None, line.bound if line else "",
    )  # fmt: skip


def _of_modules(case: ProfileCase) -> list[_Point]:
    """Leaf modules that compute contractions, the slowest first."""
    assert case.modules is not None  # the caller has seen to it
    rows = case.modules.rows
    above = {row.path.rpartition(".")[0] for row in rows if row.path}
    found = [
        _Point(
            row.path or row.type, row.type, 2 * row.macs / row.moved_bytes, row.gflops,
            row.total_ms, row.roofline.attained if row.roofline else None,
            row.roofline.bound if row.roofline else "",
        )
        for row in rows
        if row.macs and row.moved_bytes and row.gflops > 0 and row.path not in above
    ]  # fmt: skip
    return sorted(found, key=lambda point: -point.ms)[:_MODULES]


def _computed(case: ProfileCase) -> str:
    """The dtype that the contractions of a case compute in: a variant may take another one."""
    for change in case.variant.split("+"):
        if change in _COMPUTED:
            return _COMPUTED[change]
    return case.dtype


def _limit_of(case: ProfileCase, limits: Ceilings) -> str | None:
    """The limit that a case comes under; the other half precision's serves where its own is not
    known, as in the figures of the report."""
    computed = _computed(case)
    for dtype in (computed, _INSTEAD.get(computed, "")):
        if dtype in limits.gflops:
            return dtype
    return None


def _dtypes(cases: Sequence[ProfileCase], limits: Ceilings) -> list[str]:
    """The limits of arithmetic that these cases come under."""
    wanted = {_limit_of(case, limits) for case in cases}
    if "float32" in wanted:
        wanted.add("tf32")
    return [dtype for dtype in limits.gflops if dtype in wanted]


def _left_out(cases: Sequence[ProfileCase]) -> str:
    """What is said of cases under no known limit; nothing without any."""
    if not cases:
        return ""
    dtypes = " and ".join(dict.fromkeys(map(_computed, cases)))
    number = "1 case is" if len(cases) == 1 else f"{len(cases)} cases are"
    return f"{number} left out: no limit of arithmetic in {dtypes} is known."


def _variant(name: str, points: list[_Point], limits: Ceilings, dtypes: list[str]) -> Variant:
    xs = [point.intensity for point in points]
    ys = [point.gflops for point in points]
    ridges = [limits.gflops[dtype] / limits.gbps for dtype in dtypes]
    low, high = min(*xs, *ridges) / 3, max(*xs, *ridges) * 3
    traces = [_roof(limits, dtype, low, high, i) for i, dtype in enumerate(dtypes)]
    by_type: dict[str, list[_Point]] = {}
    for point in points:
        by_type.setdefault(point.type, []).append(point)
    ordered = sorted(by_type.items(), key=lambda item: -sum(p.ms for p in item[1]))
    few = len(COLORS) - 1
    groups = ordered[:few]
    if rest := [point for _, some in ordered[few:] for point in some]:
        groups.append(("others", rest))
    longest = max(point.ms for point in points) or 1.0
    traces += [_marks(kind, some, longest, i) for i, (kind, some) in enumerate(groups)]
    top = max([*ys, *(limits.gflops[dtype] for dtype in dtypes)])
    bottom = min([*ys, limits.gbps * low * 3])
    layout = {
        "xaxis": log_axis("FLOPs per byte", low, high),
        "yaxis": log_axis("GFLOP/s", bottom / 2, top * 2),
    }
    return Variant(name, _told(points, limits, dtypes), {"data": traces, "layout": layout})


def _roof(limits: Ceilings, dtype: str, low: float, high: float, i: int) -> dict[str, Any]:
    top = limits.gflops[dtype]
    ridge = top / limits.gbps
    return {
        "type": "scatter", "mode": "lines", "name": label(f"limit, {dtype}"),
        "x": [low, ridge, high], "y": [low * limits.gbps, top, top],
        "line": {"color": "var(--ink)", "dash": DASHES[i % len(DASHES)], "width": 2},
        "hoverinfo": "skip",
    }  # fmt: skip


def _marks(kind: str, points: list[_Point], longest: float, i: int) -> dict[str, Any]:
    """A mark's area goes with the time."""
    return {
        "type": "scatter", "mode": "markers", "name": label(short(kind, 30)),
        "x": [point.intensity for point in points], "y": [point.gflops for point in points],
        "marker": {
            "color": COLORS[i], "symbol": SYMBOLS[i % len(SYMBOLS)], "opacity": 0.85,
            "size": [7 + 11 * math.sqrt(max(point.ms / longest, 0.0)) for point in points],
            "line": {"width": 1, "color": "var(--paper)"},
        },
        "text": [
            label(f"{point.name}: {units.duration(point.ms)}"
                  + (f", {units.whole_percent(point.attained)} of the limit"
                     if point.attained is not None else ""))
            for point in points
        ],
        "hovertemplate": "%{text}<br>%{y:.4g} GFLOP/s at %{x:.4g} FLOPs per byte<extra></extra>",
    }  # fmt: skip


def _told(points: list[_Point], limits: Ceilings, dtypes: list[str]) -> str:
    tops = ", ".join(f"{units.gflops(limits.gflops[dtype])} in {dtype}" for dtype in dtypes)
    told = f"At most {tops} and {units.gbytes(limits.gbps)} of memory traffic ({limits.source})."
    known = [point for point in points if point.attained is not None]
    if known:
        best = max(known, key=lambda point: point.attained or 0)
        worst = min(known, key=lambda point: point.attained or 0)
        told += f" {best.name} reaches {units.whole_percent(best.attained or 0)} of its limit"
        if worst is not best:
            told += f", {worst.name} {units.whole_percent(worst.attained or 0)}"
        told += "."
    return f"{told} The larger a mark, the longer the time."


def _table(rows: Sequence[tuple[str, _Point]]) -> Table:
    several = len({where for where, _ in rows if where}) > 1
    made = tuple(
        (
            Cell(f"{point.name} ({where})" if where and several else point.name),
            Cell(point.type),
            Cell(units.rate(point.intensity), point.intensity),
            Cell(units.rate(point.gflops), point.gflops),
            Cell(units.duration(point.ms), point.ms),
            Cell("" if point.attained is None else units.whole_percent(point.attained),
                 point.attained),
            Cell(point.bound),
        )
        for where, point in rows
    )  # fmt: skip
    columns = (
        Column("Point"), Column("Kind"), Column("FLOPs per byte", right=True),
        Column("GFLOP/s", right=True), Column("Time", right=True),
        Column("Of limit", right=True), Column("Bound"),
    )  # fmt: skip
    return Table("Points of the roofline", columns, made, filtered_by="points")
