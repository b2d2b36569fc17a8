"""Whole models against figures that were counted elsewhere, to the last digit given.

``tests/data/model_macs.csv`` holds, for 23 classifiers of timm, parameters in millions and GMACs at
one image of the input size given, counted independently of this project. torchvision publishes the
GMACs and parameters of its models with their weights, counted by a script of its own on real
tensors (https://github.com/pytorch/vision/blob/main/test/common_extended_utils.py).
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from zoo_stub import import_torchvision

from blocktool.analysis.summary import summarize_trace
from blocktool.results.specs import TensorSpec
from blocktool.results.summary import Summary
from blocktool.targets.resolve import resolve
from blocktool.trace.target import trace_target

DATA = Path(__file__).parents[1] / "data" / "model_macs.csv"

# Those that differ in kind from the ones in the table; with the weights that were measured.
TORCHVISION = [
    ("alexnet", "DEFAULT"),
    ("mnasnet1_0", "DEFAULT"),
    ("shufflenet_v2_x1_0", "DEFAULT"),
    ("squeezenet1_0", "DEFAULT"),
    ("efficientnet_v2_s", "DEFAULT"),
    ("maxvit_t", "DEFAULT"),
    ("swin_v2_t", "DEFAULT"),
    ("vit_l_16", "IMAGENET1K_SWAG_E2E_V1"),
    ("lraspp_mobilenet_v3_large", "DEFAULT"),
    ("r3d_18", "DEFAULT"),
    ("raft_small", "DEFAULT"),
]


def published() -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def summary_of(name: str, *arguments: str, inputs: tuple[TensorSpec, ...] | None) -> Summary:
    summary = summarize_trace(trace_target(resolve(name, arguments), inputs))
    assert summary.traced_on == "meta"
    assert summary.uncovered_ops == ()
    return summary


def test_the_table_is_whole() -> None:
    assert len(published()) == 23


@pytest.mark.parametrize("row", published(), ids=lambda row: row["model"])
def test_parameters_and_macs_are_as_published(row: dict[str, str]) -> None:
    size = int(row["input_size"])
    summary = summary_of(f"timm:{row['model']}", inputs=(TensorSpec((1, 3, size, size)),))
    assert f"{summary.totals.params / 1e6:.3f}" == row["params_millions"]
    assert f"{summary.totals.macs / 1e9:.3f}" == row["gmacs"]


@pytest.mark.parametrize(("model", "weights"), TORCHVISION, ids=lambda value: value)
def test_torchvision_publishes_the_same(model: str, weights: str) -> None:
    published = getattr(import_torchvision().models.get_model_weights(model), weights)
    arguments: tuple[str, ...] = ()
    inputs = None
    if model == "vit_l_16":
        size = published.transforms.keywords["crop_size"]
        arguments = (f"image_size={size}",)
    if model == "raft_small":  # measured at this size
        inputs = tuple(TensorSpec((1, 3, 512, 512), name=name) for name in ("image1", "image2"))
    summary = summary_of(f"torchvision:{model}", *arguments, inputs=inputs)
    assert summary.totals.params == published.meta["num_params"]
    assert f"{summary.totals.macs / 1e9:.3f}" == f"{published.meta['_ops']:.3f}"
