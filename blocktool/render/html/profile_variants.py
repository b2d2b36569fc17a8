"""The variants of a profile side by side: time, memory, error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from blocktool.render import profile_figures as figures
from blocktool.render import units
from blocktool.render.html.marks import (
    COLORS,
    PATTERNS,
    axis,
    byte_scale,
    label,
    short,
    time_scale,
    upright,
)
from blocktool.render.html.pieces import Cell, Chart, Column, Figure, Table, Variant
from blocktool.render.html.profile_series import Series, interval_ms, series
from blocktool.results.profile import Profile, ProfileCase

_MOST = len(COLORS)


def variants_chart(profile: Profile) -> Chart | None:
    """Bars for each variant, in a colour for each setting; None for fewer than two variants."""
    found = [each for each in series(profile.cases, "Variant") if len(each.cases) > 1]
    if not found:
        return None
    cases = profile.cases
    everything = [case for each in found for case in each.cases]
    shown = found[:_MOST]
    gains = {case.index: figures.speedup(case, cases) for case in everything}
    longest = max(figures.time_ms(case) or 0 for case in everything)
    scale, unit = time_scale(longest)
    largest = max(case.peak_bytes or 0 for case in everything)
    size, size_unit = byte_scale(largest)
    variants = []
    if any(gains.values()):
        variants.append(_speed(found, shown, gains))
    variants.append(
        Variant(
            "time",
            f"Median time of a call, from {_ends(everything)}.",
            _bars(shown, lambda c: (figures.time_ms(c) or 0) / scale, unit,
                  lambda c: units.duration(figures.time_ms(c) or 0),
                  spread=lambda c: tuple(part / scale for part in interval_ms(c))),
        )
    )  # fmt: skip
    if largest:
        least = min(case.peak_bytes for case in everything if case.peak_bytes)
        variants.append(
            Variant(
                "peak memory",
                f"Measured peak, from {units.size(least)} to {units.size(largest)}.",
                _bars(shown, lambda c: (c.peak_bytes or 0) / size, size_unit,
                      lambda c: units.size(c.peak_bytes or 0)),
            )
        )  # fmt: skip
    wrong = [_error(case) for case in everything]
    if known := [each for each in wrong if each]:
        told = f"Largest difference from the reference: at most {units.error(max(known))}."
        variants.append(
            Variant("error", told, _bars(shown, lambda c: _error(c) or None, "relative error",
                                         lambda c: units.error(_error(c)), log=True))
        )  # fmt: skip
    return Chart(
        "variants-chart",
        "Each variant, by setting",
        "",
        {"data": [], "layout": {}},
        _table(found, gains),
        choose="Figure",
        variants=tuple(variants),
    )


Gains = dict[int, tuple[float, bool] | None]


def _speed(found: Sequence[Series], shown: Sequence[Series], gains: Gains) -> Variant:
    def gain(case: ProfileCase) -> float | None:
        known = gains[case.index]
        return known[0] if known else None

    def told(case: ProfileCase) -> str:
        known = gains[case.index]
        if known is None:
            return ""
        return f"{'' if known[1] or case.variant == 'eager' else '≈'}{known[0]:.2f}×"

    every = [case for each in found for case in each.cases if gain(case) is not None]
    best = max(every, key=lambda case: gain(case) or 0)
    where = next(each.name for each in found if best in each.cases)
    at = f" at {where}" if where else ""
    words = (
        f"Eager's time over that of the variant: {best.variant} is the fastest{at}, {told(best)}. "
        "≈ stands where the intervals of the two medians overlap."
    )
    figure = _bars(shown, gain, "times as fast as eager", told)
    figure["layout"]["shapes"] = [upright(1, "var(--ink)", "dash")]
    return Variant("speed against eager", words, figure)


def _bars(
    shown: Sequence[Series],
    value: Callable[[ProfileCase], float | None],
    title: str,
    show: Callable[[ProfileCase], str],
    *,
    spread: Callable[[ProfileCase], tuple[float, ...]] | None = None,
    log: bool = False,
) -> Figure:
    traces = []
    for i, each in enumerate(shown):
        trace: dict[str, Any] = {
            "type": "bar", "orientation": "h", "name": label(each.name or "all"),
            "y": [label(short(case.variant)) for case in each.cases],
            "x": [value(case) for case in each.cases],
            "text": [show(case) for case in each.cases], "textposition": "outside",
            "outsidetextfont": {"color": "var(--ink)"}, "cliponaxis": False,
            "marker": {"color": COLORS[i],
                       "pattern": {"shape": PATTERNS[i], "fgcolor": "var(--paper)",
                                   "fillmode": "overlay", "solidity": 0.2, "size": 7,
                                   "fgopacity": 0.35}},
            "hovertemplate": "%{y}: %{text}",
        }  # fmt: skip
        if spread is not None:
            parts = [spread(case) for case in each.cases]
            trace["error_x"] = {
                "type": "data", "symmetric": False, "array": [up for up, _ in parts],
                "arrayminus": [down for _, down in parts], "thickness": 1.5, "width": 4,
                "color": "var(--ink)",
            }  # fmt: skip
        traces.append(trace)
    count = len({case.variant for each in shown for case in each.cases})
    most = max((known for trace in traces for known in trace["x"] if known), default=1.0)
    layout: dict[str, Any] = {
        "xaxis": axis(title, type="log", exponentformat="power") if log
        else axis(title, range=[0, 1.15 * most]),  # with room for the figures beside the bars
        "yaxis": {"autorange": "reversed", "automargin": True},
        "barmode": "group",
        "height": 130 + max(34, 10 + 18 * len(shown)) * count,
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _error(case: ProfileCase) -> float | None:
    return case.error.max_relative_error if case.error is not None else None


def _ends(cases: Sequence[ProfileCase]) -> str:
    times = [figures.time_ms(case) or 0 for case in cases]
    return f"{units.duration(min(times))} to {units.duration(max(times))}"


def _table(found: Sequence[Series], gains: Gains) -> Table:
    rows = []
    for each in found:
        for case in each.cases:
            gain = gains[case.index]
            wrong = _error(case)
            rows.append(
                (
                    Cell(case.variant),
                    Cell(each.name),
                    Cell(units.duration(figures.time_ms(case) or 0), figures.time_ms(case)),
                    Cell(f"{'' if gain[1] or case.variant == 'eager' else '≈'}{gain[0]:.2f}×",
                         gain[0]) if gain else Cell(""),
                    Cell(units.size(case.peak_bytes) if case.peak_bytes is not None else "",
                         case.peak_bytes),
                    Cell(units.error(wrong) if case.error is not None else "", wrong),
                )
            )  # fmt: skip
    columns = (
        Column("Variant"), Column("Setting"), Column("Median", right=True),
        Column("Speed against eager", right=True), Column("Peak memory", right=True),
        Column("Error", right=True),
    )  # fmt: skip
    return Table("Variants with time, speed, memory and error", columns, tuple(rows))
