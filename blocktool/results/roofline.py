"""What a device can do at most, and where a run lies below it.

S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009, https://doi.org/10.1145/1498765.1498785.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bound = Literal["compute", "memory", "overhead"]
DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Limits of one device: those measured here, or those of a description.

    ``gflops`` has, by dtype, the best rate of a large matrix product in 1e9 FLOPs per second, and
    under ``"tf32"`` that of float32 convolutions where cuDNN uses TF32 for them; ``gbps`` the rate
    of a large copy, bytes read and written, in 1e9 per second; ``overhead_us`` the time that
    starting one operation takes when there is nothing to compute. ``source`` is ``"measured"``, or
    where the description comes from.
    """

    device: str
    gflops: dict[str, float]
    gbps: float
    overhead_us: float
    source: str
    memory_bytes: int | None = None
    efficiency: dict[str, float] | None = None
    """For predictions: the share of a limit that real operations reach (``"compute"``,
    ``"memory"``), where the description says it."""
    kind: DeviceKind = "cuda"
    """Whose attention kernels a prediction assumes."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """One run, or one module, against the ceilings.

    The three times are what the work would take if nothing but arithmetic, nothing but memory
    traffic, or nothing but the start of operations took time. ``attainable_ms`` is the larger of
    the first two; ``attained`` is ``attainable_ms`` over the measured time (above 1 where data
    stayed in a cache). ``bound`` names the largest of the three. ``predicted_ms`` adds up,
    operation by operation, the largest of the three.
    """

    compute_ms: float
    memory_ms: float
    overhead_ms: float
    attainable_ms: float
    predicted_ms: float
    attained: float | None
    bound: Bound
