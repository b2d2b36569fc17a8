"""A summary for https://www.speedscope.app: flame graphs of what each module costs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from blocktool.analysis.module_tree import Node, tree
from blocktool.errors import UsageError
from blocktool.render import speedscope
from blocktool.render.view import View
from blocktool.results.summary import Summary

_FIGURES: tuple[tuple[str, speedscope.Unit, Callable[[Node], int]], ...] = (
    ("MACs", "none", lambda node: node.own["macs"]),
    ("bytes read and written", "bytes", lambda n: n.own["read_bytes"] + n.own["written_bytes"]),
    ("activation bytes", "bytes", lambda node: node.own["activation_bytes"]),
)


def render(summary: Summary, view: View) -> str:
    """One profile for each of MACs, bytes moved, activation bytes and parameters, whatever the
    view; what is 0 everywhere is left out.

    A parameter that several modules hold stands with the first of them. Raises UsageError where
    there is nothing to show.
    """
    frames = speedscope.Frames()
    types = {row.path: row.type for row in summary.modules}
    nodes = {node.path: node for node in tree(summary.modules, summary.shared).walk()}
    figures = [
        (name, unit, {path: figure(nodes[path]) for path in types})
        for name, unit, figure in _FIGURES
    ]
    params = {path: nodes[path].own["params"] for path in types}
    for tensor in summary.shared:
        for path in tensor.modules[1:]:
            params[path] -= prod(tensor.shape)
    figures.append(("parameters", "none", params))
    profiles = [
        speedscope.sampled(f"{summary.target}: {name}", unit, own.items(), types, frames)
        for name, unit, own in figures
        if any(each > 0 for each in own.values())
    ]
    if not profiles:
        raise UsageError(
            f"{summary.target} has no cost that speedscope could show",
            hint="it runs no operation and has no parameters",
        )
    return speedscope.file(summary.target, profiles, frames)
