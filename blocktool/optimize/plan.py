"""Everything that can be fused in a module, found by tracing it, changing it and tracing again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from torch import nn

from blocktool.optimize.flow import Flow
from blocktool.optimize.folding import find_norms
from blocktool.optimize.packing import find_packs
from blocktool.optimize.reparameterize import find_branches
from blocktool.optimize.rewriting import Rewrite, checked
from blocktool.optimize.scaling import Scales, find_scales
from blocktool.optimize.steps import Step
from blocktool.optimize.symbolic import CannotRewriteError, received
from blocktool.results.optimize import FuseKind, RefusedPart
from blocktool.results.trace import OpTrace
from blocktool.trace.inputs import CallArguments
from blocktool.trace.tracer import trace


@dataclass(frozen=True)
class FusePlan:
    """Steps in the order in which to take them, what is refused, and the first trace."""

    steps: tuple[Step, ...]
    refused: tuple[RefusedPart, ...]
    before: OpTrace


def plan(module: nn.Module, arguments: CallArguments, name: str) -> FusePlan:
    """Find what can be fused. ``module`` is in eval mode, and is used up.

    Modules that merge their own branches come first, since they want their norms as they were
    trained; norms then, as often as one stands behind another; factors behind what is left; and
    last the forwards that are rewritten.
    """
    return _Planner(module, arguments, name).result()


class _Planner:
    def __init__(self, module: nn.Module, arguments: CallArguments, name: str) -> None:
        self._module = module
        self._arguments = arguments
        self._name = name
        self._steps: list[Step] = []
        self._refused: list[RefusedPart] = []

    def result(self) -> FusePlan:
        before = self._trace()
        flow = Flow(self._module, before)
        branches = find_branches(flow)
        self._refused += branches.refused
        flow = self._take(branches.steps, flow)
        while (norms := find_norms(flow)).steps:
            flow = self._take(norms.steps, flow)
        self._refused += norms.refused
        scales = find_scales(flow)
        self._refused += scales.refused
        flow = self._take(scales.modules, flow)
        self._rewrite(flow, scales)
        return FusePlan(tuple(self._steps), tuple(self._refused), before)

    def _trace(self) -> OpTrace:
        return trace(self._module, self._arguments, name=self._name)

    def _take(self, steps: tuple[Step, ...], flow: Flow) -> Flow:
        """Take these steps; the flow of the module as it is then."""
        if not steps:
            return flow
        for step in steps:
            self._module = step.apply(self._module)
        self._steps += steps
        return Flow(self._module, self._trace())

    def _rewrite(self, flow: Flow, scales: Scales) -> None:
        """New forwards, one for each module whatever is changed in it; outer modules last, so that
        their inner ones are found."""
        packs = find_packs(flow)
        self._refused += packs.refused
        layers: dict[str, list[str]] = defaultdict(list)
        groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for scale in scales.inline:
            prefix = f"{scale.parent}." if scale.parent else ""
            layers[scale.parent].append(scale.layer.removeprefix(prefix))
        for pack in packs.found:
            groups[pack.parent].append(pack.names)
        parents = sorted({*layers, *groups}, key=lambda path: -len(path.split(".")) if path else 0)
        if not parents:
            return
        calls = received(self._module, parents, self._arguments)
        for path in parents:
            try:
                step = self._checked(flow, path, layers[path], groups[path], calls)
            except CannotRewriteError as error:
                kind: FuseKind = "layer_scale" if layers[path] else "packed"
                self._refused.append(RefusedPart(kind, path, str(error)))
            else:
                self._module = step.apply(self._module)
                self._steps.append(step)

    def _checked(
        self,
        flow: Flow,
        path: str,
        layers: list[str],
        groups: list[tuple[str, ...]],
        calls: dict[str, CallArguments],
    ) -> Rewrite:
        reason = flow.kept(flow.modules[path])
        if reason is not None:
            raise CannotRewriteError(reason)
        return checked(self._module, path, tuple(layers), tuple(groups), calls[path])
