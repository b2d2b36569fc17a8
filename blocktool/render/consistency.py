"""What the types of a report's fields do not say, and all that reads reports relies upon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

from blocktool.results.diagram import Diagram
from blocktool.results.formulas import Formulas
from blocktool.results.profile import Profile, ProfileCase
from blocktool.results.summary import LiveBytes, Summary

_LEVELS = 300  # of modules; Python could not call more of them inside each other
_LONGEST_MS = 1e15


def inconsistency(report: Any) -> str | None:
    """The first thing in a report that cannot be, in words; None where it is sound."""
    return next(_complaints(report), None)


def _complaints(report: Any) -> Iterator[str]:
    if isinstance(report, Summary):
        yield from _tree([row.path for row in report.modules], "modules")
        if report.timeline is not None:
            yield from _timeline(report.timeline)
        yield from _shared(report)
    elif isinstance(report, Formulas):
        yield from _tree([row.path for row in report.modules], "modules")
        yield from _expressions(report)
    elif isinstance(report, Diagram):
        yield from _graph(report)
    elif isinstance(report, Profile):
        for index, case in enumerate(report.cases):
            for complaint in _case(case):
                yield f"cases[{index}].{complaint}"


def _case(case: ProfileCase) -> Iterator[str]:
    if case.modules is not None and case.modules.rows:
        yield from _tree([row.path for row in case.modules.rows], "modules.rows", root=False)
    if (taken := case.latency_ms) is not None:
        if not taken.samples:
            yield "latency_ms has no samples"
        figures = (taken.p50, taken.p5, taken.p95, taken.iqr, taken.low, taken.high)
        if not all(0 <= ms <= _LONGEST_MS for ms in (*figures, *taken.samples)):
            yield "latency_ms is no time"
    if case.roofline is not None and not 0 <= case.roofline.predicted_ms <= _LONGEST_MS:
        yield "roofline.predicted_ms is no time"


def _tree(paths: Sequence[str], where: str, *, root: bool = True) -> Iterator[str]:
    if not paths:
        yield f"{where} is empty, and has at least the module itself"
    if len(set(paths)) < len(paths):
        yield f"{where} has a path twice"
    if root and paths[:1] not in ([], [""]):
        yield f"{where} does not begin with the module itself"
    if any(path.count(".") > _LEVELS for path in paths):
        yield f"{where} nest deeper than {_LEVELS} levels"


def _graph(diagram: Diagram) -> Iterator[str]:
    nodes = {node.id for node in diagram.nodes}
    groups = [group.id for group in diagram.groups]
    if len(nodes) < len(diagram.nodes) or len(set(groups)) < len(groups):
        yield "two nodes or two groups have the same id"
    if not nodes.issuperset(each for edge in diagram.edges for each in (edge.source, edge.target)):
        yield "edges name a node that is not there"
    known: set[str | None] = {None}
    for group in diagram.groups:  # a group stands behind the one that it lies in
        if group.group not in known:
            yield "groups name a group that is not there"
        known.add(group.id)
    if not known.issuperset(node.group for node in diagram.nodes):
        yield "nodes name a group that is not there"


def _shared(summary: Summary) -> Iterator[str]:
    paths = {row.path for row in summary.modules}
    if not paths.issuperset(path for each in summary.shared for path in each.modules):
        yield "shared names a module that is not there"


def _timeline(live: LiveBytes) -> Iterator[str]:
    if not live.ops:
        yield "timeline is empty"
    if {len(live.ops)} != {len(live.modules), *map(len, live.categories.values())}:
        yield "timeline has lists of different lengths"


def _expressions(report: Formulas) -> Iterator[str]:
    from blocktool.analysis.expressions import ExpressionError, parse

    figures: list[Any] = [*astuple(report.totals)]
    for row in report.modules:
        figures += (row.params, row.macs, row.flops, row.elementwise_flops)
        figures += (row.activation_bytes, row.read_bytes, row.written_bytes)
    texts = [each for each in figures if isinstance(each, str)]
    for text in dict.fromkeys((*texts, *report.conditions)):
        try:
            parse(text)
        except (ExpressionError, RecursionError) as error:
            yield f"'{text}' is no formula: {error}"
