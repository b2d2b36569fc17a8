"""Compare a sweep over timm with the GMACs that timm publishes.

timm's results/benchmark-infer-*.csv (https://github.com/huggingface/pytorch-image-models) hold
GMACs of most of its models, counted with fvcore, to two decimals. Compared are those of
the same parameters and the input size that ``timm:NAME`` stands for.

    python tests/benchmarks/timm_published.py sweep.csv benchmark-infer-(...).csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from common import output_option, table, write
from timm_sweep import Row, read_rows

from blocktool.errors import TargetError
from blocktool.targets.resolve import resolve


def default_side(model: str) -> int | None:
    """The side of the input that ``timm:model`` is traced with."""
    try:
        inputs = resolve(f"timm:{model}").inputs
    except TargetError:
        return None
    return inputs[0].shape[-1] if inputs else None


def compared(sweep: list[Row], published: Path) -> list[tuple[Row, float]]:
    """Rows of the sweep, each with the published GMACs of the same model at the same size."""
    ours = {row.model: row for row in sweep if not row.error}
    pairs: dict[str, tuple[Row, float]] = {}
    with published.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name = line["model"].partition(".")[0]
            row = ours.get(name)
            gmacs = float(line["infer_gmacs"] or 0)
            if row is None or name in pairs or not gmacs:
                continue
            same = abs(float(line["param_count"]) - row.params / 1e6) < 0.006
            if same and int(line["infer_img_size"]) == default_side(name):
                pairs[name] = row, gmacs
    return list(pairs.values())


def main() -> None:
    """Compare, and write the models that differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", type=Path, help="the CSV of timm_sweep.py")
    parser.add_argument("published", type=Path, help="one of timm's results/benchmark-infer-*.csv")
    parser.add_argument("--tolerance", type=float, default=0.02, help="relative (default: 0.02)")
    output_option(parser)
    options = parser.parse_args()
    pairs = compared(read_rows(options.sweep), options.published)
    rows = []
    for row, gmacs in sorted(pairs, key=lambda pair: pair[0].macs / pair[1]):
        # Half of the last digit that is published comes on top.
        if abs(row.macs / 1e9 - gmacs) > options.tolerance * gmacs + 0.0051:
            ratio = f"{row.macs / 1e9 / gmacs:.3f}"
            rows.append((row.model, f"{gmacs:.2f}", f"{row.macs / 1e9:.2f}", ratio))
    above = sum(float(row[-1]) > 1 for row in rows)
    text = (
        f"{len(pairs)} models compared: {len(pairs) - len(rows)} within {options.tolerance:.0%}, "
        f"{len(rows) - above} counted lower here, {above} higher."
    )
    header = ("model", "GMACs published", "GMACs here", "ratio")
    write(f"{text}\n\n{table(header, rows)}", options.output)


if __name__ == "__main__":
    main()
