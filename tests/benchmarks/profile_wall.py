"""What a profile takes beside what it measures: the whole command against its timed calls.

In each round, in turn: ``python -c "import torch"``, and ``blocktool profile`` of each target with
its defaults. Of the latter the time of the whole process is compared with 1.5 times the sum over
all timed calls (``measured_seconds`` of its report) and one import of torch.

    python tests/benchmarks/profile_wall.py -o profile_wall.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from common import ROOT, machine, output_option, say, table, versions, write

TARGETS: tuple[tuple[str, ...], ...] = (
    ("conv",),
    ("transformer",),
    (str(ROOT / "examples/resnet50.yaml"),),
    (str(ROOT / "examples/resnet50.yaml"), "--batch", "1,4,8"),
    ("timm:vit_small_patch16_224",),
    ("bottleneck", "--variant", "eager,channels-last,fused"),
)
_RUN = "import sys; from blocktool.cli import main; main()"


def importing() -> float:
    """Seconds of a Python that imports torch and nothing else."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - start


def profiling(words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of the whole command, and of its timed calls."""
    command = [sys.executable, "-c", _RUN, "profile", *words, "-d", "cpu", "-q", "-f", "json"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, json.loads(done.stdout)["measured_seconds"]


def main() -> None:
    """Run the rounds and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    output_option(parser)
    options = parser.parse_args()
    torch_seconds: list[float] = []
    taken: dict[tuple[str, ...], list[tuple[float, float]]] = {words: [] for words in TARGETS}
    for number in range(options.rounds):
        torch_seconds.append(importing())
        for words in TARGETS:
            taken[words].append(profiling(words))
            say(f"round {number + 1}: {' '.join(words)}: {taken[words][-1]}")
    imported = statistics.median(torch_seconds)
    rows = []
    for words, pairs in taken.items():
        wall = statistics.median(pair[0] for pair in pairs)
        measured = statistics.median(pair[1] for pair in pairs)
        allowed = 1.5 * measured + imported
        shown = " ".join(words).replace(f"{ROOT}/", "")
        rows.append(
            (
                f"`{shown}`",
                f"{measured:.2f} s",
                f"{wall:.2f} s",
                f"{allowed:.2f} s",
                f"{(wall - imported) / measured:.2f}",
                "yes" if wall <= allowed else "NO",
            )
        )
    header = ("profile of", "timed calls", "whole command", "allowed", "ratio", "within")
    text = [
        versions("torch", "blocktool"),
        machine(),
        "",
        f"One import of torch: {imported:.2f} s (median of {options.rounds}). ratio = (whole "
        "command - import) / timed calls, at most 1.5.",
        "",
        table(header, rows),
    ]
    write("\n".join(text), options.output)


if __name__ == "__main__":
    main()
