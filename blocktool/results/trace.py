"""The record of one run: every operation, module call and storage. See blocktool.trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.specs import TensorSpec

Mode = Literal["forward", "training"]
Layout = Literal["contiguous", "channels-last", "strided"]
Phase = Literal["forward", "backward", "recompute", "optimizer"]
Category = Literal["parameters", "buffers", "inputs", "activations", "gradients", "optimizer"]
AttentionDevice = Literal["cpu", "cuda", "math"]

OpKind = Literal[
    "contraction",
    "elementwise",
    "normalization",
    "reduction",
    "pooling",
    "resampling",
    "movement",
    "view",
    "creation",
    "random",
    "bookkeeping",
    "uncovered",
]


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor that an operation took or gave: shape, dtype, and the storage it lies in."""

    shape: tuple[int, ...]
    dtype: str
    storage: int


@dataclass(frozen=True, slots=True)
class OpRecord:
    """One aten operation.

    ``call`` indexes ``OpTrace.calls``. ``macs`` counts contractions only, without bias;
    ``elementwise_flops`` everything else that computes. ``read_bytes`` and ``written_bytes`` are
    those of eager execution, ``new_bytes`` the bytes of the storages that it allocated.
    """

    index: int
    op: str
    overload: str
    kind: OpKind
    phase: Phase
    call: int
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]
    macs: int
    elementwise_flops: int
    read_bytes: int
    written_bytes: int
    new_bytes: int
    workspace_bytes: int = 0
    """Held by the kernel at its own peak beside inputs and outputs, where that is known."""

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate; elementwise work stands in its own column."""
        return 2 * self.macs


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of one module. Call 0 is the root; ``parent`` is -1 for it.

    ``first_op`` and ``last_op`` bound (half-open) the forward operations that ran inside.
    """

    index: int
    path: str
    parent: int
    phase: Phase
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_storages: tuple[int, ...]
    output_storages: tuple[int, ...]
    first_op: int
    last_op: int


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module as it is registered: ``path`` ("" for the root), class name, its own tensors.

    ``parameters`` and ``buffers`` index ``OpTrace.tensors``; tied tensors share an index.
    ``attributes`` are the plain values that a module holds which does not describe itself.
    """

    path: str
    type: str
    parameters: tuple[int, ...]
    buffers: tuple[int, ...]
    detail: str = ""
    attributes: dict[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateTensor:
    """A parameter or a buffer, counted once however many names it has."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    numel: int
    nbytes: int
    trainable: bool
    buffer: bool
    gradient: bool = False
    """Whether the backward of this run brought it a gradient."""


@dataclass(frozen=True, slots=True)
class StorageLife:
    """A storage: size, the operation that allocated it (-1: before the run), the operation after
    which it was freed (None: it outlived the run), and what it is for."""

    index: int
    nbytes: int
    born: int
    died: int | None
    category: Category


@dataclass(frozen=True, slots=True)
class Fallback:
    """A rung of the ladder that did not hold, and why."""

    rung: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpTrace:
    """One run of one module without data (or with, on the last rung), as a plain record.

    ``traced_on`` is "meta", "fake" or the name of the device that was used ("cpu");
    ``fallbacks`` says why earlier rungs did not serve. ``attention`` names the device whose
    attention kernels the trace assumes. Everything else in blocktool that is static is a pure
    function of this record.
    """

    target: str
    root_type: str
    mode: Mode
    traced_on: str
    fallbacks: tuple[Fallback, ...]
    attention: str
    optimizer: str | None
    environment: Environment
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    modules: tuple[ModuleInfo, ...]
    tensors: tuple[StateTensor, ...]
    calls: tuple[ModuleCall, ...]
    ops: tuple[OpRecord, ...]
    storages: tuple[StorageLife, ...]
    notes: tuple[str, ...] = ()
    output_layouts: tuple[Layout, ...] = ()
    """How each of ``outputs`` lies in memory; a map that is both counts as contiguous."""
    input_gradients: tuple[bool, ...] = ()
    """Of each of ``inputs`` that was to get a gradient, whether the backward brought it one."""
