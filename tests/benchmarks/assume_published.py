"""Predictions from datasheets against the times that timm publishes for GPUs.

timm's results/benchmark-infer-amp-*.csv (https://github.com/huggingface/pytorch-image-models)
have the images per second of its models under autocast to float16. A model is traced without data
in float16, 256 images of the published size, and predicted for the description of the GPU; autocast
keeps some operations in float32, which the prediction does not have. The batch was larger, so that
the time of starting operations matters in neither.

    python tests/benchmarks/assume_published.py rtx-3090=(...)rtx3090.csv rtx-4090=(...)rtx4090.csv
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from pathlib import Path

import torch
from common import output_option, say, table, versions, write

from blocktool.analysis.roofline import roofline
from blocktool.measure.assumed import description
from blocktool.results.trace import OpTrace
from blocktool.targets.zoo_packages import import_zoo
from blocktool.trace.tracer import trace

MODELS = (
    *("resnet18", "resnet50", "resnet101", "seresnet50", "resnext50_32x4d", "densenet121"),
    *("vgg16", "inception_v3", "xception41", "hrnet_w18", "regnetx_032", "regnety_032"),
    *("repvgg_b0", "mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_b0"),
    *("efficientnetv2_rw_s", "ghostnet_100", "convnext_tiny", "convnext_base"),
    *("vit_small_patch16_224", "vit_base_patch16_224", "deit_small_patch16_224"),
    *("beit_base_patch16_224", "cait_xxs24_224", "swin_tiny_patch4_window7_224"),
    *("mixer_b16_224", "mobilevit_s", "edgenext_small", "poolformer_s12"),
)
BATCH = 256


def published(path: Path) -> dict[tuple[str, int], float]:
    """Milliseconds per image by model and size."""
    found: dict[tuple[str, int], float] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            key = (line["model"].partition(".")[0], int(float(line["infer_img_size"])))
            found.setdefault(key, 1e3 / float(line["infer_samples_per_sec"]))
    return found


def traced(name: str) -> tuple[int, OpTrace]:
    """The side of the model's own input, and its record for a batch."""
    with torch.device("meta"):
        model = import_zoo("timm").create_model(name)
    shape = model.pretrained_cfg["input_size"]
    return shape[-1], trace(model, (BATCH, *shape), dtype="float16", attention="cuda")


def main() -> None:
    """Predict, compare, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("devices", nargs="+", help="NAME=CSV, the name that --assume knows")
    output_option(parser)
    options = parser.parse_args()
    devices = [text.partition("=") for text in options.devices]
    times = {name: published(Path(path)) for name, _, path in devices}
    limits = {name: description(name) for name in times}
    ratios: dict[str, list[float]] = {name: [] for name in times}
    rows = []
    for model in MODELS:
        side, record = traced(model)
        cells = []
        for name, known in times.items():
            measured = known.get((model, side))
            if measured is None:
                cells.append("")
                continue
            place = roofline(record.ops, limits[name], None)
            ratios[name].append(place.predicted_ms / BATCH / measured)
            cells.append(f"{ratios[name][-1]:.2f}")
        rows.append((model, side, *cells))
        say(f"{model} {side}: {' '.join(cells)}")
    lines = []
    for name, found in ratios.items():
        logarithms = [math.log(ratio) for ratio in found]
        middle = math.exp(statistics.mean(logarithms))
        error = math.exp(statistics.median(map(abs, logarithms))) - 1
        near = sum(1 / 1.5 < ratio < 1.5 for ratio in found)
        lines.append(
            f"{name}: {len(found)} models, ratio {min(found):.2f} to {max(found):.2f}, geometric "
            f"mean {middle:.2f}, median error {error:.0%}, within a factor of 1.5: {near}."
        )
    header = ("model", "side", *(f"{name}: predicted / published" for name in times))
    text = "\n".join((table(header, rows), "", *lines, "", versions("torch", "timm")))
    write(text, options.output)


if __name__ == "__main__":
    main()
