"""Predicted peak live bytes against the peak that torch.profiler sees on CPU.

The measured peak is the largest running sum of the profiler's memory events (every allocation and
release of the CPU allocator, with its size) on top of what was there before: parameters, buffers
and the input. Inference runs in eval mode without gradients; a training step is
``y = model(x); y.sum().backward(); optimizer.step()`` with plain SGD. Each measurement runs in a
process of its own. The prediction is made without data, as ``blocktool summary --batch`` does it.

    python tests/benchmarks/peak_memory.py -o peak_memory.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import torch
from common import machine, output_option, say, table, versions, write
from torch import nn

from blocktool.api import summarize
from blocktool.results.trace import Mode
from blocktool.targets.zoo_packages import import_zoo

MODELS = (
    "resnet50",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
MODES: tuple[Mode, ...] = ("forward", "training")
LABELS = {"forward": "inference", "training": "SGD step"}


def predicted(name: str, batch: int, mode: Mode) -> int:
    """Bytes, from a trace without data."""
    with torch.device("meta"):
        model = import_zoo("timm").create_model(name)
    optimizer = "sgd" if mode == "training" else None
    summary = summarize(model, (batch, 3, 224, 224), mode=mode, optimizer=optimizer)
    return summary.totals.peak_live_bytes


def step(model: nn.Module, x: torch.Tensor, mode: Mode) -> None:
    """What is measured."""
    if mode == "forward":
        with torch.no_grad():
            model(x)
        return
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    y = model(x)
    y.sum().backward()
    optimizer.step()


def measured(name: str, batch: int, mode: Mode) -> int:
    """Bytes, from the profiler's memory events of one run."""
    from torch.profiler import ProfilerActivity, profile

    model = import_zoo("timm").create_model(name).train(mode == "training")
    x = torch.randn(batch, 3, 224, 224)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(model, x, mode)
    kineto = profiler.profiler
    assert kineto is not None
    events = [e for e in kineto.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    held = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers(), x))
    return int(held + peak)


def measured_apart(name: str, batch: int, mode: Mode) -> int:
    """:func:`measured` in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps([name, batch, mode])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(run.stdout.split()[-1])


def main() -> None:
    """Predict, measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=MODELS, help="names of timm (default: five)")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    output_option(parser)
    options = parser.parse_args()
    if options.measure:
        print(measured(*json.loads(options.measure)))
        return
    rows = []
    worst = 0.0
    for name in options.models:
        for mode in MODES:
            for batch in options.batch:
                ours, real = predicted(name, batch, mode), measured_apart(name, batch, mode)
                error = round(100 * (ours / real - 1), 2) + 0.0  # no "-0.00"
                worst = max(worst, abs(error))
                sizes = (f"{ours / 2**20:.1f}", f"{real / 2**20:.1f}", f"{error:+.2f}%")
                rows.append((name, LABELS[mode], batch, *sizes))
                say(f"{name} {mode} {batch}: {error:+.2f}%")
    header = ("model", "run", "batch", "predicted MiB", "measured MiB", "error")
    tail = f"Largest error {worst:.2f}%. {versions('torch', 'timm')}; {machine()}"
    write(f"{table(header, rows)}\n\n{tail}", options.output)


if __name__ == "__main__":
    main()
