"""The modules of a comparison by what their changes make up."""

from __future__ import annotations

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_words as words
from blocktool.render.comparison_folded import rows as folded
from blocktool.render.html.marks import PATTERNS, axis, bars_height, label, short
from blocktool.render.html.pieces import Chart
from blocktool.results.comparison import Comparison

_MOST = 24


def effects_chart(comparison: Comparison, *, expand: bool) -> Chart | None:
    """The modules with the largest effects as bars, those that changed alike as one unless
    ``expand``; None for fewer than two with any."""
    changes = [each for each in comparison.modules if each.effect > 0]
    if len(changes) < 2:
        return None
    rows = folded(changes, fold=not expand)
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: -row.shown.effect)
    shown = [row.shown for row in rows[:_MOST]]
    names = [label(short(words.where_all(row.all), 36)) for row in rows[:_MOST]]
    looks = {
        "added": ("var(--c1)", PATTERNS[0]), "removed": ("var(--c2)", PATTERNS[1]),
        "changed": ("var(--c4)", PATTERNS[2]), "renamed": ("var(--c5)", PATTERNS[4]),
        "follows": ("var(--c7)", PATTERNS[5]),
    }  # fmt: skip
    traces = []
    for verdict, (color, pattern) in looks.items():
        some = [i for i, each in enumerate(shown) if each.verdict == verdict]
        if some:
            traces.append(
                {
                    "type": "bar", "orientation": "h", "name": verdict,
                    "y": [names[i] for i in some],
                    "x": [100 * shown[i].effect for i in some],
                    "marker": {"color": color,
                               "pattern": {"shape": pattern, "fgcolor": "var(--paper)", "size": 7,
                                           "fillmode": "overlay", "fgopacity": 0.35,
                                           "solidity": 0.2}},
                    "hovertemplate": f"%{{y}} ({verdict}): %{{x:.3g}}%<extra></extra>",
                }
            )  # fmt: skip
    layout = {
        "xaxis": axis("largest share of a total", ticksuffix="%", rangemode="tozero"),
        "yaxis": {"autorange": "reversed", "automargin": True, "categoryorder": "array",
                  "categoryarray": names},
        "barmode": "overlay", "showlegend": True,
    }  # fmt: skip
    first = rows[0]
    several = len(first.all) > 1
    told = (
        f"{words.where_all(first.all)} {'matter' if several else 'matters'} most: "
        f"{'their' if several else 'its'} change makes up {figures.share(first.shown.effect)} of "
        "a total."
    )
    if (more := len(rows) - len(shown)) > 0:
        told += f" The table has {more} more."
    return Chart(
        "effects-chart", "What each module's change makes up", told,
        {"data": traces, "layout": layout}, height=bars_height(len(shown), 24) + 40,
    )  # fmt: skip
