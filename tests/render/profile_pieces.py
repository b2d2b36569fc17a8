"""Pieces of profiles made by hand: a case, a module, a machine."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median, quantiles
from typing import Any

from blocktool.results.environment import Environment
from blocktool.results.profile import (
    Latency,
    Machine,
    MemoryUse,
    ModuleTime,
    PhaseLatency,
    Profile,
    ProfileCase,
    Protocol,
    Warmup,
)
from blocktool.results.roofline import Bound, Ceilings, Roofline
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import PeakMemory

MIB = 1 << 20


def latency(ms: float, count: int = 41, calls: int = 1) -> Latency:
    """Samples around ``ms`` that swing by 2% and have one far above the others."""
    samples = [ms * (1 + 0.02 * math.sin(1.3 * index)) for index in range(count)]
    samples[count // 3] = ms * 1.08
    cuts = quantiles(samples, n=20, method="inclusive")
    middle = median(samples)
    return Latency(
        middle, cuts[0], cuts[-1], cuts[14] - cuts[4], middle * 0.996, middle * 1.004, calls,
        tuple(samples),
    )  # fmt: skip


def roofline(ms: float, attained: float, bound: Bound = "compute") -> Roofline:
    """Limits of a run of ``ms`` that attains this share of them."""
    most = ms * attained
    parts = {"compute": 0.35 * most, "memory": 0.35 * most, "overhead": 0.01 * most, bound: most}
    return Roofline(
        parts["compute"],
        parts["memory"],
        parts["overhead"],
        max(parts["compute"], parts["memory"]),
        1.1 * most,
        attained,
        bound,
    )


def case(index: int = 0, batch: int | None = 8, ms: float = 412.3, **changes: Any) -> ProfileCase:
    """A ResNet-50 at this batch that took ``ms``: 4.089 GMACs and 26 MiB an item."""
    items = batch or 1
    peak = 98 * MIB + items * 27 * MIB
    made = ProfileCase(
        index=index,
        batch=batch,
        inputs=(TensorSpec((items, 3, 224, 224)),),
        dtype="float32",
        mode="inference",
        variant="eager",
        amp=False,
        outcome="passed",
        latency_ms=latency(ms),
        phases_ms=(PhaseLatency("forward", ms, 0.99 * ms, 1.02 * ms),),
        precision=0.004,
        throughput=1e3 * items / ms,
        gflops=2 * 4.089 * items / ms * 1e3,
        gbps=0.31 * items / ms * 1e3,
        peak_bytes=peak,
        predicted_peak_bytes=peak - MIB // 2,
        macs=4_089_184_256 * items,
        moved_bytes=310_000_000 * items,
        memory=_memory(peak, ms),
        predicted_memory=_predicted(peak - MIB // 2),
        roofline=roofline(ms, 0.84),
        warmup=Warmup(3, 3.6 * ms, 1.5 * ms, True),
        seconds=0.02 * ms,
    )
    return replace(made, **changes)


def _memory(peak: int, ms: float) -> MemoryUse:
    held = 98 * MIB
    heights = (0.0, 0.55, 1.0, 0.7, 0.8, 0.4, 0.5, 0.2, 0.25, 0.1, 0.0)
    points = [(ms * i / 10, held + round((peak - held) * share)) for i, share in enumerate(heights)]
    return MemoryUse(peak, held, None, "allocator events", tuple(points))


def _predicted(peak: int) -> PeakMemory:
    rest = peak - 97 * MIB - 212_000 - 5 * MIB
    return PeakMemory(
        peak, "forward", "aten.convolution", "layer1.0.conv3", 97 * MIB, 212_000, 5 * MIB,
        rest - rest // 3, 0, 0, rest // 3,
    )  # fmt: skip


CEILINGS = Ceilings("cpu", {"float32": 189.2, "bfloat16": 21.4}, 14.2, 2.1, "measured")
H100 = Ceilings(
    "NVIDIA H100 SXM", {"float32": 67_000.0, "bfloat16": 989_400.0}, 3_350.0, 4.5,
    "NVIDIA's data sheet", 80 << 30, {"compute": 0.6, "memory": 0.8},
)  # fmt: skip


def profile(*cases: ProfileCase, **changes: Any) -> Profile:
    """A profile of these cases on a CPU of two cores."""
    made = Profile(
        target="torchvision:resnet50",
        root_type="ResNet",
        environment=Environment(
            "0.1.0", "2.13.0", "3.11.7", "Linux x86_64", {"torchvision": "0.28.0"}
        ),
        machine=Machine(
            "cpu",
            "AMD EPYC 7B13",
            8 << 30,
            2,
            2,
            None,
            {"float32_matmul_precision": "highest", "mkldnn": "on", "capability": "AVX2"},
            {"load": "0.31"},
        ),
        protocol=Protocol(1.0, 10.0, 0.01, 600.0, False, "sgd", True),
        cases=cases,
        ceilings=CEILINGS,
        seconds=41.7,
        measured_seconds=31.2,
    )
    return replace(made, **changes)


def module(path: str, kind: str, ms: float, own: float, whole: float, **changes: Any) -> ModuleTime:
    """One row, at 80% of its limit where it has MACs."""
    macs = changes.pop("macs", 0)
    made = ModuleTime(
        path, kind, path.count(".") + 1 if path else 0, changes.pop("calls", 1), ms, own,
        own / whole, macs, 4_000_000, 2 * macs / ms / 1e6, 4.0 / ms,
        roofline(ms, 0.8 if macs else 0.4, "compute" if macs else "memory"),
    )  # fmt: skip
    return replace(made, **changes)
