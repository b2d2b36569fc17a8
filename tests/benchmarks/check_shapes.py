"""What a sweep costs: the catalog, one target, and a case against the naive way.

    python tests/benchmarks/check_shapes.py catalog target cases sound -o docs/...

- ``catalog``: ``blocktool check-shapes`` as a whole process, start-up included.
- ``target``: 200 cases of one block, against the same command with one case.
- ``cases``: one case here (traced without data and judged) against building the module on CPU and
  running it on random data, as a test written by hand does; the same cases in the same order,
  turn by turn.
- ``sound``: the sound modules of tests/faults.py at all the usual sizes: cases, false alarms.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

from common import ROOT, Times, machine, output_option, race, ratio, say, table, versions, write

sys.path.insert(0, str(ROOT / "tests"))

PARTS = ("catalog", "target", "cases", "sound")


def process(*words: str) -> tuple[float, str]:
    """Seconds of a command, and the last line of what it prints."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "blocktool", "check-shapes", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return seconds, done.stdout.strip().splitlines()[-1]


def catalog(rounds: int) -> str:
    """The whole catalog."""
    runs = [process() for _ in range(rounds)]
    rows = [[f"round {i + 1}", f"{seconds:.1f} s", last] for i, (seconds, last) in enumerate(runs)]
    return table(["blocktool check-shapes", "wall time", "it says"], rows)


def target(rounds: int) -> str:
    """About two hundred cases of one block, against one case and against importing torch."""
    many = ("bottleneck", "--dtype", "float32,bfloat16,float16", "-j", "1")
    one = ("bottleneck", "--as-given", "--dtype", "float32", "--mode", "eval", "-j", "1")
    said: dict[str, str] = {}

    def run(name: str, words: tuple[str, ...]) -> Callable[[], None]:
        def call() -> None:
            said[name] = process(*words)[1]

        return call

    def torch() -> None:
        subprocess.run([sys.executable, "-c", "import torch"], check=True)

    times = race({"many": run("many", many), "one": run("one", one), "torch": torch}, rounds)
    rows = [
        ["`import torch`", str(times["torch"]), "", "1.00"],
        ["one case", str(times["one"]), said["one"], f"{ratio(times['one'], times['torch']):.2f}"],
        ["many", str(times["many"]), said["many"], f"{ratio(times['many'], times['torch']):.2f}"],
    ]
    return table(["process", "wall time", "it says", "to `import torch`"], rows)


def cases(rounds: int) -> str:
    """One case here against the naive way."""
    import torch

    from blocktool.check.chunk import prepared, run_one
    from blocktool.check.gather import gather
    from blocktool.targets.resolve import resolve
    from blocktool.targets.sweep_words import SweepWords
    from blocktool.trace.calls import calls_intercepted

    torch.set_num_threads(1)
    picked = []
    for group in gather([], SweepWords()):
        subject, planned = prepared(group)
        picked += [(group, subject, case) for case in planned]
    picked = random.Random(0).sample(picked, 400)

    def ours() -> None:
        with calls_intercepted():
            for group, subject, case in picked:
                run_one(group, subject, case, "meta")

    def naive() -> None:
        for group, subject, case in picked:
            module = resolve(group.target, group.arguments).build()
            module.to(getattr(torch, case.dtype)).train(case.mode == "train")
            specs = subject.pattern.at(case.sizes) or ()
            given = [torch.randn(spec.shape, dtype=getattr(torch, case.dtype)) for spec in specs]
            args = [x for x, spec in zip(given, specs, strict=True) if spec.name is None]
            kwargs = {s.name: x for x, s in zip(given, specs, strict=True) if s.name is not None}
            try:
                with torch.set_grad_enabled(case.mode == "train"):
                    out = module(*args, **kwargs)
                    if case.mode == "train":
                        out.sum().backward()
            except ValueError:
                continue  # what the block refuses
            if tuple(out.shape) != tuple(module.output_shape(specs[0].shape)):
                raise AssertionError(group)

    times = race({"ours": ours, "naive": naive}, rounds)

    def each(of: Times) -> str:
        return f"{1e3 * of.median / len(picked):.2f} ms"

    rows = [
        ["traced without data and judged", each(times["ours"]), "1.00"],
        [
            "built and run on CPU, shape compared",
            each(times["naive"]),
            f"{ratio(times['naive'], times['ours']):.2f}",
        ],
    ]
    header = [f"a case ({len(picked)} of the catalog's, one thread)", "time", "times ours"]
    return table(header, rows)


def sound(rounds: int) -> str:
    """Every sound module at all usual sizes."""
    from dataclasses import replace

    from faults import SOUND
    from zoo_stub import import_torchvision

    from blocktool.check.gather import gather, swept_arguments
    from blocktool.check.sweep import Settings, run_sweeps
    from blocktool.targets.sweep_words import SweepWords

    import_torchvision()
    rows = []
    for each in SOUND:
        words = SweepWords(
            **{k: (v,) if isinstance(v, str) else v for k, v in each.options.items()},  # type: ignore[arg-type]
            input=tuple(each.inputs),
            arguments=swept_arguments(each.arguments),
        )
        began = time.perf_counter()
        report = run_sweeps(gather([each.target], replace(words)), Settings())
        seconds = time.perf_counter() - began
        (checked,) = report.targets
        rows.append(
            [
                f"`{each}`",
                checked.passed,
                checked.skipped,
                len(report.findings),
                f"{seconds:.1f} s",
                f"`{checked.contract}`",
            ]
        )
        say(f"{each}: {checked.passed} passed, {len(report.findings)} false alarms")
    return table(["target", "passed", "refused", "false alarms", "time", "held to"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, choices=[*PARTS, []])
    parser.add_argument("--rounds", type=int, default=5)
    output_option(parser)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    texts = [f"{machine()}, {versions('torch', 'torchvision', 'timm')}"]
    for part in chosen.parts or PARTS:
        say(part)
        texts.append(f"## {part}\n\n{globals()[part](chosen.rounds)}")
    write("\n\n".join(texts), chosen.output)


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    main()
