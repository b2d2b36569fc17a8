"""Our medians against torch.utils.benchmark, and runs of ours against each other.

    python tests/benchmarks/timing.py [--rounds 21] [--seconds 0.3] [--runs 10] [--only NAME,NAME]

The first table has the same modules, inputs and threads timed by both, in short rounds of one
process, whose order is drawn anew each time, so that a drift of the machine meets both alike. The
second has runs in processes of their own, and how often they agree within what they state. Run it
on a machine that is idle otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import torch
from common import machine, output_option, say, table, versions, write
from torch import nn
from torch.utils.benchmark import Timer

from blocktool.measure.clocks import clock_for
from blocktool.measure.request import Rule
from blocktool.measure.steps import scope, step_for
from blocktool.measure.timing import timed
from blocktool.results.profile import Latency
from blocktool.targets.resolve import resolve
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.inputs import CallArguments

CPU = torch.device("cpu")
MODELS = {"ResNet-50": "torchvision:resnet50", "ViT-S/16": "timm:vit_small_patch16_224"}
BLOCKS = ("conv", "bottleneck", "multi-head-attention", "transformer", "se-residual")
WITHIN = 0.03
OFTEN = 0.9


def module_and_inputs(name: str) -> tuple[nn.Module, list[torch.Tensor]]:
    """A model of a zoo with an image, or a block of the catalog with its own inputs."""
    torch.manual_seed(0)
    if name not in MODELS:
        target = resolve(name)
        assert target.inputs is not None
        return target.build().eval(), [torch.randn(spec.shape) for spec in target.inputs]
    zoo, _, model = MODELS[name].partition(":")
    package: Any = import_zoo(zoo)
    make = package.create_model if zoo == "timm" else package.models.get_model
    return make(model).eval(), [torch.randn(1, 3, 224, 224)]


def ours(module: nn.Module, inputs: list[torch.Tensor], rule: Rule) -> Latency:
    """The latency as a profile has it."""
    step = step_for(module, CallArguments(tuple(inputs), {}), "inference", CPU)
    return timed(step, clock_for(CPU, cold_cache=False), rule).latency


@dataclass(frozen=True)
class Rounds:
    """Medians of both in each round, in ms."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]


def compared(name: str, threads: int, rounds: int, seconds: float) -> Rounds:
    """Both on the same module, after one round that does not count."""
    module, inputs = module_and_inputs(name)
    torch.set_num_threads(threads)
    timer = Timer(
        "module(*inputs)", globals={"module": module, "inputs": inputs}, num_threads=threads
    )
    contestants = {
        "ours": lambda: ours(module, inputs, Rule(seconds, seconds)).p50,
        "theirs": lambda: 1e3 * timer.blocked_autorange(min_run_time=seconds).median,
    }
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    order = list(contestants)
    shuffle = random.Random(0).shuffle
    with scope("inference"):
        for number in range(rounds + 1):
            shuffle(order)
            for each in order:
                median = contestants[each]()
                if number:
                    found[each].append(median)
    return Rounds(**found)


def against_torch(names: list[str], threads: list[int], rounds: int, seconds: float) -> str:
    """The first table."""
    rows: list[list[str]] = []
    good = 0
    for count in threads:
        for name in names:
            say(f"{name}, {count} threads, against torch.utils.benchmark")
            found = compared(name, count, rounds, seconds)
            ratio = statistics.median(found.ratios)
            first, _, third = statistics.quantiles(found.ratios, n=4)
            good += abs(ratio - 1) <= WITHIN
            rows.append(
                [
                    name,
                    str(count),
                    f"{statistics.median(found.ours):.4g}",
                    f"{statistics.median(found.theirs):.4g}",
                    f"{ratio:.3f}",
                    f"{first:.3f} to {third:.3f}",
                    "yes" if abs(ratio - 1) <= WITHIN else "no",
                ]
            )
    header = ["module", "threads", "ours, ms", "Timer, ms", "ratio", "quartiles", "within 3%"]
    text = f"{rounds} rounds of {seconds:g} s each; the ratio is the median of those of the rounds."
    return f"{text}\n\n{table(header, rows)}\n\nWithin 3%: {good} of {len(rows)}."


def run_apart(name: str, threads: int) -> dict[str, float]:
    """Median and its bounds, in ms, from a fresh process under the default rule."""
    command = [sys.executable, __file__, "--one", name, "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run_command(name: str, threads: int, processes: int) -> dict[str, float]:
    """The same from ``blocktool profile --processes``."""
    target = MODELS.get(name, name)
    words = ["profile", target, "--threads", str(threads), "--processes", str(processes)]
    code = "from blocktool.cli import main; main()"
    command = [sys.executable, "-c", code, *words, "-d", "cpu", "--no-ceilings", "-q", "-f", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)["cases"][0]["latency_ms"]
    return found


def one_run(name: str, threads: int) -> None:
    """What ``run_apart`` reads."""
    module, inputs = module_and_inputs(name)
    torch.set_num_threads(threads)
    with scope("inference"):
        latency = ours(module, inputs, Rule())
    print(json.dumps({"p50": latency.p50, "low": latency.low, "high": latency.high}))


def repeated(names: list[str], threads: list[int], runs: int, processes: int) -> str:
    """The second table: run after run of a module, as someone does who does not trust the first."""
    cases = [(name, count) for count in threads for name in names]
    found: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in cases}
    for name, count in cases:
        for number in range(runs):
            say(f"run {number + 1} of {runs}: {name}, {count} threads")
            one = run_command(name, count, processes) if processes > 1 else run_apart(name, count)
            found[name, count].append(one)
    rows = [agreement(*case, found[case]) for case in cases]
    shares = [share for share, _ in rows]
    header = ["module", "threads", "median of medians, ms", "range of medians"]
    header += ["stated ±", "intervals overlap", "median in another's interval"]
    each = f"in {processes} processes each" if processes > 1 else "in a process of its own each"
    return (
        f"{runs} runs, {each}, one after the other, for 1 to 5 s or until ±2% is reached.\n\n"
        f"{table(header, [row for _, row in rows])}\n\n"
        f"Pairs of runs that agree (overlap): {100 * statistics.fmean(shares):.0f}% of all; "
        f"{sum(share >= OFTEN for share in shares)} of {len(rows)} cases reach 90%."
    )


def agreement(name: str, threads: int, runs: list[dict[str, float]]) -> tuple[float, list[str]]:
    """The share of pairs whose intervals overlap, and the row of the table."""
    pairs = list(combinations(runs, 2))
    overlap = [a["low"] <= b["high"] and b["low"] <= a["high"] for a, b in pairs]
    inside = [b["low"] <= a["p50"] <= b["high"] for a, b in permutations(runs, 2)]
    medians = [run["p50"] for run in runs]
    middle = statistics.median(medians)
    stated = statistics.median((run["high"] - run["low"]) / 2 / run["p50"] for run in runs)
    share = statistics.fmean(overlap)
    return share, [
        name,
        str(threads),
        f"{middle:.4g}",
        f"{100 * (min(medians) / middle - 1):+.1f}% to {100 * (max(medians) / middle - 1):+.1f}%",
        f"{100 * stated:.1f}%",
        f"{100 * share:.0f}%",
        f"{100 * statistics.fmean(inside):.0f}%",
    ]


def main() -> None:
    """Both tables, as markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="0: no first table")
    parser.add_argument("--seconds", type=float, default=0.3, help="of one round of one contestant")
    parser.add_argument("--runs", type=int, default=10, help="0: no second table")
    parser.add_argument("--processes", type=int, default=1, help="of each run, second table")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", default=",".join([*MODELS, *BLOCKS]))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    output_option(parser)
    options = parser.parse_args()
    threads = [int(count) for count in options.threads.split(",")]
    if options.one:
        one_run(options.one, threads[0])
        return
    names = options.only.split(",")
    before = machine()
    parts = []
    if options.rounds:
        parts.append(against_torch(names, threads, options.rounds, options.seconds))
    if options.runs:
        parts.append(repeated(names, threads, options.runs, options.processes))
    after = f"{os.getloadavg()[0]:.1f} after" if hasattr(os, "getloadavg") else ""
    head = f"{before} before, {after}; {versions('torch', 'torchvision', 'timm')}"
    write("\n\n".join([head, *parts]), options.output)


if __name__ == "__main__":
    main()
