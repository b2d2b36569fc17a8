"""What the user asked for, in plain words that can be sent to a worker. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from blocktool.results.profile import RunMode
from blocktool.results.specs import TensorSpec


@dataclass(frozen=True)
class Request:
    """A whole ``blocktool profile``: the target, what is varied, and what is looked at.

    Lists that are empty mean the target's own (batch, size, dtype). ``assume`` names a device
    description; then nothing is run. ``memory_limit`` is in bytes.
    """

    target: str
    arguments: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    select: str | None = None
    device: str = "auto"
    batches: tuple[int, ...] = ()
    sizes: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()
    amp: bool = False
    modes: tuple[RunMode, ...] = ("inference",)
    variants: tuple[str, ...] = ("eager",)
    optimizer: str = "sgd"
    threads: int | None = None
    per_module: bool = False
    trace_file: str | None = None
    ceilings: bool = True
    assume: str | None = None
    find_max_batch: bool = False
    memory_limit: int | None = None


@dataclass(frozen=True)
class Rule:
    """How long a case is timed: at least ``min_seconds``, then until half the width of the median's
    interval is at most ``precision`` of the median, and no longer than ``max_seconds``. The time is
    parted among so many ``processes``, each a new one."""

    min_seconds: float = 1.0
    max_seconds: float = 5.0
    precision: float = 0.02
    cold_cache: bool = False
    processes: int = 1


@dataclass(frozen=True)
class CaseSpec:
    """One combination to measure. ``batch`` is the leading size of the first input.

    ``inputs`` is what the report shows; with ``as_given`` the arguments are those of the target
    itself (tensors of the user's, say), else tensors made to this description. ``dtype`` is that of
    the computation: the module is converted to it where ``cast`` says so, or computes in it by
    autocast where ``amp`` does.
    """

    index: int
    batch: int | None
    inputs: tuple[TensorSpec, ...]
    dtype: str
    mode: RunMode
    variant: str = "eager"
    amp: bool = False
    cast: bool = False
    as_given: bool = False
