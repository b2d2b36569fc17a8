"""The data flow between modules as torch.fx sees it, and as a diagram has it."""

from __future__ import annotations

import inspect
from collections import Counter

from torch import fx, nn

from blocktool.analysis.flow import flow
from blocktool.results.diagram import Diagram
from blocktool.trace.identities import identities_told_apart
from blocktool.trace.tracer import trace

Edges = set[tuple[str, str]]


class LeafTracer(fx.Tracer):
    """Modules without children are leaves, whoever wrote them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children()) or isinstance(m, nn.MultiheadAttention)


def edges_by_fx(module: nn.Module) -> tuple[Edges, Counter[str]]:
    """Which module's result another reads, and how often each is called, as torch.fx sees it.

    Functions in between are passed through; the second call of a module has another name.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty}
    graph = LeafTracer().trace(module, given)
    calls: Counter[str] = Counter()
    names: dict[fx.Node, str] = {}
    sources: dict[fx.Node, set[str]] = {}
    found: Edges = set()
    for node in graph.nodes:
        inputs = node.all_input_nodes
        called = node.target if isinstance(node.target, str) else node.target.__name__
        if (node.op.startswith("call_") and called.startswith("new_")) or called.endswith("_like"):
            inputs = []  # the shape alone
        if node.target in ("reshape_as", "view_as", "expand_as", "type_as"):
            inputs = inputs[:1]  # of the other only the shape is taken
        read = {name for each in inputs for name in sources[each]}
        if node.op == "call_module":
            calls[str(node.target)] += 1
            names[node] = f"{node.target}#{calls[str(node.target)]}"
            found |= {(source, names[node]) for source in read}
            read = {names[node]}
        elif node.op == "placeholder":
            read = {"input"}
        elif node.target in ("size", "dim", getattr):  # numbers, not data
            read = set()
        elif node.op == "output":
            found |= {(source, "output") for source in read}
        sources[node] = read
    return found, calls


def edges_of(diagram: Diagram) -> tuple[Edges, Counter[str]]:
    """The same of a diagram, in which operations are passed through."""
    above: dict[str, set[str]] = {node.id: set() for node in diagram.nodes}
    for edge in diagram.edges:
        above[edge.target].add(edge.source)
    found: Edges = set()
    sources: dict[str, set[str]] = {}
    for node in diagram.nodes:
        read = {name for each in above[node.id] for name in sources[each]}
        if node.kind == "operation":
            sources[node.id] = read
            continue
        name = f"{node.path}#{node.use}" if node.kind == "module" else node.kind
        found |= {(source, name) for source in read}
        sources[node.id] = {name}
    return found, Counter(node.path for node in diagram.nodes if node.kind == "module")


def whole(module: nn.Module, *shapes: tuple[int, ...]) -> Diagram:
    with identities_told_apart(module):
        return flow(trace(module, list(shapes)), 99, expand=True)
