"""What the examples promise: torchvision's models, the published figures, the seed's classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from block_references import copy_over, resnet_keys
from zoo_stub import import_torchvision

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


@pytest.mark.parametrize(("name", "params"), [("resnet50", 25_557_032), ("resnet18", 11_689_512)])
def test_has_torchvisions_parameters(name: str, params: int) -> None:
    with torch.device("meta"):
        model = resolve(str(EXAMPLES / f"{name}.yaml")).build()
    assert sum(parameter.numel() for parameter in model.parameters()) == params


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("resnet18", torch.float64), ("resnet50", torch.float32), ("resnet50", torch.float64)],
)
def test_equals_torchvision_with_its_weights(name: str, dtype: torch.dtype) -> None:
    theirs = import_torchvision().models.get_model(name, weights=None).to(dtype).eval()
    with torch.device("meta"):
        ours = resolve(str(EXAMPLES / f"{name}.yaml")).build().eval()
    ours.to_empty(device="cpu").to(dtype)
    copy_over(ours, theirs, resnet_keys)
    x = torch.linspace(-3, 3, 2 * 3 * 96 * 80, dtype=dtype).sin().view(2, 3, 96, 80)
    with torch.no_grad():
        mine, wanted = ours(x), theirs(x)
    assert wanted.std() > 1e-3  # neither vanished nor all the same
    assert torch.equal(mine, wanted)


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
