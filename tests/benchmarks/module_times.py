"""Times by module, held to the time of the whole.

Plain runs and runs with a clock at each module take turns, block by block, so that drift of the
machine hits both. The sum is that of the own times of all rows (modules, and the optimizer) over
the median of the plain runs; leaf share is the time in modules that call no other; overhead is what
the clocks cost before
their own cost is subtracted. In brackets the least and the greatest of the rounds.

    python tests/benchmarks/module_times.py -o module_times.md
    python tests/benchmarks/module_times.py --clock thread --threads 1

``--clock thread`` reads the CPU time of the calling thread, which stands still while another
process has the core: for a machine that is not quiet, with one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from common import machine, output_option, say, table, versions, write
from torch import nn

from blocktool.analysis.summary import summarize_trace
from blocktool.measure.call_clock import HostStamps
from blocktool.measure.module_times import module_times
from blocktool.measure.steps import scope, step_for
from blocktool.results.profile import ModuleTimes, RunMode
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.inputs import CallArguments
from blocktool.trace.tracer import trace


def timm(name: str) -> nn.Module:
    """A timm model with random weights."""
    model: nn.Module = import_zoo("timm").create_model(name)
    return model


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "ResNet-50": (lambda: import_zoo("torchvision").models.resnet50(), 224),
    "ViT-S/16": (lambda: timm("vit_small_patch16_224"), 224),
    "EfficientNet-B0": (lambda: timm("efficientnet_b0"), 224),
    "ConvNeXt-T": (lambda: timm("convnext_tiny"), 224),
    "MobileNetV3-S at 64x64": (lambda: timm("mobilenetv3_small_100"), 64),
}
MODES: tuple[RunMode, ...] = ("inference", "training")


@dataclass(frozen=True)
class Round:
    """A block of plain runs (median, ms) and one of runs with clocks."""

    plain: float
    times: ModuleTimes

    @property
    def total(self) -> float:
        """The sum of all own times over the plain run."""
        return sum(row.own_ms for row in self.times.rows) / self.plain

    @property
    def overhead(self) -> float:
        """What the clocks cost."""
        return self.times.instrumented_ms / self.plain - 1


def rounds_of(
    model: nn.Module,
    x: torch.Tensor,
    mode: RunMode,
    rounds: int,
    seconds: float,
    now: Callable[[], int],
) -> list[Round]:
    """Blocks in turn; each round has plain runs on both sides of those with clocks."""
    model.train(mode == "training")
    training = mode == "training"
    optimizer = "sgd" if training else None
    record = trace(model, x, mode="training" if training else "forward", optimizer=optimizer)
    summary = summarize_trace(record)
    step = step_for(model, CallArguments((x,), {}), mode, torch.device("cpu"))

    def plain() -> list[float]:
        taken: list[float] = []
        start = time.perf_counter()
        while len(taken) < 3 or time.perf_counter() - start < seconds / 2:
            before = now()
            step.run()
            taken.append((now() - before) / 1e6)
        return taken

    done = []
    with scope(mode):
        plain()
        for _ in range(rounds):
            before = plain()
            times = module_times(model, step, 1.0, summary, seconds, stamps=HostStamps(now))
            done.append(Round(statistics.median(before + plain()), times))
    return done


def spread(values: list[float], digits: int = 1) -> str:
    """Median of percentages, with the least and the greatest."""
    low, middle, high = (
        f"{100 * value:.{digits}f}"
        for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle}% ({low} to {high})"


def row(name: str, mode: RunMode, done: list[Round]) -> list[str]:
    """One line of the table."""
    last = done[-1].times
    calls = sum(each.calls for each in last.rows)
    return [
        name,
        mode,
        str(calls),
        f"{statistics.median(each.plain for each in done):.2f} ms",
        spread([each.total for each in done]),
        spread([each.times.attributed for each in done]),
        spread([each.overhead for each in done], 2),
    ]


def main() -> None:
    """Time each model by module and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--clock", choices=("wall", "thread"), default="wall")
    output_option(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    unknown = set(options.models) - set(MODELS)
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    now = time.thread_time_ns if options.clock == "thread" else time.perf_counter_ns
    torch.manual_seed(0)
    before = machine()
    rows = []
    for name in options.models or MODELS:
        build, size = MODELS[name]
        x = torch.randn(max(options.batch, 2 if size < 224 else 1), 3, size, size)
        for mode in MODES:
            done = rounds_of(build(), x, mode, options.rounds, options.seconds, now)
            rows.append(row(name, mode, done))
            say(f"{name}, {mode} done")
    header = ("model", "mode", "calls", "whole", "sum of modules", "leaf share", "overhead")
    state = f"{before}; {options.clock} clock, {options.rounds} rounds"
    text = [table(header, rows), state, versions("torch", "torchvision", "timm")]
    write("\n\n".join(text), options.output)


if __name__ == "__main__":
    main()
