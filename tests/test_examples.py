"""What the examples promise: torchvision's models, the published figures, the seed's classes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from block_keys import (
    State,
    mobilenetv1_keys,
    resnet_keys,
    resnetv2_keys,
    timm_vit_keys,
    torchvision_vit_keys,
)
from block_references import copy_over
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from zoo_stub import import_timm, import_torchvision

import blocktool
from blocktool.targets.resolve import resolve

EXAMPLES = Path(__file__).parent.parent / "examples"
CONFIGURATIONS = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_runs_on_its_own_input(path: Path) -> None:
    target = resolve(str(path))
    with torch.device("meta"):
        model = target.build().eval()
        (spec,) = target.inputs
        out = model(torch.empty(spec.shape))
    shapes = [tuple(o.shape) for o in out] if isinstance(out, list) else tuple(out.shape)
    assert shapes == model.output_shape(spec.shape)


def _published() -> dict[str, tuple[float, float]]:
    """Millions of parameters and GMACs at 224x224, counted independently of blocktool."""
    lines = (Path(__file__).parent / "data" / "model_macs.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["model"]: (float(row["params_millions"]), float(row["gmacs"])) for row in rows}


@pytest.mark.parametrize(
    ("example", "published"),
    [
        *(("resnet18", "resnet18"), ("resnet34", "resnet34"), ("resnet50", "resnet50")),
        *(("resnet101", "resnet101"), ("resnext50_32x4d", "resnext50_32x4d")),
        *(("seresnet50", "seresnet50"), ("mobilenet_v1", "mobilenetv1_100")),
        *(("vit_s16", "vit_small_patch16_224"), ("vit_b16", "vit_base_patch16_224")),
    ],
)
def test_has_the_published_figures(example: str, published: str) -> None:
    params, gmacs = _published()[published]
    target = resolve(str(EXAMPLES / f"{example}.yaml"))
    with torch.device("meta"):
        totals = blocktool.summarize(target.build(), target.inputs[0].shape).totals
    assert round(totals.params / 1e6, 3) == params
    assert round(totals.macs / 1e9, 3) == gmacs


@pytest.mark.parametrize(
    ("example", "make"),
    [
        ("preact_resnet50", lambda: import_timm().create_model("resnetv2_50")),
        (
            "dilated_resnet50",
            lambda: import_torchvision().models.resnet50(
                replace_stride_with_dilation=[False, True, True]
            ),
        ),
    ],
)
def test_counts_as_its_reference(example: str, make: Callable[[], nn.Module]) -> None:
    """For those without a published figure at hand: torch's own counter on the other's model."""
    target = resolve(str(EXAMPLES / f"{example}.yaml"))
    with torch.device("meta"):
        ours, theirs = target.build().eval(), make().eval()
        with FlopCounterMode(display=False) as counter:
            theirs(torch.empty(1, 3, 224, 224))
    totals = blocktool.summarize(ours, (1, 3, 224, 224)).totals
    classifier = 0 if ours.head is not None else 2048 * 1000
    assert totals.params == sum(p.numel() for p in theirs.parameters()) - (
        classifier and classifier + 1000
    )
    assert totals.macs == counter.get_total_flops() // 2 - classifier


def _torchvision(name: str, **options: Any) -> nn.Module:
    return import_torchvision().models.get_model(name, weights=None, **options)


def _timm(name: str) -> nn.Module:
    return import_timm().create_model(name, pretrained=False)


EQUAL: dict[str, tuple[Callable[[], nn.Module], Callable[[State], State]]] = {
    "resnet18": (lambda: _torchvision("resnet18"), resnet_keys),
    "resnet34": (lambda: _torchvision("resnet34"), resnet_keys),
    "resnet50": (lambda: _torchvision("resnet50"), resnet_keys),
    "resnet101": (lambda: _torchvision("resnet101"), resnet_keys),
    "resnext50_32x4d": (lambda: _torchvision("resnext50_32x4d"), resnet_keys),
    "seresnet50": (lambda: _timm("seresnet50"), resnet_keys),
    "mobilenet_v1": (lambda: _timm("mobilenetv1_100"), mobilenetv1_keys),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EQUAL)
def test_equals_its_reference_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    make, keys = EQUAL[name]
    ours, theirs = _with_the_weights_of(name, make(), keys, dtype)
    x = torch.linspace(-3, 3, 2 * 3 * 96 * 80, dtype=dtype).sin().view(2, 3, 96, 80)
    with torch.no_grad():
        mine, wanted = ours(x), theirs(x)
    assert wanted.std() > 1e-3  # neither vanished nor all the same
    assert torch.equal(mine, wanted)


@pytest.mark.parametrize(
    ("name", "make", "keys"),
    [
        # Their classifier is a convolution.
        ("preact_resnet50", lambda: _timm("resnetv2_50"), resnetv2_keys),
        # Their attention is laid out otherwise.
        ("vit_b16", lambda: _torchvision("vit_b_16"), torchvision_vit_keys),
        ("vit_b16", lambda: _timm("vit_base_patch16_224"), timm_vit_keys),
        ("vit_s16", lambda: _timm("vit_small_patch16_224"), timm_vit_keys),
    ],
)
def test_equals_its_reference_but_for_the_order_of_sums(
    name: str, make: Callable[[], nn.Module], keys: Callable[[State], State]
) -> None:
    ours, theirs = _with_the_weights_of(name, make(), keys, torch.float32)
    x = torch.linspace(-3, 3, 3 * 224 * 224).sin().view(1, 3, 224, 224)
    with torch.no_grad():
        mine, wanted = ours(x), theirs(x)
    assert wanted.std() > 1e-3
    torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


def test_dilated_maps_equal_torchvision() -> None:
    theirs = _torchvision("resnet50", replace_stride_with_dilation=[False, True, True])
    theirs.fc = nn.Identity()
    ours, theirs = _with_the_weights_of("dilated_resnet50", theirs, resnet_keys, torch.float32)
    wanted: list[torch.Tensor] = []
    for number in (2, 3, 4):
        layer = theirs.get_submodule(f"layer{number}")
        layer.register_forward_hook(lambda module, args, out: wanted.append(out))
    x = torch.linspace(-3, 3, 3 * 65 * 72).sin().view(1, 3, 65, 72)
    with torch.no_grad():
        maps = ours(x)
        theirs(x)
    assert [tuple(m.shape[2:]) for m in maps] == [(9, 9)] * 3
    assert all(torch.equal(mine, other) for mine, other in zip(maps, wanted, strict=True))


def _with_the_weights_of(
    name: str, theirs: nn.Module, keys: Callable[[State], State], dtype: torch.dtype
) -> tuple[nn.Module, nn.Module]:
    """The example and its reference, with the same random weights, norms and statistics."""
    theirs = theirs.to(dtype).eval()
    with torch.device("meta"):
        ours = resolve(str(EXAMPLES / f"{name}.yaml")).build().eval()
    ours.to_empty(device="cpu").to(dtype)
    copy_over(ours, theirs, keys)
    return ours, theirs


@pytest.mark.parametrize(
    ("name", "overrides", "params"),
    [
        ("resnet50", ["stages.2.num_blocks=23"], 44_549_160),  # ResNet-101
        ("resnet50", [f"stages.{i}.base_width=128" for i in range(4)], 68_883_240),
        (
            "resnet50",
            [f"stages.{i}.{key}" for i in range(4) for key in ("groups=32", "base_width=4")],
            25_028_904,
        ),
        ("resnet50", [f"stages.{i}.attn=se" for i in range(4)], 28_088_024),  # timm's seresnet50
        (
            "resnet18",
            [f"stages.{i}.num_blocks={depth}" for i, depth in enumerate((3, 4, 6, 3))],
            21_797_672,  # ResNet-34
        ),
    ],
)
def test_relatives_by_override(name: str, overrides: list[str], params: int) -> None:
    with torch.device("meta"):
        model = resolve(str(EXAMPLES / f"{name}.yaml"), overrides).build()
    assert sum(parameter.numel() for parameter in model.parameters()) == params


def test_custom_block() -> None:
    target = resolve(
        f"{EXAMPLES}/custom_block.py:CustomBlock", ["in_channels=3", "out_channels=64"]
    )
    block = target.build()
    assert block(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 32, 32)
    assert [name for name, _ in block.named_children()] == ["conv", "attention", "residual"]


def test_custom_feature_extractor() -> None:
    target = resolve(
        f"{EXAMPLES}/custom_block.py:feature_extractor",
        ["channels=[3, 8, 16]", "blocks_per_stage=2"],
    )
    maps = target.build()(torch.zeros(1, 3, 8, 8))
    assert [tuple(m.shape) for m in maps] == [(1, 8, 8, 8), (1, 16, 8, 8)]


def test_imports_as_in_the_original_example() -> None:
    from blocktool.blocks import ConvBlock, ResidualBlock, SelfAttention
    from blocktool.blocks.attention import SelfAttention as Attention
    from blocktool.blocks.conv import ConvBlock as Conv
    from blocktool.blocks.residual import ResidualBlock as Residual

    assert (Conv, Residual, Attention) == (ConvBlock, ResidualBlock, SelfAttention)
