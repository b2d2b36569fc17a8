"""Predicted against measured time, with the ceilings of this machine as the description.

A prediction needs no run: it adds up, operation by operation, what arithmetic, memory traffic or
the start of the operation takes at least. The times are medians of
``torch.utils.benchmark.Timer.blocked_autorange`` in inference mode. Ceilings are measured anew for
each module, so that both hold for the same moment of a shared machine.

    python tests/benchmarks/assume.py --threads 1 --cpu-time -o assume.md
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from common import machine, output_option, say, table, versions, write
from torch import nn
from torch.utils.benchmark import Timer

from blocktool.analysis.roofline import roofline
from blocktool.measure.ceilings import measured_ceilings
from blocktool.results.roofline import Ceilings, Roofline
from blocktool.targets.resolve import resolve
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.tracer import trace

MODELS = ("resnet50", "mobilenetv2_100", "vit_small_patch16_224", "convnext_tiny")
BLOCKS = ("conv", "bottleneck", "multi-head-attention", "transformer", "se-residual")


def module_and_shape(name: str, batch: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A model of timm at 224x224, or a block of the catalog at its own size."""
    if name in BLOCKS:
        target = resolve(name)
        assert target.inputs is not None
        return target.build().eval(), (batch, *target.inputs[0].shape[1:])
    return import_zoo("timm").create_model(name).eval(), (batch, 3, 224, 224)


def compared(
    name: str, batch: int, seconds: float, clock: Callable[[], float]
) -> tuple[Ceilings, Roofline, float]:
    """The ceilings, the prediction, and the measured time in ms."""
    module, shape = module_and_shape(name, batch)
    record = trace(module, shape)
    x = torch.randn(shape)
    with torch.inference_mode():
        names = {"module": module, "x": x}
        timer = Timer("module(x)", timer=clock, globals=names, num_threads=torch.get_num_threads())
        timer.timeit(2)
        ceilings = measured_ceilings(torch.device("cpu"), ["float32"])
        measured = timer.blocked_autorange(min_run_time=seconds).median * 1e3
    return ceilings, roofline(record.ops, ceilings, measured), measured


def main() -> None:
    """Predict, measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=(*MODELS, *BLOCKS))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="of measuring, each")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="CPU time of the process instead of wall-clock time: one thread on a shared machine",
    )
    output_option(parser)
    options = parser.parse_args()
    if options.cpu_time and options.threads > 1:
        parser.error("--cpu-time adds up the time of all threads: it needs --threads 1")
    clock = time.process_time if options.cpu_time else time.perf_counter
    torch.set_num_threads(options.threads)
    rows, ratios, seen = [], [], []
    for name in options.names:
        for batch in options.batch:
            ceilings, place, measured = compared(name, batch, options.seconds, clock)
            ratio = place.predicted_ms / measured
            ratios.append(ratio)
            seen.append(ceilings)
            say(f"{name} {batch}: {place.predicted_ms:.3f} / {measured:.3f} ms = {ratio:.2f}")
            parts = (place.compute_ms, place.memory_ms, place.overhead_ms, place.predicted_ms)
            figures = (f"{part:.3f}" for part in (*parts, measured))
            rows.append((name, batch, *figures, f"{ratio:.2f}", place.bound))
    header = ("module", "batch", "arithmetic ms", "memory ms", "overhead ms", "predicted ms")
    header += ("measured ms", "predicted / measured", "bound")
    middle = math.exp(statistics.mean(map(math.log, ratios)))
    limits = (
        f"{statistics.median(c.gflops['float32'] for c in seen):.0f} GFLOP/s, "
        f"{statistics.median(c.gbps for c in seen):.1f} GB/s, "
        f"{statistics.median(c.overhead_us for c in seen):.1f} µs an operation"
    )
    tail = (
        f"Ratio {min(ratios):.2f} to {max(ratios):.2f}, geometric mean {middle:.2f}. Limits "
        f"(medians): {limits}. Measured: {'CPU' if options.cpu_time else 'wall-clock'} time. "
        f"{versions('torch', 'timm')}; {machine()}"
    )
    write(f"{table(header, rows)}\n\n{tail}", options.output)


if __name__ == "__main__":
    main()
