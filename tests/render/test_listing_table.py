from __future__ import annotations

from collections.abc import Callable

import pytest

from blocktool.render.json import read, to_json
from blocktool.render.listing_table import render
from blocktool.render.view import View
from blocktool.results.listing import ListedBlock, ListedConfig, ListedOption, Listing

_BLOCK = ListedBlock(
    "residual",
    "residual",
    "basic block of ResNet",
    "blocktool.blocks.residual:ResidualBlock",
    ("1x{in_channels}x56x56",),
    (
        ListedOption("in_channels", "an integer", True),
        ListedOption("stride", "an integer", False, 1),
        ListedOption("attn", "'se' or null", False, None),
        ListedOption("zero_init_last", "true or false", False, True),
    ),
)
_SECOND = ListedBlock(
    "cross-attention",
    "attention",
    "attention to a context",
    "blocktool.blocks.cross_attention:CrossAttention",
    ("1x196x{channels}", "context=1x64x{context_channels|channels}"),
    (ListedOption("channels", "an integer", False, 256),),
)
_OTHER = ListedBlock("foreign", None, "from elsewhere", "elsewhere:Block", (), ())
_CONFIG = ListedConfig(
    "examples/resnet50.yaml",
    "ResNet-50, as in the paper. " * 4,
    (
        ListedOption("stem.out_channels", "an integer", False, 64),
        ListedOption("stages.0.norm", "a list", False, '["group", {"num_groups": 8}]'),
    ),
)


@pytest.mark.parametrize("width", [60, 120])
def test_all(width: int, snapshot: Callable[[str, str], None]):
    text = render(Listing((_SECOND, _BLOCK, _OTHER), (_CONFIG,)), View(width=width))
    snapshot(f"list-{width}.txt", text)
    assert max(map(len, text.splitlines())) <= width


def test_one(snapshot: Callable[[str, str], None]):
    snapshot("list-one.txt", render(Listing((_BLOCK,), ()), View(width=80)))
    both = render(Listing((_SECOND,), ()), View(width=80))
    assert "default inputs 1x196x{channels} context=1x64x{context_channels|channels}" in both


def test_one_configuration(snapshot: Callable[[str, str], None]):
    snapshot("list-config.txt", render(Listing((), (_CONFIG,)), View(width=80)))


def test_nothing():
    assert render(Listing((), ()), View(width=80)).startswith("blocktool summary NAME")


def test_json():
    listing = Listing((_SECOND, _BLOCK, _OTHER), (_CONFIG,))
    assert read(to_json(listing), Listing) == listing
