"""Runs with numbers, as proofs are tested with."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from blocktool.check.pattern import Pattern
from blocktool.check.tested import Numeric
from blocktool.errors import BlocktoolError
from blocktool.trace.limits import one_line
from blocktool.trace.tracer import trace


def numeric_module(module: nn.Module, pattern: Pattern) -> Numeric:
    """The runs of a module at sizes of its pattern, for :func:`blocktool.check.prove.prove`."""

    def run(sizes: Mapping[str, int]) -> tuple[tuple[int, ...], ...] | str:
        inputs = pattern.at(sizes)
        if inputs is None:
            return "these sizes give no whole input"
        try:
            return tuple(spec.shape for spec in trace(module, inputs).outputs)
        except BlocktoolError as error:
            cause = error.__cause__
            return error.message if cause is None else one_line(cause)

    return run
