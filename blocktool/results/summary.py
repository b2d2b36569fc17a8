"""What a module is, in figures: the answer of ``blocktool summary``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from blocktool.results.cross_check import CrossCheck
from blocktool.results.environment import Environment
from blocktool.results.specs import TensorSpec
from blocktool.results.trace import Fallback, OpKind


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole module. One MAC is two FLOPs; both are given.

    ``macs`` counts contractions (convolution, matrix product, attention) without bias, over all
    phases that were traced. ``peak_live_bytes`` is the largest sum of live tensor bytes, with the
    copies that CPU convolutions make; allocator rounding, scratchpads, the workspaces of other
    devices and the device's context are not in it.
    """

    params: int
    trainable_params: int
    param_bytes: int
    buffer_bytes: int
    macs: int
    flops: int
    elementwise_flops: int
    activation_bytes: int
    read_bytes: int
    written_bytes: int
    peak_live_bytes: int
    arithmetic_intensity: float
    """(flops + elementwise_flops) / (read_bytes + written_bytes); 0.0 where no byte moves."""


@dataclass(frozen=True, slots=True)
class PhaseTotals:
    """One phase of the run: "forward", "backward" (with recomputation), "optimizer"."""

    phase: str
    ops: int
    macs: int
    flops: int
    elementwise_flops: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """The predicted peak: when it is reached and what lives then, by category, in bytes."""

    peak_live_bytes: int
    phase: str
    op: str
    """The operation at which the peak is reached, "" where nothing ran."""
    module: str
    """The path of the module that ran it ("" for the root)."""
    parameters: int
    buffers: int
    inputs: int
    activations: int
    gradients: int
    optimizer: int
    workspace: int
    """Copies that the running kernel makes for itself and frees again, where they are known
    (oneDNN's convolutions on CPU)."""


@dataclass(frozen=True, slots=True)
class LiveBytes:
    """Predicted live bytes over the run, thinned out without losing the peak.

    At operation ``ops[i]`` (counted from 0), which ran in ``modules[i]`` ("" for the root), there
    live ``categories[name][i]`` bytes of each category of :class:`PeakMemory`. ``phases`` has
    where each phase begins.
    """

    ops: tuple[int, ...]
    modules: tuple[str, ...]
    categories: dict[str, tuple[int, ...]]
    phases: dict[str, int]


@dataclass(frozen=True, slots=True)
class SharedTensor:
    """A parameter that several modules hold: ``modules`` are their paths."""

    shape: tuple[int, ...]
    dtype: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """One module; the figures include those of its children (by path)."""

    path: str
    type: str
    calls: int
    """How often it was called; 0 for containers and for modules that never ran."""
    depth: int
    """How many of the modules above it are called: 0 for the root; a ``ModuleList``, which only
    holds others, is no level."""
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    """Of the first call."""
    params: int
    """Each parameter tensor in the subtree once."""
    trainable_params: int
    param_bytes: int
    macs: int
    flops: int
    elementwise_flops: int
    activation_bytes: int
    read_bytes: int
    written_bytes: int
    detail: str = ""
    """What the module says of itself (``extra_repr``), shortened; for telling equals apart."""
    param_dtype: str = ""
    """Of its own parameters, several joined by ", "; "" without any."""
    own_ops: dict[str, int] = field(default_factory=dict)
    """Operations that it runs itself, not in its children, and how often; views are left out."""
    attributes: dict[str, bool | int | float | str] = field(default_factory=dict)
    """The plain values that it holds, where ``detail`` does not come from the module itself."""


@dataclass(frozen=True, slots=True)
class OpRow:
    """All calls of one aten operation."""

    op: str
    kind: OpKind
    calls: int
    macs: int
    flops: int
    elementwise_flops: int
    activation_bytes: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True)
class UncoveredOp:
    """An operation that fits no class, so that its cost is not in the totals."""

    op: str
    calls: int
    module: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The answer of ``blocktool summary`` and ``blocktool.summarize``."""

    target: str
    root_type: str
    mode: Literal["forward", "training"]
    traced_on: str
    fallbacks: tuple[Fallback, ...]
    attention: str
    optimizer: str | None
    environment: Environment
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    totals: Totals
    phases: tuple[PhaseTotals, ...]
    memory: PeakMemory
    modules: tuple[ModuleRow, ...]
    """In registration order; the first is the root (path "")."""
    ops: tuple[OpRow, ...]
    uncovered_ops: tuple[UncoveredOp, ...]
    notes: tuple[str, ...] = ()
    cross_check: CrossCheck | None = None
    """Another tool's count of the same forward, where one was asked for."""
    shared: tuple[SharedTensor, ...] = ()
    timeline: LiveBytes | None = None
    """None where nothing ran, and in reports of earlier releases."""
