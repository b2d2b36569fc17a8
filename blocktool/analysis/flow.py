"""From the record of a run to a graph of its data flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from blocktool.analysis.counts import Count
from blocktool.analysis.expressions import evaluate
from blocktool.analysis.flow_costs import Costs
from blocktool.analysis.flow_drawing import Drawing
from blocktool.analysis.flow_trace import Calls
from blocktool.results.diagram import Diagram
from blocktool.results.trace import OpTrace

READABLE = 40
"""So many nodes a picture may have where no depth is asked for."""


def flow(
    trace: OpTrace,
    depth: int | None = None,
    *,
    expand: bool = False,
    sizes: Mapping[str, int] | None = None,
    conditions: tuple[str, ...] = (),
    names: Sequence[str] = (),
    same: Mapping[str, str] | None = None,
) -> Diagram:
    """The data flow of the forward in ``trace``: module calls, and the operations between them.

    Args:
        trace: of numbers, or of counts (:func:`blocktool.trace.counted.counted`).
        depth: modules less than so many levels below the root are opened; 0 draws the root as
            one node. None opens as many as leave the picture readable.
        expand: draws equal modules in a row one by one.
        sizes: of the symbols of a trace of counts: those at which costs are given.
        conditions: what must hold of the symbols.
        names: of the tensors that are given by position, where there are several inputs; they are
            numbered without.
        same: of the paths at which one module is registered more than once, the first of them.
    """
    calls = Calls(trace)
    costs = Costs(trace, calls, lambda value: _number(value, sizes or {}))
    if depth is not None:
        found = Drawing(trace, calls, costs, depth, expand, names)
    else:
        found = Drawing(trace, calls, costs, 1, expand, names)
        for deeper in range(2, calls.levels + 1):
            drawing = Drawing(trace, calls, costs, deeper, expand, names)
            if len(drawing.pieces) > READABLE:
                break
            found = drawing
    nodes = tuple(found.nodes())
    return Diagram(
        target=trace.target,
        root_type=trace.root_type,
        mode=trace.mode,
        traced_on=trace.traced_on,
        attention=trace.attention,
        environment=trace.environment,
        depth=min(found.depth, calls.levels),
        levels=calls.levels,
        symbols=dict(sizes or {}),
        conditions=conditions,
        total=costs.total,
        nodes=nodes,
        groups=tuple(found.groups()),
        edges=tuple(found.edges(nodes)),
        notes=(*trace.notes, *found.notes(same or {})),
    )


def _number(value: object, sizes: Mapping[str, int]) -> int:
    if isinstance(value, Count):
        return int(evaluate(value.node(), sizes))
    assert isinstance(value, (int, Fraction))
    return int(value)
