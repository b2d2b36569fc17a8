"""Profiles made by hand, for tests of what is shown of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from render.profile_pieces import H100, MIB, case, latency, module, profile, roofline

from blocktool.results.profile import (
    Machine,
    MaxBatch,
    MemoryUse,
    ModuleTimes,
    Notice,
    PhaseLatency,
    Profile,
    TriedBatch,
    VariantError,
    Verdict,
)
from blocktool.results.specs import TensorSpec

HOSTILE = "ev|il/\U0001f4a5 <script>\x1b[31m`畳`\n%0A:,.py:Net"
"""A name with markup, control characters, a new line, wide characters and an emoji."""


def single() -> Profile:
    """One case and nothing to complain of."""
    return profile(case())


def small() -> Profile:
    """A tiny block that takes microseconds, with many calls to a sample, on a GPU."""
    memory = MemoryUse(3 * MIB, 2 * MIB, 20 * MIB, "device counters")
    made = case(
        0, 1, 0.0431, latency_ms=latency(0.0431, 2_000, 24), memory=memory, peak_bytes=3 * MIB,
        predicted_peak_bytes=3 * MIB, predicted_memory=None, macs=1_200_000, moved_bytes=500_000,
        gflops=55.7, gbps=11.6, throughput=23_201.0, roofline=roofline(0.0431, 0.006, "overhead"),
    )  # fmt: skip
    machine = Machine("cuda:0", "NVIDIA H100 80GB HBM3", 80 << 30, 16, 16, "550.54.15")
    return profile(made, target="se", root_type="SqueezeExcitation", machine=machine, ceilings=H100)


def batches() -> Profile:
    """Five batches, the last two without a time; two warnings."""
    oom = "RuntimeError: [enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate "
    nothing: dict[str, Any] = {
        "latency_ms": None, "phases_ms": (), "precision": None, "throughput": None, "gflops": None,
        "gbps": None, "peak_bytes": None, "memory": None, "roofline": None, "warmup": None,
    }  # fmt: skip
    failed = case(
        3, 512, **nothing, outcome="failed", kind="out-of-memory",
        reason=oom + "memory: you tried to allocate 1644167168 bytes. Error code 12 (Cannot)",
        details=('File "resnet.py", line 269, in _forward_impl', "    x = self.relu(x)"),
    )  # fmt: skip
    hopeless = case(
        4, 1024, **nothing, outcome="skipped", kind="hopeless",
        reason="batch 512 ran out of memory",
    )  # fmt: skip
    return profile(
        case(0, 1, 61.2), case(1, 8, 412.3, precision=0.031), case(2, 32, 1_590.0),
        failed, hopeless,
        warnings=(
            Notice("not-precise", "the median is known to ±3.1%, not to ±1%",
                   "give it more time with --max-time, or find out what else runs", (1,)),
            Notice("load", "other processes used 38% of the cores while it ran",
                   "stop them, or measure on a machine of its own"),
        ),
        notes=("the inputs are normal random numbers",),
    )  # fmt: skip


def variants() -> Profile:
    """Eager, three changes, a combination and one that cannot be had; a verdict."""
    base = {
        "eager": (412.3, 2.1e-6, 0.84),
        "channels-last": (371.0, 2.3e-6, 0.93),
        "fused": (408.9, 3.0e-6, 0.85),
        "bf16": (1_203.0, 9.4e-3, 0.95),
        "fused+channels-last+compile": (251.8, 3.1e-6, 1.12),
    }
    cases = [
        case(
            index, 8, ms, variant=name, roofline=roofline(ms, attained),
            error=VariantError("float64", wrong, -20 * math.log10(wrong), 2.1e-6, 1.0),
        )
        for index, (name, (ms, wrong, attained)) in enumerate(base.items())
    ]  # fmt: skip
    gone = case(
        5, 8, variant="int8-static", outcome="skipped", kind="unavailable", latency_ms=None,
        phases_ms=(), precision=None, throughput=None, gflops=None, gbps=None, peak_bytes=None,
        memory=None, roofline=None, warmup=None, reason="torchao is not installed",
    )  # fmt: skip
    cases[4] = replace(cases[4], notes=("36 batch norms folded into convolutions",))
    first = cases[0]
    verdict = Verdict(
        8, first.inputs, "float32", "inference", "fused+channels-last+compile", 1.64, True,
        "1.64x faster than eager, error 3.1e-6, the same memory",
    )  # fmt: skip
    return profile(*cases, gone, verdicts=(verdict,))


def training() -> Profile:
    """Training steps at two batches in two dtypes."""
    cases = []
    for index, (batch, dtype, ms) in enumerate(
        [(8, "float32", 1_301.0), (16, "float32", 2_540.0), (8, "bfloat16", 4_107.0)]
    ):
        phases = tuple(
            PhaseLatency(name, share * ms, 0.99 * share * ms, 1.02 * share * ms)
            for name, share in (("forward", 0.32), ("backward", 0.645), ("optimizer", 0.035))
        )
        cases.append(case(index, batch, ms, dtype=dtype, mode="training", phases_ms=phases))
    return profile(*cases)


def by_module() -> Profile:
    """A stem, a stage of three blocks of which two are equal, a head."""
    whole = 100.0
    rows = [
        module("", "Backbone", whole, 1.5, whole, macs=5_000_000_000),
        module("stem", "Sequential", 22.0, 0.5, whole, macs=1_000_000_000),
        module("stem.conv", "Conv2d", 17.5, 17.5, whole, macs=1_000_000_000),
        module("stem.norm", "BatchNorm2d", 4.0, 4.0, whole),
        module("stage", "ModuleList", 74.5, 0.0, whole, macs=3_990_000_000, calls=0, roofline=None),
        module("stage.0", "Block", 30.0, 3.0, whole, macs=1_990_000_000),
        module("stage.0.conv", "Conv2d", 27.0, 27.0, whole, macs=1_990_000_000),
    ]
    for index, ms in ((1, 21.5), (2, 23.0)):
        rows += [
            module(f"stage.{index}", "Block", ms, 1.0, whole, macs=1_000_000_000),
            module(f"stage.{index}.conv", "Conv2d", ms - 1, ms - 1, whole, macs=1_000_000_000),
        ]
    rows.append(module("head", "Linear", 2.0, 2.0, whole, macs=10_000_000))
    times = ModuleTimes(99.2, 100.9, 12, 0.93, tuple(rows))
    return profile(case(0, 8, 99.2, modules=times), target="net.py:Net", root_type="Backbone")


def assumed() -> Profile:
    """Two batches predicted for a device that is not there."""
    cases = []
    for index, (batch, ms) in enumerate([(1, 1.31), (64, 4.52)]):
        line = replace(roofline(ms, 0.9, "overhead" if batch == 1 else "memory"), attained=None,
                       predicted_ms=ms)  # fmt: skip
        cases.append(
            case(
                index,
                batch,
                outcome="skipped",
                kind="predicted",
                reason=None,
                latency_ms=None,
                phases_ms=(),
                precision=None,
                throughput=None,
                gflops=None,
                gbps=None,
                peak_bytes=None,
                memory=None,
                warmup=None,
                roofline=line,
            )
        )
    return profile(*cases, ceilings=H100, assumed="NVIDIA H100 SXM", machine=None)


def largest() -> Profile:
    """The search for the largest batch."""
    tried = (
        TriedBatch(318, False, None, 7_980 * MIB, "out of memory: can't allocate memory"),
        TriedBatch(310, True, 7_790 * MIB, 7_785 * MIB),
        TriedBatch(312, True, 7_840 * MIB, 7_836 * MIB),
        TriedBatch(313, False, None, 7_862 * MIB, "out of memory: can't allocate memory"),
    )
    found = MaxBatch(
        "float32", "inference", "eager", 7_850 * MIB, "available memory", 318, 312, True, tried
    )
    return profile(case(0, 1, 61.2), case(1, 8, 412.3), max_batch=found)


def interrupted() -> Profile:
    """Three cases, of which the first was measured."""
    cases = [case(0, 1, 61.2)]
    for index, batch in ((1, 8), (2, 32)):
        cases.append(
            case(
                index,
                batch,
                outcome="skipped",
                kind="interrupted",
                reason=None,
                latency_ms=None,
                phases_ms=(),
                precision=None,
                throughput=None,
                gflops=None,
                gbps=None,
                peak_bytes=None,
                memory=None,
                warmup=None,
                roofline=None,
            )
        )
    return profile(*cases, interrupted=True)


def hostile() -> Profile:
    """Names, reasons and code that are markup and control characters, in every place."""
    times = ModuleTimes(
        61.2, 60.9, 3, 1.2, (
            module("", HOSTILE, 61.2, 1.2, 61.2, macs=4_000_000_000),
            module("[red]", "Evil\x1b[31m", 30.0, 30.0, 61.2, macs=10**9, calls=3),
            module("畳み込み", "畳み込み層", 30.0, 30.0, 61.2, roofline=None),
        ), ("see |there| \x07",),
    )  # fmt: skip
    good = case(
        0, 1, 61.2, variant="a|b\x1b[1m", modules=times, notes=("<b>note</b>\n",), amp=True,
        error=VariantError("float64", None, None, None),
    )  # fmt: skip
    bad = case(
        1, None, variant=HOSTILE, outcome="failed", kind="crash", latency_ms=None, roofline=None,
        reason="*SIGSEGV* <b>\x1b[31m\ud800\n| x", details=(f'File "{HOSTILE}", line 3', "  ```x"),
        inputs=(TensorSpec((), name="ev\x07il"),),
    )  # fmt: skip
    machine = Machine("cuda:0", "N|V\x1bIDIA", None, 1, 1, None, {"a\nb": "c|d"}, {"<i>": "</i>"})
    notice = Notice("noisy", "times | spread\x1b[0m", "try `--x` <now>", (1,))
    verdict = Verdict(1, good.inputs, "float32", "inference", HOSTILE, 1.0, False, "why | <not>")
    return profile(
        good, bad, target=HOSTILE, root_type="Net[bold]", machine=machine, warnings=(notice,),
        verdicts=(verdict, replace(verdict, batch=2)), notes=("# no\x00",),
    )  # fmt: skip


MAKERS = {
    "single": single,
    "small": small,
    "batches": batches,
    "variants": variants,
    "training": training,
    "by-module": by_module,
    "assumed": assumed,
    "largest": largest,
    "interrupted": interrupted,
    "hostile": hostile,
}
