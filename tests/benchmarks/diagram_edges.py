"""Compare the edges of diagrams with torch.fx's graphs, at full depth, over two zoos.

python tests/benchmarks/diagram_edges.py
python tests/benchmarks/diagram_edges.py timm:levit_128 torchvision:resnet50
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from common import say, versions
from cross_check_sweep import MODELS
from fx_edges import edges_by_fx, edges_of, whole
from torch import nn

from blocktool.targets.zoo_packages import import_zoo


def build(name: str) -> tuple[nn.Module, int]:
    """The model without weights, and the size of its images."""
    zoo, _, model = name.partition(":")
    package = import_zoo(zoo)
    if zoo == "timm":
        made = package.create_model(model).eval()
        return made, made.default_cfg["input_size"][-1]
    made = package.models.get_model(model, weights=None, **_settings(model)).eval()
    return made, 299 if "inception" in model else 224


def _settings(model: str) -> dict[str, object]:
    return {"init_weights": False} if model in ("googlenet", "inception_v3") else {}


def compared(name: str) -> str:
    """``"same"``, or what is the matter, in words."""
    module, size = build(name)
    with torch.device("meta"):
        ours = edges_of(whole(module, (1, 3, size, size)))
    try:
        theirs = edges_by_fx(module)
    except Exception as error:
        return f"fx fails: {type(error).__name__}"
    if ours == theirs:
        return "same"
    missing, more = theirs[0] - ours[0], ours[0] - theirs[0]
    calls = (theirs[1] - ours[1]).total(), (ours[1] - theirs[1]).total()
    return f"differs: edges -{len(missing)} +{len(more)}, calls -{calls[0]} +{calls[1]}"


def main() -> None:
    """Print a line for each model that is not the same, and the counts."""
    models = import_zoo("torchvision").models
    names = sys.argv[1:] or [
        *(f"torchvision:{name}" for name in models.list_models(module=models)),
        *(f"timm:{name}" for name in MODELS),
    ]
    print(versions("torch", "torchvision", "timm"))
    counts: dict[str, int] = {}
    for name in names:
        try:
            found = compared(name)
        except Exception as error:
            found = f"cannot be traced: {type(error).__name__}"
        say(f"{name}: {found}")
        key = f"{name.partition(':')[0]}: {found.partition(':')[0]}"
        counts[key] = counts.get(key, 0) + 1
        if found != "same":
            print(f"{name}: {found}", flush=True)
    for key, count in counts.items():
        print(f"{key} {count}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
