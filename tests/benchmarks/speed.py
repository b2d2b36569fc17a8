"""How fast blocktool is, as ratios to other things that run beside it.

Contestants take turns within each round, so that a change of the machine's speed hits all alike; a
ratio is the median of the ratios of the rounds. Times are medians, with the fastest and the slowest
in brackets.

    python tests/benchmarks/speed.py -o speed.md
    python tests/benchmarks/speed.py processes --rounds 20

Parts:
    processes  whole commands against ``python -c "import torch"``
    peers      summarize against FlopCounterMode and torchinfo, all on meta
    memory     resident memory of summarize on a ViT of 21.8 billion parameters
    real       summarize against fvcore and ptflops, on a ViT of 1 billion parameters on CPU
    linear     CPU time per operation of chains of 1,000 to 100,000 operations
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from common import (
    ROOT,
    Times,
    machine,
    output_option,
    race,
    ratio,
    say,
    table,
    versions,
    write,
)
from torch import nn
from vit import vit

import blocktool
from blocktool.targets.zoo_packages import import_zoo

Run = Callable[[], object]


def blocktool_command() -> list[str]:
    """The installed script, or else what it would run."""
    script = shutil.which("blocktool", path=str(Path(sys.executable).parent))
    call = "import sys; from blocktool.cli import main; sys.exit(main())"
    return [script] if script else [sys.executable, "-c", call]


def processes(rounds: int) -> str:
    """Whole processes, from start to exit."""

    def command(*words: str) -> Run:
        return lambda: subprocess.run(words, cwd=ROOT, check=True, capture_output=True)

    ours = blocktool_command()
    with tempfile.TemporaryDirectory() as folder:
        old, new = f"{folder}/resnet50.json", f"{folder}/resnet101.json"
        for path, config in ((old, "resnet50"), (new, "resnet101")):
            command(*ours, "summary", f"examples/{config}.yaml", "-o", path)()
        times = race(
            {
                'python -c "import torch"': command(sys.executable, "-c", "import torch"),
                "blocktool --help": command(*ours, "--help"),
                "blocktool list": command(*ours, "list"),
                "blocktool compare resnet50.json resnet101.json": command(
                    *ours, "compare", old, new, "--fail-on", "macs:+100%"
                ),
                "blocktool report resnet50.json -f table": command(
                    *ours, "report", old, "-f", "table"
                ),
                "blocktool report resnet50.json": command(*ours, "report", old, "--force"),
                "blocktool summary examples/resnet50.yaml": command(
                    *ours, "summary", "examples/resnet50.yaml"
                ),
            },
            rounds,
        )
    base, *_ = times.values()
    rows = [(f"`{name}`", t, f"{ratio(t, base):.2f}") for name, t in times.items()]
    return table(("process", "wall time", "to `import torch`"), rows)


def contestants(model: nn.Module, x: torch.Tensor) -> dict[str, Run]:
    """The three ways to count a module that lies on meta."""
    from torch.utils.flop_counter import FlopCounterMode

    from blocktool.api import summarize

    def flop_counter() -> object:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(x)
        return counter.get_total_flops()

    runs: dict[str, Run] = {
        "blocktool": lambda: summarize(model, x),
        "FlopCounterMode": flop_counter,
    }
    if importlib.util.find_spec("torchinfo"):
        from torchinfo import summary

        runs["torchinfo"] = lambda: summary(model, input_data=[x], device="meta", verbose=0)
    return runs


MODELS_ON_META: dict[str, Callable[[], nn.Module]] = {
    "ResNet-50 (torchvision)": lambda: import_zoo("torchvision").models.resnet50(),
    "ViT-L/16 (timm)": lambda: import_zoo("timm").create_model("vit_large_patch16_224"),
    "ViT, 21.8 billion parameters": lambda: vit(width=6144, depth=48, heads=48),
}


def build_on_meta(name: str) -> dict[str, Run]:
    """The contestants for one of ``MODELS_ON_META``."""
    with torch.device("meta"):
        model = MODELS_ON_META[name]().eval()
    return contestants(model, torch.empty(1, 3, 224, 224, device="meta"))


def first_calls(name: str, tools: Iterable[str], rounds: int) -> dict[str, Times]:
    """The first call in a fresh process, after the imports; each in a process of its own."""
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool, values in seconds.items():
            command = [sys.executable, __file__, "--first", name, tool]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            values.append(float(run.stdout))
    return {tool: Times(tuple(values)) for tool, values in seconds.items()}


def once(run: Run) -> float:
    """Seconds of a single call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peers(rounds: int) -> str:
    """In process, on meta: the first call after the imports, and further ones."""
    rows = []
    for name in MODELS_ON_META:
        runs = build_on_meta(name)
        tools = list(runs)[1:]
        for call, times in (
            ("first", first_calls(name, runs, max(rounds // 3, 3))),
            ("further", race(runs, rounds)),
        ):
            ours = times["blocktool"]
            pairs = [(times[tool], f"{ratio(ours, times[tool]):.2f}") for tool in tools]
            rows.append((name, call, ours, *(cell for pair in pairs for cell in pair)))
        say(f"{name} done")
    header = [text for tool in tools for text in (tool, f"ours / {tool}")]
    return table(("model", "call", "blocktool", *header), rows)


def memory() -> str:
    """The largest resident set of a fresh process that summarizes the large ViT."""
    code = (
        "import torch, blocktool, vit\n"
        "with torch.device('meta'): model = vit.vit(width=6144, depth=48, heads=48)\n"
        "s = blocktool.summarize(model, (1, 3, 224, 224))\n"
        "print(s.totals.params, s.totals.macs, vit.largest_resident_bytes())"
    )
    base = "import torch, vit; print(0, 0, vit.largest_resident_bytes())"
    rows = []
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    for label, program in (("import torch", base), ("summarize, 21.8 billion", code)):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        params, macs, nbytes = map(int, run.stdout.split())
        rows.append((label, f"{params:,}", f"{macs:,}", f"{nbytes / 1e6:.0f} MB"))
    return table(("process", "parameters", "MACs", "largest resident set"), rows)


def real() -> str:
    """One ViT of a billion parameters with data on CPU, counted by tools that need the data."""
    with torch.device("meta"):
        model = vit(width=1664, depth=30, heads=26).eval()
    model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    x = torch.ones(1, 3, 224, 224)

    def fvcore() -> object:
        from fvcore.nn import FlopCountAnalysis

        return FlopCountAnalysis(model, x).unsupported_ops_warnings(False).total()

    def ptflops() -> object:
        import_zoo("torchvision")  # ptflops imports it
        from ptflops import get_model_complexity_info

        return get_model_complexity_info(
            model, (3, 224, 224), as_strings=False, print_per_layer_stat=False, verbose=False
        )

    runs: dict[str, Run] = {
        "blocktool": lambda: blocktool.summarize(model, x),
        **{
            name: run
            for name, run in (("fvcore", fvcore), ("ptflops", ptflops))
            if importlib.util.find_spec(name)
        },
    }
    times = race(runs, 3)
    ours = times["blocktool"]
    rows = [(name, t, f"{ratio(t, ours):.0f}") for name, t in times.items()]
    count = sum(parameter.numel() for parameter in model.parameters())
    return table((f"{count / 1e9:.2f} billion parameters", "time", "times ours"), rows)


def linear(rounds: int) -> str:
    """Chains of Linear and ReLU, three operations a pair; in CPU time, since no other is compared
    with and one thread does it all."""
    rows = []
    for size in (1_000, 10_000, 100_000):
        with torch.device("meta"):
            chain = nn.Sequential(
                *(layer for _ in range(size // 3) for layer in (nn.Linear(8, 8), nn.ReLU()))
            )
        ops = len(blocktool.trace(chain, (1, 8)).ops)
        runs: dict[str, Run] = {
            "trace": lambda chain=chain: blocktool.trace(chain, (1, 8)),  # type: ignore[misc]
            "summarize": lambda chain=chain: blocktool.summarize(chain, (1, 8)),  # type: ignore[misc]
        }
        times = race(runs, max(rounds // 3, 3) if size < 100_000 else 3, time.process_time)
        each = [f"{1e6 * t.median / ops:.1f}" for t in times.values()]
        rows.append((f"{ops:,}", times["trace"], each[0], times["summarize"], each[1]))
        say(f"{ops} operations done")
    header = ("operations", "trace", "µs per operation", "summarize", "µs per operation")
    return table(header, rows)


PARTS: dict[str, Callable[[int], str]] = {
    "processes": processes,
    "peers": peers,
    "memory": lambda rounds: memory(),
    "real": lambda rounds: real(),
    "linear": linear,
}


def main() -> None:
    """Run the parts asked for and write their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--first", nargs=2, help=argparse.SUPPRESS)
    output_option(parser)
    options = parser.parse_args()
    if options.first:
        model, tool = options.first
        print(once(build_on_meta(model)[tool]))
        return
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    text = []
    for part in options.parts or PARTS:
        say(part)
        # The state of the machine is noted beside each table: its load changes meanwhile.
        state = machine()
        text += [f"## {part}", PARTS[part](options.rounds), state]
    packages = ("torch", "torchvision", "timm", "torchinfo", "fvcore", "ptflops")
    write("\n\n".join([*text, versions(*packages)]), options.output)


if __name__ == "__main__":
    main()
