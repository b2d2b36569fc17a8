"""What int8 gives and costs: speed beside the original, eager and compiled; size; error.

Each contestant takes its turn within each round. A time is the 20th percentile over the rounds, a
ratio that of two such times: what other processes disturb is left out. Time to compile is not
counted.

    python tests/benchmarks/quantize.py -o quantize.md
    python tests/benchmarks/quantize.py transformer --rounds 60

Parts:
    convolution  bottleneck blocks of width 256 on a 56x56 map: static, compiled and not
    transformer  two transformer blocks of width 768 on 196 tokens: dynamic and weight-only
    resnet50     torchvision's ResNet-50 at 224x224: static, compiled
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import torch
from common import machine, output_option, race, say, table, versions, write
from torch import Tensor, nn

import blocktool
from blocktool.blocks import BottleneckBlock, ConvBlock, TransformerBlock
from blocktool.optimize.compiling import compile_for
from blocktool.results.quantize import QuantizationReport
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.inputs import call_arguments

HEADER = ("threads", "way", "ms", "of eager fp32", "of compiled fp32", "size", "SQNR (dB)")


def low(seconds: tuple[float, ...]) -> float:
    """The 20th percentile."""
    return sorted(seconds)[len(seconds) // 5]


def rows(
    module: nn.Module, x: Tensor, kinds: Mapping[str, dict[str, Any]], rounds: int
) -> list[tuple[object, ...]]:
    """One row for each number of threads and way of running the same module."""
    module.eval()
    reports: dict[str, QuantizationReport] = {}
    runs: dict[str, Callable[[], object]] = {}
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch._dynamo.reset()  # compiled for the number of threads
        arguments = call_arguments(x)
        compiled, _ = compile_for(module, arguments, freeze=True, name="fp32")
        runs = {"fp32, eager": lambda: module(x), "fp32, compiled": lambda c=compiled: c(x)}  # type: ignore[misc]
        for name, options in kinds.items():
            result = blocktool.quantize(module, x, measure=False, **options)
            reports[name] = result.report
            runs[name] = lambda m=result.module: m(x)  # type: ignore[misc]
            say(f"{name}, threads: {threads}")
        with torch.no_grad():
            times = {name: low(t.seconds) for name, t in race(runs, rounds).items()}
        eager, best = times["fp32, eager"], times["fp32, compiled"]
        for name, seconds in times.items():
            report = reports.get(name)
            found.append(
                (
                    threads,
                    name,
                    f"{1e3 * seconds:.2f}",
                    f"{seconds / eager:.2f}",
                    f"{seconds / best:.2f}",
                    f"{report.size_ratio:.2f}" if report else "1",
                    f"{report.sqnr_db:.1f}" if report else "",
                )
            )
    return found


def randomized(module: nn.Module) -> nn.Module:
    """With statistics and affine parameters as after training: other than zero and one."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return module


def convolution(rounds: int) -> str:
    module = nn.Sequential(
        ConvBlock(3, 64, 7, 2), *(BottleneckBlock(64 if i == 0 else 256, 256) for i in range(4))
    )
    x = torch.randn(1, 3, 112, 112)
    batches = [torch.randn(4, 3, 112, 112) for _ in range(4)]
    static = {"kind": "static", "calibration": batches}
    kinds = {"static": static, "static, compiled": {**static, "compile": True}}
    return table(HEADER, rows(randomized(module), x, kinds, rounds))


def transformer(rounds: int) -> str:
    module = nn.Sequential(TransformerBlock(768, 12), TransformerBlock(768, 12))
    x = torch.randn(1, 196, 768)
    kinds = {
        "weight-only": {"kind": "weight-only"},
        "weight-only, compiled": {"kind": "weight-only", "compile": True},
        "dynamic": {"kind": "dynamic"},
        "dynamic, compiled": {"kind": "dynamic", "compile": True},
    }
    return table(HEADER, rows(module, x, kinds, rounds))


def resnet50(rounds: int) -> str:
    module = randomized(import_zoo("torchvision").models.resnet50())
    x = torch.randn(1, 3, 224, 224)
    batches = [torch.randn(2, 3, 224, 224) for _ in range(4)]
    static = {"kind": "static", "calibration": batches, "compile": True}
    return table(HEADER, rows(module, x, {"static, compiled": static}, rounds))


PARTS: dict[str, Callable[[int], str]] = {
    "convolution": convolution,
    "transformer": transformer,
    "resnet50": resnet50,
}


def main() -> None:
    """Run the parts asked for and write their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--rounds", type=int, default=40)
    output_option(parser)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    text = []
    for part in options.parts or PARTS:
        say(part)
        torch.manual_seed(0)
        measured = PARTS[part](options.rounds)
        text += [f"## {part}", measured, f"{machine()}; {options.rounds} rounds"]
        write("\n\n".join(text), options.output)
    write("\n\n".join([*text, versions("torch", "torchao", "torchvision")]), options.output)


if __name__ == "__main__":
    main()
