"""A comparison as CSV: one row per figure, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from blocktool.render.view import View
from blocktool.results.comparison import CaseChange, Comparison, MetricChange, ModuleChange

_COLUMNS = (
    *("level", "module", "case", "metric", "lane", "old", "new", "change", "low", "high"),
    *("verdict", "reason"),
)


def render(comparison: Comparison, view: View) -> str:
    """The figures of the whole, then of each module, then the cases of check-shapes.

    ``level`` is ``total``, ``module`` or ``case``. What became of a module itself is a row of
    metric ``path``, with how it is built in ``reason``; a case has a row of metric ``outcome``.
    Plain numbers, units in the names; ``change``, ``low`` and ``high`` are shares of one.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(_rows(comparison))
    return out.getvalue().encode(errors="replace").decode()


def _rows(comparison: Comparison) -> Iterator[dict[str, object]]:
    for total in comparison.totals:
        yield _figure("total", total, total.module)
    for module in comparison.modules:
        yield _module(module)
        for change in module.metrics:
            yield _figure("module", change, _path(module))
    for case in comparison.cases:
        yield _case(case)


def _figure(level: str, change: MetricChange, module: str | None) -> dict[str, object]:
    return {
        "level": level,
        "module": module,
        "case": change.case,
        "metric": change.metric,
        "lane": change.lane,
        "old": _cell(change.old),
        "new": _cell(change.new),
        "change": _cell(change.change),
        "low": _cell(change.low),
        "high": _cell(change.high),
        "verdict": change.verdict,
        "reason": change.reason,
    }


def _module(module: ModuleChange) -> dict[str, object]:
    return {
        "level": "module",
        "module": _path(module),
        "metric": "path",
        "lane": "exact",
        "old": module.old_path,
        "new": module.new_path,
        "verdict": module.verdict,
        "reason": "; ".join(module.details),
    }


def _case(case: CaseChange) -> dict[str, object]:
    return {
        "level": "case",
        "case": f"{case.target}, {case.case}",
        "metric": "outcome",
        "lane": "exact",
        "old": case.old,
        "new": case.new,
        "verdict": "added" if case.old is None else "removed" if case.new is None else "changed",
        "reason": case.reason,
    }


def _path(module: ModuleChange) -> str | None:
    return module.old_path if module.new_path is None else module.new_path


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
