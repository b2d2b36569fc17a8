"""Prove the catalog and a few models, and compare each claim with brute force.

Brute force is torch itself on the meta device: all heights with several widths, all widths with
several heights, and the diagonal, from 1 to 96; all pairs where a run takes less than --square ms.
What is compared are the words of the proof: its constraints and its output.

python tests/benchmarks/proofs.py -o proofs.md
python tests/benchmarks/proofs.py "conv kernel_size=5 padding=0" torchvision:swin_t
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from common import machine, output_option, say, table, versions, write
from proof_modules import FPN, UNet, claimed_run, plain_run
from torch import nn

from blocktool.check.explore import Budget
from blocktool.check.pattern import Pattern, pattern_of
from blocktool.check.prove import follow_module, prove
from blocktool.results.shapes import Alternative, Proof
from blocktool.results.specs import TensorSpec
from blocktool.targets.catalog import CATALOG
from blocktool.targets.resolve import resolve
from blocktool.trace.build import build_without_data

MODELS = (
    *("torchvision:resnet50", "torchvision:vit_b_16", "torchvision:swin_t"),
    *("torchvision:convnext_tiny", "U-Net", "FPN"),
)
VARIANTS = (
    *("conv kernel_size=5 stride=2 padding=0", "conv kernel_size=7 padding_mode=reflect"),
    *("conv norm=instance stride=2", "dilated-conv dilation=4 padding=0"),
    *("residual stride=2", "self-attention window=7"),
)
OWN = {"U-Net": UNet, "FPN": FPN}
LAST = 96
SEVERAL = (1, 7, 32, 45, 64, 96)


def build(name: str) -> tuple[nn.Module, Pattern]:
    """A module without data, and its inputs with symbols."""
    if name in OWN:
        return OWN[name](), pattern_of([TensorSpec((1, 3, 64, 64), "float32")])
    block, *arguments = name.split()
    target = resolve(block, arguments)
    module, _ = build_without_data(target)
    assert target.inputs is not None
    return module, pattern_of(target.inputs)


def sizes_of(base: Mapping[str, int], square: bool) -> Iterator[dict[str, int]]:
    """Sizes from 1 to 96 of the symbols beside the batch, and around those of the target."""
    names = [name for name in base if name != "B"]
    usual = {"B": 2} | {name: base[name] for name in names}
    every = range(1, LAST + 1)
    around = [size for name in names for size in range(base[name] - 4, base[name] + 5)]
    for values in itertools.product(sorted({*around} - {*every} - {0}), repeat=len(names)):
        yield usual | dict(zip(names, values, strict=True))
    if square or len(names) == 1:
        for values in itertools.product(every, repeat=len(names)):
            yield usual | dict(zip(names, values, strict=True))
    else:
        for name, other in itertools.permutations(names, 2):
            for size, second in itertools.product(every, (*SEVERAL, base[other])):
                yield usual | {name: size, other: second}
        for size in every:
            yield usual | dict.fromkeys(names, size)
    for batch, size in itertools.product((1, 3), every):
        yield usual | dict.fromkeys(names, size) | {"B": batch}


def row(name: str, budget: Budget, square_ms: float) -> tuple[object, ...]:
    """One line of the table."""
    module, pattern = build(name)
    run = plain_run(module, pattern)
    started = time.perf_counter()
    proof = prove(
        follow_module(module, pattern.inputs),
        pattern.inputs,
        pattern.base,
        numeric=run,
        budget=budget,
        target=name,
    )
    seconds = time.perf_counter() - started
    for _ in range(2):
        began = time.perf_counter()
        run(pattern.base)
        took = time.perf_counter() - began
    claimed = claimed_run(proof)
    compared: set[tuple[int, ...]] = set()
    wrong = []
    for sizes in sizes_of(pattern.base, square=took * 1e3 < square_ms):
        key = tuple(sizes.values())
        if key in compared:
            continue
        compared.add(key)
        actual = run(sizes)
        if claimed(sizes) != (None if isinstance(actual, str) else actual):
            wrong.append((sizes, claimed(sizes), actual))
    for each in wrong[:3]:
        say(f"  disagrees: {each}")
    runs = (
        ("all sizes" if proof.complete else "")
        if not proof.conditions
        else "<br>".join(c.words for c in proof.conditions)
    )
    for note in (*proof.notes, *proof.contradictions):
        say(f"  {note}")
    return (
        name.removeprefix("torchvision:"),
        "<br>".join(map(_output, proof.outputs)),
        runs,
        _verdict(proof),
        proof.paths,
        f"{seconds:.1f}",
        f"{len(compared):,}",
        len(wrong),
    )


def _output(way: Alternative) -> str:
    text = f"`{way.output.replace('; ', '`<br>`')}`"
    return text + (f" where {' and '.join(way.constraints)}" if way.constraints else "")


def _verdict(proof: Proof) -> str:
    for note in proof.notes:
        if note.startswith("followed with symbols "):
            return (
                f"{proof.verdict} {note.removeprefix('followed with symbols ').partition(';')[0]}"
            )
    return proof.verdict + (f": {proof.reason}" if proof.reason else "")


def main() -> None:
    """Prove, compare and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="left out, the catalog and models")
    parser.add_argument("--seconds", type=float, default=Budget().seconds, help="budget of each")
    parser.add_argument("--square", type=float, default=3.0, help="ms below which all pairs run")
    output_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.targets or (*CATALOG, *VARIANTS, *MODELS):
        rows.append(row(name, Budget(seconds=options.seconds), options.square))
        say(" | ".join(map(str, rows[-1])))
    header = (
        *("Target", "Output", "Runs where", "Verdict", "Ways", "Seconds"),
        *("Sizes compared", "Disagreements"),
    )
    text = f"{versions('torch', 'torchvision')}; {machine()}\n\n{table(header, rows)}"
    write(text, options.output)


if __name__ == "__main__":
    main()
