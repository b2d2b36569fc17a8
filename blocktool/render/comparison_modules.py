"""The modules that are not as they were, as a table by effect."""

from __future__ import annotations

from collections.abc import Sequence

from blocktool.render import comparison_figures as figures
from blocktool.render import comparison_words as words
from blocktool.render.columns import Cell, Column, layout
from blocktool.render.comparison_folded import Row
from blocktool.render.comparison_folded import rows as folded
from blocktool.render.comparison_lines import MOST, cell, glyphs_of, more, plain, wrapped
from blocktool.render.styled import Line, shorten, width_of
from blocktool.render.units import percent
from blocktool.render.view import View
from blocktool.results.comparison import Comparison, MetricChange, ModuleChange, ModuleVerdict

_FIRST = ("params", "macs", "total_ms", "param_bytes", "activation_bytes", "elementwise_flops")
_SAYS_TOO = {"flops": "macs", "trainable_params": "params", "param_bytes": "params"}
_STYLES: dict[ModuleVerdict, str] = {
    "added": "red",
    "removed": "green",
    "renamed": "cyan",
    "changed": "bold",
    "follows": "dim",
}
_KEPT = ("params", "macs")
_MOST_FIGURES = 4
_LONG = 32  # what the others leave room for, of a path and of what was done
_LEAST = 20
_SHORT = {"params": "Params", "activation_bytes": "Activations"}


def module_lines(comparison: Comparison, view: View) -> list[Line]:
    """A row for each module, or for several that changed alike, with what their figures rose or
    fell by; those that merely follow from another's change are one line. ``view.expand`` shows
    each."""
    own, follow = own_and_following(comparison.modules)
    if view.expand:
        own, follow = list(comparison.modules), []
    rows = folded(own, fold=not view.expand)
    shown = rows if view.expand else rows[:MOST]
    lines = _table(shown, view) if shown else []
    lines += more(sum(len(row.all) for row in rows[len(shown) :]), "module")
    if follow:
        lines += wrapped(words.follows_line(len(follow)), view, "dim")
    return lines


def own_and_following(
    modules: Sequence[ModuleChange],
) -> tuple[list[ModuleChange], list[ModuleChange]]:
    """Modules that were changed themselves, and those whose figures differ for it."""
    own = [each for each in modules if each.verdict != "follows"]
    return own, [each for each in modules if each.verdict == "follows"]


def metrics_of(modules: Sequence[ModuleChange]) -> list[str]:
    """The figures worth a column, at most four: those that differ anywhere, the usual ones
    first, and none that says what another says."""
    differ = dict.fromkeys(
        each.metric
        for module in modules
        for each in module.metrics
        if each.verdict != "same" and figures.difference(each)
    )
    ordered = [metric for metric in _FIRST if metric in differ]
    ordered += [metric for metric in differ if metric not in ordered]
    kept = [metric for metric in ordered if _SAYS_TOO.get(metric) not in differ]
    return kept[:_MOST_FIGURES]


def heading(metric: str) -> str:
    """The figure's name, short enough for the head of a column."""
    return _SHORT.get(metric) or figures.name(metric)


def difference_of(module: ModuleChange, metric: str) -> tuple[str, MetricChange | None]:
    """By how much the module's figure differs, and the change itself."""
    for each in module.metrics:
        if each.metric == metric and each.verdict != "same":
            return figures.difference(each), each
    return "", None


def effect(module: ModuleChange) -> str:
    """The share of a total that the module's changes make up; nothing where they make up none."""
    return percent(module.effect) if module.effect > 0 else ""


def _table(rows: list[Row], view: View) -> list[Line]:
    modules = [row.shown for row in rows]
    metrics = metrics_of(modules)
    columns = [
        Column("", [Cell(each.verdict, _STYLES[each.verdict]) for each in modules]),
        Column("Module", [cell(words.where_all(row.all), view) for row in rows], shrink_to=14),
        *(
            Column(
                heading(metric),
                [_figure(each, metric, view) for each in modules],
                right=True,
                drop=0 if metric in _KEPT or not index else _MOST_FIGURES - index,
            )
            for index, metric in enumerate(metrics)
        ),
    ]
    effects = [Cell(effect(each)) for each in modules]
    if any(each.text for each in effects):
        columns.append(Column("Effect", effects, right=True, drop=_MOST_FIGURES))
    needed = sum(min(column.width, _LONG) + column.gap for column in columns[:4])
    told = [_what(each, view, view.width - needed) for each in modules]
    if any(each.text for each in told):
        columns.insert(2, Column("What", told, shrink_to=_LONG, drop=_MOST_FIGURES + 1))
    return layout(columns, view.width, glyphs_of(view))


def _what(module: ModuleChange, view: View, room: int) -> Cell:
    """What was done to it; of several things as many as there is room for."""
    pieces = words.what(module)
    kept = pieces[:1]
    for piece in pieces[1:]:
        if width_of("; ".join([*kept, piece])) > max(room, _LEAST):
            kept[-1] += " ..."
            break
        kept.append(piece)
    text = plain("; ".join(kept), view)
    return Cell(shorten(text, max(room, _LONG), glyphs_of(view)), "dim")


def _figure(module: ModuleChange, metric: str, view: View) -> Cell:
    text, change = difference_of(module, metric)
    if change is None or not text:
        return Cell("")
    if change.verdict in ("inconclusive", "not compared"):
        return cell(text, view, "yellow")
    more_is_worse = figures.tone(change) != "neutral"
    return cell(text, view, ("red" if text.startswith("+") else "green") if more_is_worse else "")
