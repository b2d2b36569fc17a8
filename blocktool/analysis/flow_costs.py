"""What the nodes of a diagram cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from blocktool.analysis.flow_pieces import Piece
from blocktool.analysis.flow_trace import Calls
from blocktool.analysis.summary import ancestors
from blocktool.results.diagram import Cost
from blocktool.results.trace import OpRecord, OpTrace

_OURS = "aten.alias_copy"
"""Made by blocktool.trace.identities, and by no module."""


class Costs:
    """Costs of pieces; ``number`` turns a figure of the trace into a number."""

    def __init__(self, trace: OpTrace, calls: Calls, number: Callable[[object], int]) -> None:
        self._trace = trace
        self._calls = calls
        self._number = number
        self._known: dict[tuple[int, int], Cost] = {}
        self._params: dict[str, set[int]] = {}
        for module in trace.modules:
            if module.parameters:
                for path in ancestors(module.path):
                    self._params.setdefault(path, set()).update(module.parameters)
        forward = (op for op in trace.ops if op.phase == "forward")
        self.total = self._cost(forward, sum(t.numel for t in trace.tensors if not t.buffer))

    def of(self, piece: Piece) -> Cost:
        """The cost of one piece; inputs and outputs cost nothing."""
        if piece.kind == "operation":
            return self._cost(piece.ops, 0)
        if piece.kind != "module":
            return Cost()
        key = piece.call, len(piece.ops)
        found = self._known.get(key)
        if found is None:
            call = self._trace.calls[piece.call]
            tensors = self._params.get(call.path, ())
            params = sum(self._trace.tensors[index].numel for index in tensors)
            found = self._known[key] = self._cost(self._calls.all_ops(call), params)
        return found

    def _cost(self, ops: Iterable[OpRecord], params: int) -> Cost:
        macs = activations = moved = 0
        for op in ops:
            if op.op == _OURS:
                continue
            macs += op.macs
            activations += op.new_bytes
            moved += op.read_bytes + op.written_bytes
        number = self._number
        return Cost(params, number(macs), number(activations), number(moved))
