"""The peak that a profile reports on CPU, against torch.profiler and against the prediction.

Each measurement runs in a process of its own: the step of ``blocktool profile`` (inference, or
forward, backward and plain SGD), once to warm up, then under ``memory_use``, then once more under
torch.profiler, whose memory events this script reads for itself. The two peaks must be the same to
the byte. The prediction is made without data, as ``blocktool summary --batch`` does it. "Cost" is
the time that ``memory_use`` takes over that of the step alone, medians of five in turn.

    python tests/benchmarks/profile_memory.py -o profile_memory.md
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from common import machine, output_option, say, table, versions, write
from peak_memory import MODELS, predicted
from torch.profiler import ProfilerActivity, profile

from blocktool.measure.memory import memory_use
from blocktool.measure.steps import scope, state_of, step_for
from blocktool.results.profile import RunMode
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.inputs import CallArguments

MODES: tuple[RunMode, ...] = ("inference", "training")
LABELS = {"inference": "inference", "training": "SGD step"}
CPU = torch.device("cpu")
ROUNDS = 5


def profiled_peak(run: Callable[[], None]) -> int:
    """Bytes above what was there before: the largest running sum of the profiler's events."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    kineto = profiler.profiler
    assert kineto is not None
    events = [e for e in kineto.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def measured(name: str, batch: int, mode: RunMode, threads: int | None) -> dict[str, Any]:
    """Peaks in bytes, by us and by the profiler, and seconds of a step with and without us."""
    if threads:
        torch.set_num_threads(threads)
    model = import_zoo("timm").create_model(name).train(mode == "training")
    x = torch.randn(batch, 3, 224, 224)
    step = step_for(model, CallArguments((x,), {}), mode, CPU, optimizer="sgd")
    with scope(mode):
        step.run()
        held = [*model.parameters(), *model.buffers(), x, *state_of(step)]
        use = memory_use(step, held)
        peak = profiled_peak(step.run) + sum(tensor.nbytes for tensor in held)
        plain, ours = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            step.run()
            between = time.perf_counter()
            memory_use(step, held)
            plain.append(between - start)
            ours.append(time.perf_counter() - between)
    assert use is not None
    return {
        "ours": use.peak_bytes,
        "profiler": peak,
        "plain": median(plain),
        "with": median(ours),
    }


def measured_apart(*what: Any) -> dict[str, Any]:
    """:func:`measured` in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(what)]
    quiet = {**os.environ, "KINETO_LOG_LEVEL": "6"}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, predict, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=MODELS, help="names of timm (default: five)")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    output_option(parser)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*json.loads(options.measure))))
        return
    rows = []
    unequal = 0
    worst = 0.0
    for name in options.models:
        for mode in MODES:
            for batch in options.batch:
                found = measured_apart(name, batch, mode, options.threads)
                said = predicted(name, batch, "forward" if mode == "inference" else mode)
                ours, theirs = found["ours"], found["profiler"]
                unequal += ours != theirs
                error = round(100 * (said / ours - 1), 2) + 0.0  # no "-0.00"
                worst = max(worst, abs(error))
                cost = found["with"] / found["plain"] - 1
                sizes = (f"{ours / 2**20:.1f}", ours - theirs, f"{said / 2**20:.1f}")
                times = (f"{1e3 * found['plain']:.0f}", f"{1e3 * found['with']:.0f}")
                rows.append(
                    (name, LABELS[mode], batch, *sizes, f"{error:+.2f}%", *times, f"{cost:+.0%}")
                )
                say(f"{name} {mode} {batch}: {ours - theirs:+d} bytes, {error:+.2f}%, {cost:+.0%}")
    header = ("model", "run", "batch", "peak MiB", "less profiler's, bytes", "predicted MiB")
    times_header = ("error", "step ms", "memory_use ms", "cost")
    tail = f"{unequal} of {len(rows)} peaks differ from the profiler's; largest error of the "
    tail += f"prediction {worst:.2f}%. {versions('torch', 'timm')}; {machine()}"
    write(f"{table((*header, *times_header), rows)}\n\n{tail}", options.output)


if __name__ == "__main__":
    main()
