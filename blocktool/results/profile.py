"""How a module runs, in figures: the answer of ``blocktool profile``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from blocktool.results.environment import Environment
from blocktool.results.roofline import Ceilings, Roofline
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import PeakMemory

RunMode = Literal["inference", "forward", "training"]
"""Eval mode without autograd; train mode with autograd, forward alone; a whole training step."""

Outcome = Literal["passed", "failed", "skipped"]

FailureKind = Literal["error", "out-of-memory", "crash", "killed", "exited", "timeout"]
"""The module raised; memory ran out; a signal such as SIGSEGV or SIGABRT; SIGKILL from outside; the
process ended itself; the time was up."""

SkipKind = Literal["hopeless", "unavailable", "interrupted", "predicted"]
"""A smaller batch ran out of memory or time; the variant or dtype cannot be had here; Ctrl-C; only
predicted (``--assume``)."""

NoticeKind = Literal[
    "noisy",
    "load",
    "throttled",
    "few-samples",
    "not-precise",
    "unstable",
    "compilation",
    "oversubscribed",
    "drift",
    "inputs",
]


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one call, in ms.

    A sample is the mean over ``calls_per_sample`` calls made back to back (1 but for very short
    calls). ``low`` and ``high`` bound the median with 95% confidence; the samples are in the order
    in which they were taken. ``iqr`` is the distance between the quartiles.
    """

    p50: float
    p5: float
    p95: float
    iqr: float
    low: float
    high: float
    calls_per_sample: int
    samples: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PhaseLatency:
    """One phase of a training step ("forward", "backward", "optimizer"), in ms."""

    phase: str
    p50: float
    p5: float
    p95: float


@dataclass(frozen=True, slots=True)
class Warmup:
    """The calls before the first sample. ``first_ms`` is the very first call, with whatever is
    compiled or allocated then; ``stable`` whether the times had settled."""

    calls: int
    ms: float
    first_ms: float
    stable: bool


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What one run needed, in a run of its own that was not timed.

    ``peak_bytes`` is the largest sum of live bytes of the allocator: ``held_bytes`` (parameters,
    buffers, inputs, optimizer state) with what the run allocated on top. ``reserved_bytes`` is what
    a caching allocator had taken from the device. ``timeline`` has (ms since the start, live
    bytes), thinned out without losing the peak; with a training step the phases' starts.
    """

    peak_bytes: int
    held_bytes: int
    reserved_bytes: int | None
    source: Literal["allocator events", "device counters"]
    timeline: tuple[tuple[float, int], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ModuleTime:
    """One module in an instrumented run; ``total_ms`` with its children, ``own_ms`` without.

    Both are sums over the ``calls`` of one run. MACs and bytes are those of the trace, with the
    children's; rates are over ``total_ms``. What a phase does outside all modules has a row as
    well, of type ``"phase"`` and with a path in brackets (``"(optimizer)"``).
    """

    path: str
    type: str
    depth: int
    calls: int
    total_ms: float
    own_ms: float
    share: float
    """``own_ms`` over the sum of all own times."""
    macs: int
    moved_bytes: int
    gflops: float
    gbps: float
    roofline: Roofline | None = None
    backward_ms: float = 0.0
    """The part of ``total_ms`` that lies in the backward of a training step."""


@dataclass(frozen=True, slots=True)
class ModuleTimes:
    """Where the time goes by module, from runs with a clock at each module's entrance and exit.

    ``whole_ms`` is the median without any instrument, ``instrumented_ms`` with it. The rows are a
    usual run, without what the clock itself cost. ``attributed`` is the share of leaf modules in
    it; the rest is work that modules do between the calls of their children, and what phases do
    outside all modules.
    """

    whole_ms: float
    instrumented_ms: float
    runs: int
    attributed: float
    rows: tuple[ModuleTime, ...]
    notes: tuple[str, ...] = ()

    @property
    def overhead(self) -> float:
        """What the instruments cost, as a share of the time without them."""
        return self.instrumented_ms / self.whole_ms - 1 if self.whole_ms else 0.0


@dataclass(frozen=True, slots=True)
class VariantError:
    """How far a variant's outputs are from those of the eager module in ``reference`` precision.

    The largest difference over the largest magnitude, over all outputs (None: not finite); of an
    output that is zero everywhere in the reference, the largest difference itself.
    ``sqnr_db`` the worst signal-to-noise ratio (None: infinite or undefined).
    ``eager_relative_error`` is the same for the eager module in the case's own dtype.
    ``same_top1``, for outputs of shape (batch, classes): the share of items with the same largest
    class.
    """

    reference: str
    max_relative_error: float | None
    sqnr_db: float | None
    eager_relative_error: float | None
    same_top1: float | None = None


@dataclass(frozen=True, slots=True)
class ProfileCase:
    """One combination of batch, size, dtype, mode and variant, and what came of it.

    ``batch`` is the leading size of the first input, None where it has no dimension.
    ``throughput`` is in items (leading size) per second, ``gflops`` 1e9 FLOPs per second (2 per
    MAC, contractions alone), ``gbps`` 1e9 bytes read and written per second, both by the static
    count of the eager module. ``precision`` is half the width of the interval of the median over
    the median. ``host_bound``, on devices that work through a queue, is the share of the time in
    which the host was still giving work to the device: at about 1 the start of operations bounds
    it.
    """

    index: int
    batch: int | None
    inputs: tuple[TensorSpec, ...]
    dtype: str
    mode: RunMode
    variant: str
    amp: bool
    outcome: Outcome
    kind: FailureKind | SkipKind | None = None
    reason: str | None = None
    details: tuple[str, ...] = ()
    latency_ms: Latency | None = None
    phases_ms: tuple[PhaseLatency, ...] = ()
    precision: float | None = None
    throughput: float | None = None
    gflops: float | None = None
    gbps: float | None = None
    peak_bytes: int | None = None
    predicted_peak_bytes: int | None = None
    macs: int | None = None
    moved_bytes: int | None = None
    memory: MemoryUse | None = None
    predicted_memory: PeakMemory | None = None
    roofline: Roofline | None = None
    error: VariantError | None = None
    modules: ModuleTimes | None = None
    warmup: Warmup | None = None
    process_medians_ms: tuple[float, ...] = ()
    """The median in each process, where a case was timed in several."""
    host_bound: float | None = None
    seconds: float = 0.0
    """The case as a whole, with building and warm-up."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A reason not to trust a figure, and what to do next. ``cases`` are indices; empty: all."""

    kind: NoticeKind
    message: str
    hint: str
    cases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which variant to use for one batch, dtype and mode.

    ``speedup`` is eager's median over that of the variant; ``significant`` whether the intervals of
    the two medians lie apart. ``reason`` is one sentence.
    """

    batch: int | None
    inputs: tuple[TensorSpec, ...]
    dtype: str
    mode: RunMode
    use: str
    speedup: float
    significant: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TriedBatch:
    """One batch that was run in search of the largest."""

    batch: int
    fits: bool
    peak_bytes: int | None
    predicted_peak_bytes: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MaxBatch:
    """The largest batch that fits into ``limit_bytes``.

    ``predicted`` is what the trace said beforehand (None: it says nothing of this variant),
    ``batch`` the largest that was seen to run (0: none), ``bounded`` whether the next one up was
    seen to fail.
    """

    dtype: str
    mode: RunMode
    variant: str
    limit_bytes: int
    limit_source: str
    predicted: int | None
    batch: int
    bounded: bool
    tried: tuple[TriedBatch, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """The device that ran it and what its speed depends on.

    ``settings`` are the switches that change results or speed (``float32_matmul_precision``, TF32,
    ``cudnn.benchmark``, ...), ``state`` what was read while it ran (clocks, temperature, load,
    ...), as they are written by their tools.
    """

    device: str
    name: str
    memory_bytes: int | None
    threads: int
    cores: int
    driver: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How it was measured: what the user asked for, or the defaults."""

    min_seconds: float
    max_seconds: float
    precision: float
    timeout_seconds: float | None
    cold_cache: bool
    optimizer: str | None
    isolated: bool
    """Each case in a worker process, or all of it in the caller's."""
    processes: int = 1
    """In how many processes, each a new one, a case was timed."""
    paired: str | None = None
    """A name that two profiles share which were measured side by side: process k of the one ran
    right before or after process k of the other."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The answer of ``blocktool profile`` and ``blocktool.profile``.

    ``measured_seconds`` is the sum over all timed calls, ``seconds`` the whole.
    """

    target: str
    root_type: str
    environment: Environment
    machine: Machine | None
    protocol: Protocol
    cases: tuple[ProfileCase, ...]
    ceilings: Ceilings | None = None
    assumed: str | None = None
    """The name of the device for which the times were predicted, where nothing was run."""
    verdicts: tuple[Verdict, ...] = ()
    max_batch: MaxBatch | None = None
    warnings: tuple[Notice, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    measured_seconds: float = 0.0
    interrupted: bool = False
