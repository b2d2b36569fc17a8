"""How fast the blocks are, against those of torchvision, timm and torch.nn that compute the same.

Each contestant has the same weights and gives the same output, which is checked before the clock
runs. They take turns, in a new order each round; a time is the 10th percentile over the rounds, a
ratio that of two such times (below 1: ours is faster), in brackets the least and the greatest of
the ratios of five parts of the rounds. On one thread the clock is that of the thread, which stands
still while another process has the core; on several it is the wall's, and on Linux only calls
count during which no thread waited for a core: "disturbed" where those were too few.

    python tests/benchmarks/blocks.py -o blocks.md --csv blocks.csv
    python tests/benchmarks/blocks.py blocks --threads 1 --only attention ResNet
    python tests/benchmarks/blocks.py --device cuda

Parts:
    blocks    every block and network, inference and a training step
    layouts   channels-last and bfloat16, against the references and against our own float32
    checks    what the checks of shapes cost
    fused     blocktool.fuse against the network as it is
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from common import ROOT, machine, output_option, say, table, versions, write

sys.path.insert(0, str(ROOT / "tests"))  # for the names of weights that the tests use

from attention_cases import ATTENTION
from block_cases import CONVOLUTIONS, NETWORKS, Case
from block_overheads import checks, fused
from block_race import OURS, PLAIN, Result, Setting, run_case
from paired import Ratio

Cases = Mapping[str, Callable[[], Case]]
CASES: dict[str, Callable[[], Case]] = {**CONVOLUTIONS, **ATTENTION, **NETWORKS}
Found = dict[str, dict[Setting, Result]]


def race_all(cases: Cases, settings: Sequence[Setting], seconds: float) -> Found:
    """Every case under every setting that it has."""
    found: Found = {}
    for name, build in cases.items():
        found[name] = {}
        for setting in settings:
            result = run_case(build, setting, seconds)
            if result is not None:
                found[name][setting] = result
                fewest = min(samples.undisturbed for samples in result.samples.values())
                ratio = f"{result.ratio(result.best)} of {result.best}"
                say(f"{name}, {setting}: {ratio}; {fewest} undisturbed")
    return found


def settings_of(options: argparse.Namespace) -> list[Setting]:
    """The plain settings: float32, contiguous, in inference."""
    if options.device == "cuda":
        return [Setting(torch.get_num_threads(), "cuda")]
    return [Setting(threads) for threads in options.threads]


def blocks(cases: Cases, options: argparse.Namespace) -> tuple[str, Found]:
    """Every block against every reference, in inference and, in the first setting, in training."""
    plain = settings_of(options)
    settings = [*plain, replace(plain[0], training=True)]
    found = race_all(cases, settings, options.seconds)
    rows = []
    for name, results in found.items():
        times = " / ".join(f"{1e3 * results[setting].samples[OURS].low:.2f}" for setting in plain)
        first = results[plain[0]]
        for theirs in first.samples:
            if theirs != OURS:
                cells = [_cell(results.get(setting), theirs) for setting in settings]
                rows.append((name, times, theirs, *cells))
                name = times = ""
    header = ("block", "ours, ms", "against", *map(str, settings))
    return table(header, rows), found


def _cell(result: Result | None, theirs: str) -> Ratio | str:
    if result is None or theirs not in result.samples:
        return ""
    return result.samples[OURS].shown(result.samples[theirs])


def layouts(cases: Cases, options: argparse.Namespace) -> tuple[str, Found]:
    """Channels-last and bfloat16: ours over the best reference, and over ours in plain float32."""
    settings = []
    for plain in settings_of(options):
        half = replace(plain, dtype=torch.bfloat16)
        settings += [replace(plain, channels_last=True), half]
        if options.device == "cuda":
            settings.append(replace(half, channels_last=True))
    found = race_all(cases, settings, options.seconds)
    rows = []
    for name, results in found.items():
        cells: list[object] = []
        for setting in settings:
            result = results[setting]
            cells += [_cell(result, result.best), _cell(result, PLAIN)]
        rows.append((name, *cells))
    header = [f"{s}: {what}" for s in settings for what in ("to the best", "to ours, plain")]
    return table(("block", *header), rows), found


def write_csv(found: Mapping[str, Found], path: Path) -> None:
    """Every time and ratio; ``difference`` is that of the outputs, relative to the largest."""
    header = (
        "part block setting contestant calls undisturbed low_ms ratio least greatest difference"
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split())
        for part, cases in found.items():
            for block, results in cases.items():
                for setting, result in results.items():
                    for name, samples in result.samples.items():
                        ratio = result.ratio(name)
                        numbers = (ratio.value, ratio.least, ratio.greatest)
                        writer.writerow(
                            (
                                *(part, block, setting, name, len(samples.seconds)),
                                samples.undisturbed,
                                f"{1e3 * samples.low:.4f}",
                                *(f"{number:.3f}" for number in numbers),
                                f"{result.differences.get(name, 0.0):.1e}",
                            )
                        )


def _has(name: str, words: Sequence[str]) -> bool:
    return any(word in name for word in words)


PARTS = ("blocks", "layouts", "checks", "fused")


def main() -> None:
    """Run the parts asked for and write their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name contains these")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on CPU")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case and setting")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--csv", type=Path, help="write every figure here")
    output_option(parser)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device")
    cases = {name: build for name, build in CASES.items() if _has(name, options.only)}
    text: list[str] = []
    found: dict[str, Found] = {}
    for part in options.parts or PARTS:
        state = machine()
        if part == "blocks":
            body, found[part] = blocks(cases, options)
        elif part == "layouts":
            body, found[part] = layouts(cases, options)
        elif part == "checks":
            body = checks()
        else:
            body = fused(settings_of(options), options.seconds)
        text += [f"## {part}", body, f"{state}; after it {machine().rpartition(', ')[2]}"]
    write("\n\n".join([*text, versions("torch", "torchvision", "timm")]), options.output)
    if options.csv:
        write_csv(found, options.csv)


if __name__ == "__main__":
    main()
